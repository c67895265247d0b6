"""Confidence intervals of corpus error rates by bootstrap (Bisani & Ney 2004).

Utterances of one speaker share their difficulty, so whole groups are resampled (Liu & Peng, arXiv
1912.09508); resampling utterances instead gives intervals that are far too narrow.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

REPLICATES = 1000
SEED = 0
_SLICE = 100
"""Replicates drawn at a time: bounds the weight matrix to 100 x cells."""


@dataclass(frozen=True)
class Interval:
    """95 % percentile interval of an error rate, as fractions."""

    low: float
    high: float
    groups: int
    """Units resampled; below about 20 the interval itself is shaky."""


def bootstrap_interval(errors: Sequence[int], words: Sequence[int], groups: Sequence[str]) -> Interval:
    """Interval of sum(errors) / sum(words); the three lists run over the utterances.

    An utterance with an empty group is a group of its own. Resampling n groups is one multinomial draw
    over the distinct (errors, words) sums of groups: the same distribution, at the price of the distinct
    pairs. One single group cannot be resampled: low and high are then the rate itself.
    """
    return _interval(np.array([errors, words], dtype=np.int64).T, groups)


def paired_interval(
    errors: Sequence[int], baseline: Sequence[int], words: Sequence[int], groups: Sequence[str]
) -> Interval:
    """Interval of the difference sum(errors) / sum(words) - sum(baseline) / sum(words), two systems on the same clips.

    Both are resampled together (Bisani & Ney 2004, section 4): what makes a clip hard for both cancels, so the interval
    is narrower than two separate ones suggest. Negative: fewer errors than the baseline.
    """
    difference = np.array(errors, dtype=np.int64) - np.array(baseline, dtype=np.int64)
    return _interval(np.stack([difference, np.array(words, dtype=np.int64)], axis=1), groups)


def _interval(cells: NDArray[np.int64], groups: Sequence[str]) -> Interval:
    """Of a ratio of two sums over the utterances, whose parts have shape = (utterances, 2)."""
    sums = _group_sums(cells, groups)
    cells, counts = np.unique(sums, axis=0, return_counts=True)
    random = np.random.default_rng(SEED)
    rates = [
        _rates(random.multinomial(len(sums), counts / len(sums), size=_SLICE), cells)
        for _ in range(REPLICATES // _SLICE)
    ]
    low, high = np.percentile(np.concatenate(rates), [2.5, 97.5])
    return Interval(float(low), float(high), len(sums))


def _group_sums(cells: NDArray[np.int64], groups: Sequence[str]) -> NDArray[np.int64]:
    """Sums of each group in the order of their first utterances, shape = (groups, 2)."""
    numbers: dict[tuple[str, int], int] = {}
    of = [
        numbers.setdefault((group, -1 if group else i), len(numbers))
        for i, (group, _) in enumerate(zip(groups, cells, strict=True))
    ]
    sums = np.zeros((len(numbers), 2), np.int64)
    np.add.at(sums, of, cells)
    return sums


def _rates(weights: NDArray[np.int64], cells: NDArray[np.int64]) -> NDArray[np.float64]:
    """Rate of each replicate; weights have shape (replicates, cells), cells (cells, 2)."""
    totals = weights @ cells
    return np.asarray(totals[:, 0] / totals[:, 1], dtype=np.float64)
