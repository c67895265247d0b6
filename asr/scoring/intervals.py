"""Confidence intervals of corpus error rates by bootstrap over groups (docs/intervals.md)."""

from collections.abc import Sequence
from dataclasses import dataclass

from asr.scoring.resampling import resample


@dataclass(frozen=True)
class Interval:
    """95 % expanded percentile interval of an error rate, as fractions."""

    low: float
    high: float
    groups: int
    """Units resampled; below about 20 the interval itself is shaky."""


def bootstrap_interval(errors: Sequence[int], words: Sequence[int], groups: Sequence[str]) -> Interval:
    """Interval of sum(errors) / sum(words); the three lists run over the utterances.

    An utterance with an empty group is a group of its own. One single group cannot be resampled: low and high are then
    the rate itself.

    Raises:
        UserError: no utterances, or a group without reference words.
    """
    replicates = resample(errors, words, groups)
    low, high = replicates.bounds()
    return Interval(low, high, replicates.groups)
