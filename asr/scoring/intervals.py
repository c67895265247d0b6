"""Confidence intervals of corpus error rates by bootstrap (Bisani & Ney 2004).

Utterances of one speaker share their difficulty, so whole groups are resampled (Liu & Peng, arXiv
1912.09508); resampling utterances instead gives intervals that are far too narrow.
"""

from collections import defaultdict
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
    sums = _group_sums(errors, words, groups)
    cells, counts = np.unique(sums, axis=0, return_counts=True)
    random = np.random.default_rng(SEED)
    rates = [
        _rates(random.multinomial(len(sums), counts / len(sums), size=_SLICE), cells)
        for _ in range(REPLICATES // _SLICE)
    ]
    low, high = np.percentile(np.concatenate(rates), [2.5, 97.5])
    return Interval(float(low), float(high), len(sums))


def _group_sums(errors: Sequence[int], words: Sequence[int], groups: Sequence[str]) -> NDArray[np.int64]:
    """Errors and words of each group, shape = (groups, 2)."""
    sums: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0])
    for i, (error, word, group) in enumerate(zip(errors, words, groups, strict=True)):
        cell = sums[group, -1 if group else i]
        cell[0] += error
        cell[1] += word
    return np.array(list(sums.values()), dtype=np.int64)


def _rates(weights: NDArray[np.int64], cells: NDArray[np.int64]) -> NDArray[np.float64]:
    """Error rate of each replicate; weights have shape (replicates, cells), cells (cells, 2)."""
    totals = weights @ cells
    return np.asarray(totals[:, 0] / totals[:, 1], dtype=np.float64)
