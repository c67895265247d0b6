"""How fast a corpus is scored: counts of word and character errors, against jiwer.

    python -m benchmarks.score [--pairs 100000] [--rounds 5]

References are sentences of the sample corpus; in each hypothesis about one word in ten is replaced, left out or
followed by another one. All are normalised beforehand, so that every one of these counts the same texts:

ours            `asr.scoring.wer.score_utterances` with the corpus' sums: counts of each utterance and of all
jiwer at once   one `process_words` and one `process_characters` with all pairs, as its documentation advises
jiwer loop      the two for each pair, summed up: what a script does that wants the counts of every utterance

They are timed in turn within each round, so that a busy moment hits all of them; a first round does not count. That
all counts are equal is checked in every round. Beside them stands `whole`: `asr.scoring.wer.score`, which the stages
call, with its two normalisations of raw texts and both sets of counts.

Writes benchmarks/results/score.json.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from operator import attrgetter
from time import perf_counter
from typing import Any

import jiwer
import numpy as np

from asr.corpus.sample.sentences import sentences
from asr.scoring.wer import corpus_score, score, score_utterances
from asr.text import normalize
from benchmarks.records import spread, write_record

LANGUAGE = "az"
DISTINCT = 20_000
"""Sentences from which references are drawn; real corpora repeat some too."""
REPLACED, LEFT_OUT, FOLLOWED = 0.05, 0.025, 0.025
"""Shares of words: 10 % of errors."""


@dataclass(frozen=True)
class Counts:
    """What all must agree on."""

    words: int
    hits: int
    substitutions: int
    deletions: int
    insertions: int
    characters: int
    character_errors: int


Texts = Sequence[str]
Counting = Callable[[Texts, Texts], Counts]


def main() -> None:
    """Makes the pairs, times all, prints and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    figures = measured(*pairs(args.pairs, seed=1), args.rounds)
    command = f"python -m benchmarks.score --pairs {args.pairs} --rounds {args.rounds}"
    path = write_record("score", command, ("jiwer", "rapidfuzz", "numpy"), {"pairs": args.pairs, **figures})
    print(path.read_text(encoding="utf-8"))


def pairs(count: int, seed: int) -> tuple[list[str], list[str]]:
    """Orthographic references and their hypotheses."""
    rng = np.random.default_rng(seed)
    distinct = sentences(min(count, DISTINCT), rng)
    words = sorted({word for sentence in distinct for word in sentence.split()})
    references = [distinct[i] for i in rng.integers(len(distinct), size=count)]
    return references, [_misheard(reference, words, rng) for reference in references]


def measured(references: Texts, hypotheses: Texts, rounds: int) -> dict[str, Any]:
    """Pairs a second of each, and what the peers take of our time, round by round."""
    plain = [[normalize(text, LANGUAGE) for text in texts] for texts in (references, hypotheses)]
    seconds: dict[str, list[float]] = {name: [] for name in (*COUNTING, "whole")}
    for turn in range(rounds + 1):
        taken, counts = timed(plain[0], plain[1])
        start = perf_counter()
        score(references, hypotheses, LANGUAGE)
        taken["whole"] = perf_counter() - start
        for name, wall in taken.items():
            print(f"{name}: {wall:.3f} s", flush=True)
            seconds[name] += [wall] * (turn > 0)
    rates = {f"{name}, pairs/s": spread([len(references) / wall for wall in walls]) for name, walls in seconds.items()}
    ratios = {
        f"{name} over ours, ratio of a round": spread([b / a for a, b in zip(seconds["ours"], walls, strict=True)])
        for name, walls in seconds.items()
        if name.startswith("jiwer")
    }
    return {"counts, equal in all": vars(counts), **rates, **ratios}


def timed(references: Texts, hypotheses: Texts) -> tuple[dict[str, float], Counts]:
    """Seconds of each way, one after another, and the counts on which all agree."""
    seconds, found = {}, {}
    for name, counting in COUNTING.items():
        start = perf_counter()
        found[name] = counting(references, hypotheses)
        seconds[name] = perf_counter() - start
    if len(set(map(astuple, found.values()))) > 1:
        raise SystemExit(f"the counts differ: {found}")
    return seconds, found["ours"]


def ours(references: Texts, hypotheses: Texts) -> Counts:
    """What the stages report, on normalised texts."""
    return Counts(*attrgetter(*Counts.__dataclass_fields__)(corpus_score(score_utterances(references, hypotheses))))


def jiwer_at_once(references: Texts, hypotheses: Texts) -> Counts:
    """All pairs in one call of each kind."""
    words = jiwer.process_words(list(references), list(hypotheses))
    characters = jiwer.process_characters(list(references), list(hypotheses))
    return _counts(words, characters)


def jiwer_loop(references: Texts, hypotheses: Texts) -> Counts:
    """A call of each kind for every pair."""
    totals = np.zeros(len(Counts.__dataclass_fields__), np.int64)
    for reference, hypothesis in zip(references, hypotheses, strict=True):
        words = jiwer.process_words(reference, hypothesis)
        totals += astuple(_counts(words, jiwer.process_characters(reference, hypothesis)))
    return Counts(*totals.tolist())


COUNTING: dict[str, Counting] = {"ours": ours, "jiwer at once": jiwer_at_once, "jiwer loop": jiwer_loop}


def _counts(words: jiwer.WordOutput, characters: jiwer.CharacterOutput) -> Counts:
    return Counts(
        words.hits + words.substitutions + words.deletions,
        words.hits,
        words.substitutions,
        words.deletions,
        words.insertions,
        characters.hits + characters.substitutions + characters.deletions,
        characters.substitutions + characters.deletions + characters.insertions,
    )


def _misheard(reference: str, words: Sequence[str], rng: np.random.Generator) -> str:
    heard = []
    for word in reference.split():
        lot, other = rng.random(), words[int(rng.integers(len(words)))]
        if lot < REPLACED:
            heard.append(other)
        elif lot < REPLACED + FOLLOWED:
            heard += [word, other]
        elif lot >= REPLACED + FOLLOWED + LEFT_OUT:
            heard.append(word)
    return " ".join(heard)


if __name__ == "__main__":
    main()
