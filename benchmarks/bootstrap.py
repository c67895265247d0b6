"""How long 10,000 replicates of a paired bootstrap take, against resampling the clips by their indices.

    python -m benchmarks.bootstrap [--rounds 5]

The counts of each clip are made up beforehand (8 words on average, 15 % errors); nothing is scored here. Timed are

ours             `asr.scoring.paired.paired_bootstrap` from lists as the stages pass them, with group sums and interval:
                 every clip by itself, two clips a group, and 1,000 groups (of the larger test sets)
ours, alone      `asr.scoring.intervals.bootstrap_interval`, the rate of one system
characters       `bootstrap_interval` of character errors, which take many more values
indices          the usual way, every clip by itself: draw as many indices as there are clips, add up their counts

in turn within each round, so that a busy moment hits all of them; a first round does not count. That ours and
the indices give the same interval, up to the chance in 10,000 replicates, is checked in every round.

Writes benchmarks/results/bootstrap.json.
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from asr.scoring.intervals import Interval, bootstrap_interval
from asr.scoring.paired import PairedTest, paired_bootstrap
from asr.scoring.resampling import REPLICATES
from benchmarks.records import spread, write_record

CLIPS = (923, 10_000, 35_000, 100_000)
MANY_GROUPS = 1000
APART = 0.1
"""Ends of two intervals of the same clips may lie so far apart, in widths: their standard error is about 0.007."""

Bounds = tuple[float, float]
Timed = Callable[["TestSet"], Bounds]


@dataclass(frozen=True)
class TestSet:
    """Counts of each clip, as lists."""

    __test__ = False
    """Its name begins like that of a class of tests."""

    errors: list[int]
    baseline: list[int]
    words: list[int]
    character_errors: list[int]
    characters: list[int]


def main() -> None:
    """Times all sizes, prints and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    figures: dict[str, Any] = {"replicates": REPLICATES}
    for clips in CLIPS:
        figures |= {f"{clips} clips, {name}": value for name, value in measured(clips, rounds).items()}
    command = f"python -m benchmarks.bootstrap --rounds {rounds}"
    print(write_record("bootstrap", command, ("numpy", "scipy"), figures).read_text(encoding="utf-8"))


def measured(clips: int, rounds: int) -> dict[str, Any]:
    """Seconds of each way, and how many times as long the indices take as ours."""
    test_set = made_up(clips, np.random.default_rng(1))
    ways = ways_for(clips)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name, wall in timed(test_set, ways).items():
            print(f"{clips} clips, {name}: {wall:.3f} s", flush=True)
            seconds[name] += [wall] * (turn > 0)
    ratios = [b / a for a, b in zip(seconds["ours"], seconds["indices"], strict=True)]
    return {
        **{f"{name}, s": spread(walls) for name, walls in seconds.items()},
        "indices over ours, ratio of a round": spread(ratios),
    }


def ways_for(clips: int) -> Mapping[str, Timed]:
    """What is timed; 1,000 groups only where that leaves some clips for each."""
    single = [""] * clips
    pairs = [f"group {i // 2}" for i in range(clips)]
    many = [f"group {i % MANY_GROUPS}" for i in range(clips)]
    ways: dict[str, Timed] = {
        "ours": lambda t: paired(t, single),
        "ours, two clips a group": lambda t: paired(t, pairs),
        "ours, 1000 groups": lambda t: paired(t, many),
        "ours, alone": lambda t: _ends(bootstrap_interval(t.errors, t.words, single)),
        "characters, alone": lambda t: _ends(bootstrap_interval(t.character_errors, t.characters, single)),
        "indices": by_indices,
    }
    if clips < 10 * MANY_GROUPS:
        del ways["ours, 1000 groups"]
    return ways


def timed(test_set: TestSet, ways: Mapping[str, Timed]) -> dict[str, float]:
    """Seconds of each way, one after another."""
    seconds, found = {}, {}
    for name, way in ways.items():
        start = perf_counter()
        found[name] = way(test_set)
        seconds[name] = perf_counter() - start
    ours, indices = np.array(found["ours"]), np.array(found["indices"])
    if np.abs(ours - indices).max() > APART * np.ptp(indices):
        raise SystemExit(f"the intervals differ: {ours} and {indices}")
    return seconds


def paired(test_set: TestSet, groups: list[str]) -> Bounds:
    """The interval of the difference."""
    return _ends(paired_bootstrap(test_set.errors, test_set.baseline, test_set.words, groups))


def by_indices(test_set: TestSet) -> Bounds:
    """The same for clips without groups, drawn one replicate after another; plain percentiles."""
    random = np.random.default_rng(1)
    differences = np.array(test_set.errors) - np.array(test_set.baseline)
    words = np.array(test_set.words)
    ratios = []
    for _ in range(REPLICATES):
        drawn = random.integers(len(words), size=len(words))
        ratios.append(differences[drawn].sum() / words[drawn].sum())
    low, high = np.percentile(ratios, [2.5, 97.5])
    return float(low), float(high)


def made_up(clips: int, random: np.random.Generator) -> TestSet:
    """A test set of which the baseline has a point more errors."""
    words = 1 + random.poisson(7, clips)
    characters = words + random.binomial(9 * words, 0.6)
    return TestSet(
        errors=random.binomial(words, 0.15).tolist(),
        baseline=random.binomial(words, 0.16).tolist(),
        words=words.tolist(),
        character_errors=random.binomial(characters, 0.05).tolist(),
        characters=characters.tolist(),
    )


def _ends(found: Interval | PairedTest) -> Bounds:
    return found.low, found.high


if __name__ == "__main__":
    main()
