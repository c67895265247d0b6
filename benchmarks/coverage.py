"""How often a 95 % interval holds the truth, and how often a planted difference is found: a simulation.

    python -m benchmarks.coverage [--repetitions 4000] [--verdicts 2000]

Test sets are drawn from populations whose truth is known. Groups (speakers) differ in difficulty; clips have 2 or more
words, 8 on average; a second system has strong and weak groups of its own and tends to fail at the words at which the
first one fails. Each test set gets these intervals, from the same 10,000 replicates:

ours          `asr.scoring.resampling`: expanded percentiles with the effective number of groups
all groups    the same with the plain number of groups
percentile    2.5 and 97.5 % of the replicates
BCa           bias-corrected and accelerated (Efron 1987), acceleration by the jackknife over groups
clips         percentiles when clips are resampled and groups ignored: 1,000 replicates, the first 1,000 test sets

Replicates of ours and the next three share their draws of groups within 250 test sets. A coverage from 4,000 test
sets has a standard error of 0.35 points. The verdict on two systems is "the interval of the difference excludes zero".

Writes benchmarks/results/coverage.json.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from asr.scoring.resampling import REPLICATES, Replicates, effective_number, expanded_tail
from benchmarks.records import write_record

RATE = 0.1
"""Word error rate of the first system."""
CLIPS = 20
"""Of a group, on average."""
SHARED = 0.5
"""Share of the words at which both systems' luck is the same."""
AT_ONCE = 250
"""Test sets that share draws of groups."""
GROUPS = (10, 20, 30, 50, 100, 200)
POWER_GROUPS = (20, 60, 100, 200, 400)
PLANTED = (0.0, 0.0025, 0.005, 0.01, 0.02)
"""Differences to be found, as fractions."""
IGNORING_REPETITIONS, IGNORING_REPLICATES = 1000, 1000

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]
Bounds = tuple[float, float]


@dataclass(frozen=True)
class Population:
    """Where test sets come from."""

    description: str
    difficulty: Callable[[np.random.Generator, int], Floats]
    """Factors of the rate of each group, mean 1."""
    even: bool
    """Whether all groups have the same number of clips; else the numbers are geometric."""
    taste: float = 0.2
    """Standard deviation of the logarithm by which a system's rate in a group differs from the group's."""


def _gamma(random: np.random.Generator, groups: int) -> Floats:
    return random.gamma(4.0, 0.25, groups)


def _lognormal(sigma: float, random: np.random.Generator, groups: int) -> Floats:
    return random.lognormal(-(sigma**2) / 2, sigma, groups)


POPULATIONS = {
    "alike": Population("all groups equally hard, unequal sizes", lambda _, n: np.ones(n), even=False, taste=0.0),
    "even": Population("gamma difficulty, coefficient of variation 0.5, 20 clips each", _gamma, even=True),
    "uneven": Population("gamma difficulty, coefficient of variation 0.5, unequal sizes", _gamma, even=False),
    "skewed": Population("log-normal difficulty, sigma 0.6, unequal sizes", partial(_lognormal, 0.6), even=False),
}
POWER = Population("gamma difficulty, coefficient of variation 0.5, 20 clips each", _gamma, even=True, taste=0.1)


@dataclass(frozen=True)
class TestSets:
    """Several test sets of the same number of groups."""

    __test__ = False
    """Its name begins like that of a class of tests."""

    counts: Counts
    """Errors of either system and words of every clip, shape = (clips, 3)."""
    starts: Counts
    """The first clip of each group, shape = (test sets, groups)."""

    def sums(self) -> Counts:
        """Of each group, shape = (test sets, groups, 3)."""
        return np.add.reduceat(self.counts, self.starts.ravel()).reshape(*self.starts.shape, 3)

    def clips(self) -> Iterator[Counts]:
        """Counts of the clips, a test set at a time."""
        yield from np.split(self.counts, self.starts[1:, 0])


def main() -> None:
    """Runs everything, prints and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=4000)
    parser.add_argument("--verdicts", type=int, default=2000, help="test sets for each planted difference")
    args = parser.parse_args()
    repetitions = args.repetitions
    figures = {
        "test sets of each coverage": repetitions,
        "test sets of each share of verdicts": args.verdicts,
        "populations": {name: population.description for name, population in POPULATIONS.items()},
        "coverage of the WER": table(repetitions, None),
        "coverage of the difference, -1 point": table(repetitions, -0.01),
        "verdicts": verdicts(args.verdicts),
    }
    command = f"python -m benchmarks.coverage --repetitions {repetitions} --verdicts {args.verdicts}"
    print(write_record("coverage", command, ("numpy", "scipy"), figures).read_text(encoding="utf-8"))


def table(repetitions: int, difference: float | None) -> dict[str, Any]:
    """Coverage by population and number of groups: of the rate of one system, or of a difference between two."""
    found = {}
    for name, population in POPULATIONS.items():
        for groups in GROUPS:
            label = f"{name}, {groups} groups"
            found[label] = coverage(population, groups, difference, repetitions, np.random.default_rng(groups))
            print(label, found[label], flush=True)
    return found


def coverage(
    population: Population, groups: int, difference: float | None, repetitions: int, random: np.random.Generator
) -> dict[str, float]:
    """Share of the test sets whose interval holds the truth, by kind of interval."""
    truth = RATE if difference is None else difference
    hits: Counter[str] = Counter()
    ignored = min(repetitions, IGNORING_REPETITIONS)
    for start in range(0, repetitions, AT_ONCE):
        drawn = draw(population, groups, min(AT_ONCE, repetitions - start), difference or 0.0, random)
        for bounds in intervals(drawn.sums(), difference is not None, random):
            hits.update(kind for kind, (low, high) in bounds.items() if low <= truth <= high)
        for counts in list(drawn.clips())[: max(0, ignored - start)]:
            low, high = ignoring_groups(_ratio(counts, difference is not None), random)
            hits["clips"] += low <= truth <= high
    kinds = ("ours", "all groups", "percentile", "BCa")
    shares = {kind: round(hits[kind] / repetitions, 4) for kind in kinds}
    return {**shares, "clips": round(hits["clips"] / ignored, 4)}


def verdicts(repetitions: int) -> dict[str, Any]:
    """How often the interval of the difference excludes zero, by planted difference and size of the test set."""
    found = {}
    for groups in POWER_GROUPS:
        for planted in PLANTED:
            label = f"{100 * planted:g} points, {groups} groups, {groups * CLIPS * 8} words"
            found[label] = verdict_shares(POWER, groups, -planted, repetitions, np.random.default_rng(groups))
            print(label, found[label], flush=True)
    return {"population": POWER.description, **found}


def verdict_shares(
    population: Population, groups: int, difference: float, repetitions: int, random: np.random.Generator
) -> dict[str, float]:
    """Shares of the test sets on which the second system is called better or worse, and the interval's mean width."""
    found: list[Bounds] = []
    for start in range(0, repetitions, AT_ONCE):
        drawn = draw(population, groups, min(AT_ONCE, repetitions - start), difference, random)
        found += [bounds["ours"] for bounds in intervals(drawn.sums(), True, random)]
    low, high = np.array(found).T
    return {
        "better": round(float((high < 0).mean()), 4),
        "worse": round(float((low > 0).mean()), 4),
        "half width, points": round(float(100 * (high - low).mean() / 2), 3),
    }


def draw(
    population: Population, groups: int, test_sets: int, difference: float, random: np.random.Generator
) -> TestSets:
    """Test sets with two systems, whose true rates are `RATE` and `RATE + difference`."""
    count = groups * test_sets
    sizes = np.full(count, CLIPS) if population.even else random.geometric(1 / CLIPS, count)
    words = 2 + random.poisson(6, sizes.sum())
    difficulty = population.difficulty(random, count)
    rates = [
        np.repeat(np.minimum(rate * difficulty * _lognormal(population.taste, random, count), 0.95), sizes)
        for rate in (RATE, RATE + difference)
    ]
    errors = _errors(words, rates[0], rates[1], random)
    return TestSets(np.stack([*errors, words], axis=1), (np.cumsum(sizes) - sizes).reshape(test_sets, groups))


def _errors(words: Counts, a: Floats, b: Floats, random: np.random.Generator) -> tuple[Counts, Counts]:
    """Errors of both systems in each clip: words wrong in both, in the first alone, in the second alone."""
    both_rate = SHARED * np.minimum(a, b) + (1 - SHARED) * a * b
    both = random.binomial(words, both_rate)
    only_a = random.binomial(words - both, (a - both_rate) / (1 - both_rate))
    only_b = random.binomial(words - both - only_a, (b - both_rate) / (1 - a))
    return both + only_a, both + only_b


def _ratio(counts: Counts, paired: bool) -> Counts:
    """Numerator and denominator of a rate or of a difference of rates; the last axis of `counts` has 3 parts."""
    numerator = counts[..., 1] - counts[..., 0] if paired else counts[..., 0]
    return np.stack([numerator, counts[..., 2]], axis=-1)


def intervals(sums: Counts, paired: bool, random: np.random.Generator) -> Iterator[Mapping[str, Bounds]]:
    """All intervals over groups, a test set at a time.

    Args:
        sums: shape = (test sets, groups, 3).
        paired: whether of the difference of the two systems.
        random: draws the groups.
    """
    groups = sums.shape[1]
    # Sums of less than 2 ** 24 are exact in float32.
    weights = random.multinomial(groups, np.full(groups, 1 / groups), size=REPLICATES).T.astype(np.float32)
    for units in _ratio(sums, paired):
        numerators, words = units.T.astype(np.float32) @ weights
        yield _intervals_of(units, numerators.astype(np.float64) / words)


def _intervals_of(units: Counts, ratios: Floats) -> Mapping[str, Bounds]:
    tail = expanded_tail(len(units))
    levels = {"all groups": (tail, 1 - tail), "percentile": (0.025, 0.975), "BCa": bca_levels(units, ratios)}
    values = np.quantile(ratios, list(levels.values()))
    ours = Replicates(ratios, len(units), effective_number(units[:, 1])).bounds()
    return {"ours": ours, **{kind: (low, high) for kind, (low, high) in zip(levels, values.tolist(), strict=True)}}


def bca_levels(units: Counts, ratios: Floats) -> Bounds:
    """Percentile levels of the BCa interval (Efron 1987; acceleration by the jackknife).

    Args:
        units: numerator and denominator of each group.
        ratios: of the replicates.
    """
    totals = units.sum(axis=0)
    rate = totals[0] / totals[1]
    left_out = totals - units
    jackknife = left_out[:, 0] / left_out[:, 1]
    away = jackknife.mean() - jackknife
    spread = (away**2).sum() ** 1.5
    acceleration = (away**3).sum() / (6 * spread) if spread else 0.0
    below = np.mean((ratios < rate) + 0.5 * (ratios == rate))
    bias = ndtri(np.clip(below, 1e-4, 1 - 1e-4))
    shifted = bias + ndtri(np.array([0.025, 0.975]))
    low, high = ndtr(bias + shifted / (1 - acceleration * shifted))
    return float(low), float(high)


def ignoring_groups(clips: Counts, random: np.random.Generator) -> Bounds:
    """Percentile interval from resampled clips; `clips` has shape (clips, 2)."""
    cells, counts = np.unique(clips, axis=0, return_counts=True)
    numerators, words = (random.multinomial(len(clips), counts / len(clips), size=IGNORING_REPLICATES) @ cells).T
    low, high = np.quantile(numerators / words, [0.025, 0.975])
    return float(low), float(high)


if __name__ == "__main__":
    main()
