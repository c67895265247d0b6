"""Matched pairs sentence-segment word error test between two systems (Gillick & Cox 1989), as NIST's sc_stats runs it.

Errors come in bursts: one slip upsets the next words too. The test therefore cuts the utterances into segments between
stretches that both systems have right, and takes the segments, not the words, for independent.
"""

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from asr.scoring.alignment import align

RIGHT_BETWEEN = 2
"""Words in a row which both systems have right, with nothing inserted between them, end a segment."""


@dataclass(frozen=True)
class Mapsswe:
    """A system against a baseline over the segments in which at least one of them is wrong."""

    segments: int
    """The normal approximation wants about 30 or more."""
    mean: float
    """Errors of the system minus those of the baseline, a segment; 0 without segments."""
    z: float
    """The mean in its standard errors; 0 without segments."""
    p: float
    """Two-sided probability of such a z or a larger one if the systems were equally good; 1 without segments."""


def mapsswe(references: Sequence[str], baseline: Sequence[str], hypotheses: Sequence[str]) -> Mapsswe:
    """Tests whether two systems make equally many errors a segment; the texts are compared exactly as given.

    Where all segments have the same difference, their spread is taken about zero instead of their mean, since it would
    be none: z is then the root of the number of segments.

    Args:
        references: normalised.
        baseline: what one system wrote for the same utterances.
        hypotheses: what the system in question wrote.
    """
    texts = zip(references, baseline, hypotheses, strict=True)
    differences = [
        difference for said, old, new in texts for difference in _segments(_errors(said, old), _errors(said, new))
    ]
    if not differences:
        return Mapsswe(0, 0.0, 0.0, 1.0)
    mean = statistics.fmean(differences)
    spread = statistics.stdev(differences) if len(set(differences)) > 1 else abs(mean)
    z = mean / spread * math.sqrt(len(differences)) if spread else 0.0
    return Mapsswe(len(differences), mean, z, math.erfc(abs(z) / math.sqrt(2)))


def _errors(reference: str, hypothesis: str) -> list[int]:
    """Errors at each place: before the first word, at it, between it and the second, and so on to after the last."""
    places = [0]
    for step in align(reference, hypothesis):
        if step.kind == "insertion":
            places[-1] += 1
        else:
            places += [int(step.kind != "hit"), 0]
    return places


def _segments(baseline: Sequence[int], errors: Sequence[int]) -> Iterator[int]:
    """How many errors more than the baseline each segment has."""
    difference, right = None, 0
    for place, (old, new) in enumerate(zip(baseline, errors, strict=True)):
        if not old and not new:
            right += place % 2  # words have odd places
            continue
        if difference is not None and right >= RIGHT_BETWEEN:
            yield difference
            difference = 0
        difference = (difference or 0) + new - old
        right = 0
    if difference is not None:
        yield difference
