"""Bootstrap of a ratio of two sums over groups of utterances (Bisani & Ney 2004; Liu & Peng, arXiv 1912.09508).

Utterances of one speaker share their difficulty, so whole groups are drawn; drawing utterances instead gives intervals
that are far too narrow. Everything is seeded: equal counts give equal replicates.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from asr.errors import UserError

REPLICATES = 10_000
SEED = 0
_TAIL = 0.025
"""Outside of the interval on either side: 95 % are inside."""
_DRAWS_AT_ONCE = 200_000
"""Random numbers in memory at a time: a few MB, whatever the size of the corpus."""
_DRAWS_A_CELL = 16
"""One binomial number of a multinomial draw takes as long as drawing so many indices (benchmarks/bootstrap.py)."""

Sums = NDArray[np.int64]
"""Numerator and denominator of each unit, shape = (units, 2)."""


@dataclass(frozen=True)
class Replicates:
    """The ratio on resampled corpora."""

    ratios: NDArray[np.float64]
    """One a replicate, shape = (REPLICATES,)."""
    groups: int
    """Units that were resampled."""
    effective_groups: float
    """As many groups of equal size would settle the ratio as well (`effective_number`)."""

    def bounds(self) -> tuple[float, float]:
        """The 95 % interval.

        A plain percentile interval is too narrow with few groups: it knows neither the factor sqrt(n / (n - 1)) of an
        unbiased variance nor Student's t. The expanded percentile interval of Hesterberg (2015) takes
        percentiles further out instead; n is the effective number of groups.
        """
        tail = expanded_tail(self.effective_groups)
        low, high = np.quantile(self.ratios, [tail, 1 - tail])
        return float(low), float(high)


def resample(numerators: Sequence[int], denominators: Sequence[int], groups: Sequence[str]) -> Replicates:
    """Replicates of sum(numerators) / sum(denominators); the three lists run over the utterances.

    Args:
        numerators: word errors, or differences of them.
        denominators: reference words.
        groups: an utterance with an empty group is a group of its own.

    Raises:
        UserError: no utterances, or a group without reference words.
    """
    sums = group_sums(np.array([numerators, denominators], dtype=np.int64).T, groups)
    if not len(sums) or sums[:, 1].min() < 1:
        raise UserError(
            f"an interval over {len(sums)} groups, some without reference words: leave clips without speech out of it"
        )
    random = np.random.default_rng(SEED)
    totals = np.concatenate(list(_totals(sums, random)))
    return Replicates(totals[:, 0] / totals[:, 1], len(sums), effective_number(sums[:, 1]))


def effective_number(sizes: NDArray[np.int64]) -> float:
    """Kish's effective number (1965, Survey Sampling): n for n groups of equal size, less for unequal.

    One group with half of all words tells hardly more than a single speaker does, however many small ones there are.
    """
    shares = sizes / sizes.sum()
    return float(1 / (shares @ shares))


def expanded_tail(groups: float) -> float:
    """Share of replicates below a 95 % interval: F(-sqrt(n / (n - 1)) t), F the normal distribution, t Student's.

    0.025 for many groups; for 2 or fewer practically 0, so that the interval is the range of the replicates.
    """
    from scipy.special import stdtrit  # a slow import that only this needs

    n = max(groups, 2.0)
    return NormalDist().cdf(-float(np.sqrt(n / (n - 1)) * stdtrit(n - 1, 1 - _TAIL)))


def group_sums(counts: NDArray[np.int64], groups: Sequence[str]) -> Sums:
    """Sums of each group in the order of their first utterances, then the utterances without a group.

    Args:
        counts: of each utterance, shape = (utterances, 2).
        groups: of the same utterances.
    """
    numbers = {group: i for i, group in enumerate(dict.fromkeys(filter(None, groups)))}
    of = np.array([numbers.get(group, -1) for group in groups], dtype=np.int64)
    alone = of < 0
    sums = np.zeros((len(numbers), 2), np.int64)
    np.add.at(sums, of[~alone], counts[~alone])
    return np.concatenate([sums, counts[alone]])


def _totals(sums: Sums, random: np.random.Generator) -> Iterator[Sums]:
    """Both sums of the replicates, shape = (some, 2), until there are `REPLICATES`.

    Drawing n units with replacement is one multinomial draw over the distinct pairs of sums: the same distribution, at
    the price of the distinct pairs. Where most pairs are distinct, drawing the units themselves is faster. In both
    cases equal units in another order give equal replicates.
    """
    cells, counts = _cells(sums)
    collapse = len(cells) * _DRAWS_A_CELL < len(sums)
    units = np.repeat(cells, counts, axis=0)
    at_once = max(1, _DRAWS_AT_ONCE // len(cells if collapse else units))
    for start in range(0, REPLICATES, at_once):
        size = min(at_once, REPLICATES - start)
        if collapse:
            yield random.multinomial(len(units), counts / len(units), size=size) @ cells
        else:
            drawn = random.integers(len(units), size=(size, len(units)))
            yield np.stack([column.take(drawn).sum(axis=1) for column in np.ascontiguousarray(units.T)], axis=1)


def _cells(sums: Sums) -> tuple[Sums, NDArray[np.int64]]:
    """The distinct rows in ascending order, and how often each occurs."""
    lowest = sums[:, 0].min()
    span = np.ptp(sums[:, 0]) + 1
    # One number a row: sorting those is a hundred times faster than sorting rows.
    keys, counts = np.unique(sums[:, 1] * span + (sums[:, 0] - lowest), return_counts=True)
    return np.stack([keys % span + lowest, keys // span], axis=1), counts
