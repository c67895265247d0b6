"""Signs that a recogniser wrote what nobody said: repetition loops, texts that compress too well, too many words.

A low error rate over a corpus hides a few such texts (Koenecke et al. 2024, "Careless Whisper"). The rule over labels
(`asr.corpus.transcripts.repetition`) is another one: a label stands alone, so it must allow whatever people say; a
hypothesis stands beside its reference, so every phrase that is repeated here and not there is an error.
"""

import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from asr.scoring.wer import Pair, corpus_score, score_utterances
from asr.text import Numbers, normalize

LOOP_TIMES = 4
"""So often in a row some words, or some letters of one word, make a loop."""
COMPRESSION_LIMIT = 2.4
"""Whisper's own bound on bytes over compressed bytes (Radford et al. 2022, section 4.5); short loops pass it."""


_PIECES = re.compile(rf"([^\W\d_]{{1,8}}?)\1{{{LOOP_TIMES - 1},}}")
"""Letters that follow themselves; digits may do so by right, as in 1000000."""


@dataclass(frozen=True)
class Loops:
    """Counts over the hypotheses of a split."""

    clips: int
    looping: int
    """Hypotheses with a loop that the reference does not have."""
    compressed: int
    """Hypotheses whose compression ratio exceeds `COMPRESSION_LIMIT`."""
    wer_above_1: int
    """Clips with more errors than reference words; clips without reference words are not counted here."""
    insertions: int
    """In clips with reference words."""
    words: int
    """Words of the references."""

    def as_plain(self) -> dict[str, Any]:
        """Counts and shares for a metrics file."""
        return {
            "clips": self.clips,
            "looping": self.looping,
            "looping_share": self.looping / self.clips,
            "compressed": self.compressed,
            "wer_above_1": self.wer_above_1,
            "insertions": self.insertions,
            "insertion_rate": self.insertions / self.words,
            "words": self.words,
        }


def loops(pairs: Sequence[Pair], language: str, numbers: Numbers) -> Loops:
    """Counts signs of invented text.

    Raises:
        UserError: no pairs, or no reference words.
    """
    said = [normalize(pair.reference, language, numbers) for pair in pairs]
    heard = [normalize(pair.hypothesis, language, numbers) for pair in pairs]
    spoken = [score for score in score_utterances(said, heard) if score.words]
    total = corpus_score(spoken)
    return Loops(
        clips=len(pairs),
        looping=sum(has_new_loop(*texts) for texts in zip(said, heard, strict=True)),
        compressed=sum(compression_ratio(pair.hypothesis) > COMPRESSION_LIMIT for pair in pairs),
        wer_above_1=sum(score.errors > score.words for score in spoken),
        insertions=total.insertions,
        words=total.words,
    )


def has_new_loop(reference: str, hypothesis: str) -> bool:
    """Whether words, or letters of a word, stand `LOOP_TIMES` times in a row in the hypothesis alone.

    A word that the reference has eight times in a row may stand there eleven times: twelve are four times three of it.

    Args:
        reference: normalised; words are split at spaces.
        hypothesis: the same.
    """
    heard = _repeated(hypothesis)
    return bool(heard) and not heard <= _repeated(reference)


def compression_ratio(text: str) -> float:
    """Bytes of the text over its compressed bytes, as Whisper judges its own output; 0 for an empty text."""
    data = text.encode()
    return len(data) / len(zlib.compress(data))


def _repeated(text: str) -> set[str]:
    """What stands `LOOP_TIMES` times in a row, each turned so that it does not matter where a loop begins."""
    words = text.split()
    # Of four equal letters or words, three have occurred before.
    phrases = _phrases(words) if len(words) - len(set(words)) >= LOOP_TIMES - 1 else ()
    stutters = [word for word in words if len(word) - len(set(word)) >= LOOP_TIMES - 1]
    pieces = (tuple(found[1]) for word in stutters for found in _PIECES.finditer(word))
    return {" ".join(_turned(phrase)) for phrase in phrases} | {"".join(_turned(piece)) for piece in pieces}


def _turned(unit: tuple[str, ...]) -> tuple[str, ...]:
    return min(unit[turn:] + unit[:turn] for turn in range(len(unit)))


def _phrases(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for size in range(1, len(words) // LOOP_TIMES + 1):
        start = 0
        for same, run in groupby(word == later for word, later in zip(words, words[size:], strict=False)):
            length = len(list(run))
            if same and length >= (LOOP_TIMES - 1) * size:
                yield tuple(words[start : start + size])
            start += length
