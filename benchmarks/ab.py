"""How often `compare` finds a planted difference of one point, and how often it sees one where none is.

    python -m benchmarks.ab

Each trial draws two systems' texts for one test set and asks `asr.comparing` for its verdict. Groups differ in
difficulty, each system has strong and weak groups of its own, and both tend to fail at the same words. The predicted
power comes from the spread of the difference over many more test sets of the same kind, without any bootstrap: a
difference d with standard error s is found with probability F(-c + d / s) + F(-c - d / s), where F is the normal
distribution and c its 97.5 % point.
"""

import argparse
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from asr.comparing.comparison import comparison
from asr.comparing.systems import Normalizer, System
from asr.comparing.verdict import verdict
from asr.scoring.wer import Pair
from benchmarks.records import write_record

GROUPS, CLIPS, WORDS = 60, 25, 8
"""Groups, clips of each, words of a clip: 12,000 words."""
RATE = 0.1
"""Word error rate of the first system."""
PLANTED = -0.01
SHAPE = 4.0
"""Of the gamma distribution of the groups' difficulty: its coefficient of variation is 0.5."""
TASTE = 0.1
"""Standard deviation of the logarithm by which a system's rate in a group differs from the group's."""
SHARED = 0.5
"""Share of the words at which both systems' luck is the same."""
SIMULATED = 20_000
"""Test sets behind the predicted power."""

Wrong = NDArray[np.bool_]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=500)
    args = parser.parse_args()
    figures = {
        "test set": {"groups": GROUPS, "clips": GROUPS * CLIPS, "words": GROUPS * CLIPS * WORDS, "WER of A": RATE},
        "planted difference": planted(args.trials, PLANTED, seed=1),
        "none planted": planted(args.trials, 0.0, seed=2),
    }
    path = write_record(
        "ab", f"python -m benchmarks.ab --trials {args.trials}", ("numpy", "scipy", "rapidfuzz"), figures
    )
    print(path.read_text(encoding="utf-8"))


def planted(trials: int, difference: float, seed: int) -> dict[str, Any]:
    """Share of the trials with a verdict, with its exact 95 % binomial interval, beside the predicted share."""
    random = np.random.default_rng(seed)
    verdicts = [verdict(comparison(*systems(difference, random))).better for _ in range(trials)]
    found = trials - verdicts.count(None)
    interval = binomtest(found, trials).proportion_ci(method="exact")
    error = standard_error(difference, np.random.default_rng(seed + 100))
    return {
        "difference": difference,
        "trials": trials,
        "B is better": verdicts.count("B"),
        "A is better": verdicts.count("A"),
        "share with a verdict": round(found / trials, 4),
        "its 95 % interval": [round(interval.low, 4), round(interval.high, 4)],
        "share predicted": round(power(difference, error), 4),
        "standard error of the difference": float(f"{error:.4g}"),
    }


def power(difference: float, error: float) -> float:
    """Probability that a difference with this standard error lies outside of its 95 % interval; 0.05 for none."""
    normal = NormalDist()
    c, shift = normal.inv_cdf(0.975), difference / error
    return normal.cdf(-c + shift) + normal.cdf(-c - shift)


def standard_error(difference: float, random: np.random.Generator) -> float:
    """Standard deviation of the difference over test sets."""
    found = []
    for _ in range(SIMULATED):
        a, b = errors(difference, random)
        found.append(b.mean() - a.mean())
    return float(np.std(found, ddof=1))


def errors(difference: float, random: np.random.Generator) -> tuple[Wrong, Wrong]:
    """Which words of one test set each system has wrong, shape = (groups, clips, words)."""
    shape = (GROUPS, CLIPS, WORDS)
    group = random.gamma(SHAPE, 1 / SHAPE, GROUPS)
    rates = [rate * group * random.lognormal(-(TASTE**2) / 2, TASTE, GROUPS) for rate in (RATE, RATE + difference)]
    luck = random.random(shape)
    own = np.where(random.random(shape) < SHARED, luck, random.random(shape))
    return luck < rates[0][:, None, None], own < rates[1][:, None, None]


def systems(difference: float, random: np.random.Generator) -> tuple[System, System]:
    """Both systems' texts for one test set."""
    a, b = errors(difference, random)
    return System("A", _pairs(a), HERE), System("B", _pairs(b), HERE)


HERE = Normalizer.here("az", "keep")
REFERENCE = np.array(["bu", "gün", "hava", "yaxşı", "sabah", "yağış", "olacaq", "deyirlər"])


def _pairs(wrong: Wrong) -> tuple[Pair, ...]:
    """A wrong word becomes one that no reference holds, so that each is one substitution."""
    reference = " ".join(REFERENCE)
    texts = np.where(wrong, "səhv", REFERENCE)
    return tuple(
        Pair(f"{group}-{clip}", reference, " ".join(texts[group, clip]), f"group {group}", 4.0)
        for group, clip in np.ndindex(wrong.shape[:2])
    )


if __name__ == "__main__":
    main()
