"""The difference between the error rates of two systems on the same clips, by paired bootstrap."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr.scoring.resampling import resample


@dataclass(frozen=True)
class PairedTest:
    """A system against a baseline; rates are fractions, and a negative difference means fewer errors."""

    difference: float
    """The system's rate minus the baseline's."""
    low: float
    """95 % expanded percentile interval of the difference."""
    high: float
    improvement: float
    """Share of the replicates in which the system has fewer errors than the baseline; equal numbers count half."""
    groups: int
    """Units resampled; below about 20 the interval itself is shaky."""


def paired_bootstrap(
    errors: Sequence[int], baseline: Sequence[int], words: Sequence[int], groups: Sequence[str]
) -> PairedTest:
    """Tests sum(errors) / sum(words) against sum(baseline) / sum(words), two systems on the same clips.

    Both are resampled together (Bisani & Ney 2004, section 4): what makes a clip hard for both cancels, so the interval
    is narrower than two separate ones suggest.

    Args:
        errors: of the system, one number an utterance.
        baseline: errors of the other system in the same utterances.
        words: of their references.
        groups: speakers or recordings; an utterance with an empty group is a group of its own. One single group cannot
            be resampled: low and high are then the difference itself.

    Raises:
        UserError: no utterances, or a group without reference words.
    """
    differences = [new - old for new, old in zip(errors, baseline, strict=True)]
    replicates = resample(differences, words, groups)
    low, high = replicates.bounds()
    return PairedTest(sum(differences) / sum(words), low, high, share_below_zero(replicates.ratios), replicates.groups)


def share_below_zero(values: NDArray[np.float64]) -> float:
    """Zeros count half."""
    return float(np.mean((values < 0) + 0.5 * (values == 0)))
