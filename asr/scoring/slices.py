"""Error rates of parts of a corpus."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from asr.scoring.wer import Score, corpus_score

DURATION_EDGES = (1.0, 2.0, 3.0, 5.0, 10.0, 30.0)
"""Inner borders of the duration bins in seconds; a clip on a border belongs to the shorter bin."""

TSV_COLUMNS = ("seconds", "wer", "words", "clips")


@dataclass(frozen=True)
class Slice:
    """The clips of one bin."""

    label: str
    """Such as `2-3`, in seconds."""
    score: Score

    def as_row(self) -> tuple[str, float, int, int]:
        """A row of `plots/evaluate/wer_by_duration.tsv`, in the order of `TSV_COLUMNS`."""
        return self.label, self.score.wer, self.score.words, self.score.clips


def by_duration(durations: Sequence[float], scores: Sequence[Score]) -> list[Slice]:
    """One slice a bin of clip length, from short to long; bins without reference words are left out.

    Args:
        durations: seconds of each clip.
        scores: of the same clips.
    """
    bins: dict[int, list[Score]] = defaultdict(list)
    for duration, score in zip(durations, scores, strict=True):
        if score.words:
            bins[bisect_left(DURATION_EDGES, duration)].append(score)
    return [Slice(_label(index), corpus_score(bins[index])) for index in sorted(bins)]


def as_plain(slices: Sequence[Slice]) -> dict[str, Any]:
    """Slices for a metrics file, by label."""
    return {part.label: part.score.as_plain() for part in slices}


def _label(index: int) -> str:
    if index == len(DURATION_EDGES):
        return f"{DURATION_EDGES[-1]:g}+"
    low = DURATION_EDGES[index - 1] if index else 0.0
    return f"{low:g}-{DURATION_EDGES[index]:g}"
