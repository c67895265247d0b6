"""Contract: two systems are compared on the same resampled groups, and the test says which is better and how surely."""

from itertools import product

import numpy as np
import pytest

from asr.errors import UserError
from asr.scoring.intervals import bootstrap_interval
from asr.scoring.paired import PairedTest, paired_bootstrap, share_below_zero
from benchmarks import coverage


def systems(clips: int, seed: int = 1) -> tuple[list[int], list[int], list[int], list[str]]:
    """Errors of two systems that fail at the same clips, the first a little less often."""
    random = np.random.default_rng(seed)
    words = random.integers(3, 15, clips)
    both = random.binomial(words, random.beta(2, 8, clips))
    baseline = np.minimum(words, both + random.binomial(1, 0.15, clips))
    return both.tolist(), baseline.tolist(), words.tolist(), [f"g{i % 40}" for i in range(clips)]


def test_the_difference_is_new_minus_baseline_over_all_words() -> None:
    test = paired_bootstrap([1, 0, 2], [2, 1, 2], [5, 10, 5], ["", "", ""])
    assert test.difference == -2 / 20
    assert test.low <= test.difference <= test.high
    assert test.groups == 3


def test_what_is_hard_for_both_cancels() -> None:
    errors, baseline, words, groups = systems(800)
    test = paired_bootstrap(errors, baseline, words, groups)
    alone = bootstrap_interval(errors, words, groups)
    assert alone.high > bootstrap_interval(baseline, words, groups).low  # two single intervals overlap
    assert test.high < 0
    assert test.high - test.low < (alone.high - alone.low) / 2


def test_equal_systems_are_a_draw() -> None:
    errors, _, words, groups = systems(100)
    assert paired_bootstrap(errors, errors, words, groups) == PairedTest(0.0, 0.0, 0.0, 0.5, 40)


def test_the_test_is_repeatable_and_turns_around_with_the_systems() -> None:
    errors, baseline, words, groups = systems(400)
    there = paired_bootstrap(errors, baseline, words, groups)
    back = paired_bootstrap(baseline, errors, words, groups)
    assert there == paired_bootstrap(errors, baseline, words, groups)
    assert back.difference == -there.difference
    width = there.high - there.low
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low), abs=0.05 * width)
    assert back.improvement == pytest.approx(1 - there.improvement, abs=0.02)


def test_improvement_is_the_share_of_all_possible_resamples_and_draws_count_half() -> None:
    """Of the 27 resamples of three clips, by hand."""
    errors, baseline = [0, 1, 2], [1, 1, 1]
    sums = [sum(drawn) for drawn in product([-1, 0, 1], repeat=3)]
    expected = (sum(s < 0 for s in sums) + sum(s == 0 for s in sums) / 2) / 27
    test = paired_bootstrap(errors, baseline, [3, 4, 5], ["", "", ""])
    assert test.improvement == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(("values", "share"), [([-1.0, 1.0], 0.5), ([0.0], 0.5), ([-1.0, 0.0], 0.75), ([1.0], 0.0)])
def test_the_share_below_zero_counts_zeros_half(values: list[float], share: float) -> None:
    assert share_below_zero(np.array(values)) == share


@pytest.mark.parametrize(("errors", "improvement"), [([0, 1], 1.0), ([2, 2], 0.0), ([0, 2], 0.5)])
def test_one_group_has_no_spread(errors: list[int], improvement: float) -> None:
    difference = (sum(errors) - 2) / 8
    test = paired_bootstrap(errors, [1, 1], [4, 4], ["one", "one"])
    assert test == PairedTest(difference, difference, difference, improvement, 1)


def test_a_gain_in_one_group_alone_is_no_gain_shown() -> None:
    """Forty clips better, but all of one speaker: by clips it looks certain."""
    errors, baseline = [0] * 40 + [1] * 160, [1] * 200
    groups = [f"speaker {i // 40}" for i in range(200)]
    assert paired_bootstrap(errors, baseline, [5] * 200, groups).high >= 0
    assert paired_bootstrap(errors, baseline, [5] * 200, [""] * 200).high < 0


def test_lists_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        paired_bootstrap([1, 2], [1], [4, 4], ["", ""])


def test_a_test_without_words_is_refused() -> None:
    with pytest.raises(UserError, match="0 groups"):
        paired_bootstrap([], [], [], [])


def test_intervals_of_differences_hold_the_truth_and_those_that_ignore_groups_do_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(coverage, "IGNORING_REPETITIONS", 60)
    found = coverage.coverage(coverage.POPULATIONS["uneven"], 20, -0.01, 300, np.random.default_rng(6))
    assert 0.91 < found["ours"] < 0.98
    assert found["clips"] < 0.85


@pytest.mark.parametrize(("difference", "least", "most"), [(0.0, 0.0, 0.045), (-0.005, 0.2, 0.6), (-0.02, 0.97, 1.0)])
def test_a_planted_difference_is_found_the_more_often_the_larger_it_is(
    difference: float, least: float, most: float
) -> None:
    found = coverage.verdict_shares(coverage.POWER, 60, difference, 250, np.random.default_rng(7))
    assert least <= found["better"] <= most
    assert found["worse"] <= 0.045
