"""Error rates of parts of a corpus: by length in seconds and in words, by signal-to-noise ratio, by source."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from asr.scoring.intervals import Interval, bootstrap_interval
from asr.scoring.table import Table
from asr.scoring.wer import Pair, Score, corpus_score

DURATION_EDGES = (1.0, 2.0, 3.0, 5.0, 10.0, 30.0)
"""Inner borders of the duration bins in seconds; a clip on a border belongs to the shorter bin."""
DURATIONS = ("0-1", "1-2", "2-3", "3-5", "5-10", "10-30", "30+")

WORD_EDGES = (1, 2, 5, 10, 20)
"""The most words of a reference in each bin but the last."""
WORDS = ("1", "2", "3-5", "6-10", "11-20", "21+")

SNR_EDGES = (5.0, 10.0, 15.0, 20.0, 30.0)
"""Inner borders of the bins of signal-to-noise ratio in dB; a clip on a border belongs to the cleaner bin."""
SNRS = ("<5", "5-10", "10-15", "15-20", "20-30", "30+")

MOST_SOURCES = 20
"""Sources listed by name; the others are added up."""
OTHERS, UNSTATED = "(others)", "(not stated)"

_COLUMNS = ("wer", "words", "clips")

Spoken = tuple[Pair, Score]
"""One utterance with reference words and its counts."""
Label = TypeVar("Label", int, str)


@dataclass(frozen=True)
class Slice:
    """The clips of one bin."""

    label: str
    """Such as `2-3`, in seconds."""
    score: Score
    interval: Interval
    """Of the WER of this bin."""

    def as_plain(self) -> dict[str, Any]:
        """Rates, counts and interval for a metrics file."""
        return {**self.score.as_plain(), "wer_low": self.interval.low, "wer_high": self.interval.high}


@dataclass(frozen=True)
class Slices:
    """One corpus cut in four ways; bins without reference words are left out."""

    duration: tuple[Slice, ...]
    words: tuple[Slice, ...]
    """By words of the normalised reference."""
    snr: tuple[Slice, ...]
    """Without the clips of unknown ratio; empty where it is known of none."""
    source: tuple[Slice, ...]
    """The largest first; empty where there are not two sources to compare."""

    def as_plain(self) -> dict[str, Any]:
        """The cuts that say something, for a metrics file: slices by label."""
        cuts = {"duration": self.duration, "words": self.words, "snr": self.snr, "source": self.source}
        return {name: {part.label: part.as_plain() for part in cut} for name, cut in cuts.items() if cut}

    def tables(self) -> Mapping[str, Table]:
        """All cuts, by the name of the table; one that says nothing is a header alone."""
        return {
            "wer_by_duration": _table("seconds", self.duration),
            "wer_by_words": _table("reference_words", self.words),
            "wer_by_snr": _table("snr_db", self.snr),
            "wer_by_source": _table("source", self.source),
        }


def cut(pairs: Sequence[Pair], scores: Sequence[Score]) -> Slices:
    """All slices of a corpus; clips without reference words are in none.

    Args:
        pairs: utterances.
        scores: of the same utterances, on normalised texts.
    """
    spoken = [(pair, score) for pair, score in zip(pairs, scores, strict=True) if score.words]
    return Slices(
        duration=_binned(spoken, DURATIONS, lambda pair, _: bisect_left(DURATION_EDGES, pair.duration)),
        words=_binned(spoken, WORDS, lambda _, score: bisect_left(WORD_EDGES, score.words)),
        snr=_binned(spoken, SNRS, _snr_bin),
        source=_by_source(spoken),
    )


def _snr_bin(pair: Pair, _: Score) -> int | None:
    return None if pair.snr_db is None else bisect_right(SNR_EDGES, pair.snr_db)


def _binned(
    spoken: Sequence[Spoken], labels: Sequence[str], number: Callable[[Pair, Score], int | None]
) -> tuple[Slice, ...]:
    """Slices in the order of `labels`, by the number of the bin of each utterance."""
    bins = _by_label((number(pair, score), (pair, score)) for pair, score in spoken)
    return tuple(_slice(labels[index], bins[index]) for index in sorted(bins))


def _by_source(spoken: Sequence[Spoken]) -> tuple[Slice, ...]:
    """By clips, largest first, equal ones by name; those beyond `MOST_SOURCES` last, as one."""
    members = _by_label((pair.source or UNSTATED, (pair, score)) for pair, score in spoken)
    if len(members) < 2:
        return ()
    ranked = sorted(members, key=lambda name: (-len(members[name]), name))
    rest = [item for name in ranked[MOST_SOURCES:] for item in members[name]]
    slices = [_slice(name, members[name]) for name in ranked[:MOST_SOURCES]]
    return (*slices, _slice(OTHERS, rest)) if rest else tuple(slices)


def _by_label(labelled: Iterable[tuple[Label | None, Spoken]]) -> dict[Label, list[Spoken]]:
    """Utterances by label; those without one are left out."""
    members: dict[Label, list[Spoken]] = defaultdict(list)
    for label, item in labelled:
        if label is not None:
            members[label].append(item)
    return members


def _slice(label: str, members: Sequence[Spoken]) -> Slice:
    interval = bootstrap_interval(
        [score.errors for _, score in members],
        [score.words for _, score in members],
        [pair.group for pair, _ in members],
    )
    return Slice(label, corpus_score(score for _, score in members), interval)


def _table(first: str, slices: Sequence[Slice]) -> Table:
    rows = tuple((part.label, part.score.wer, part.score.words, part.score.clips) for part in slices)
    return Table((first, *_COLUMNS), rows)
