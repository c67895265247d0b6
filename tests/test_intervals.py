"""Contract: a 95 % interval holds the truth in 95 of 100 test sets, also where speakers differ, and is repeatable."""

import json
import re
import subprocess
import sys
from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, norm, t

from asr.errors import UserError
from asr.scoring import resampling
from asr.scoring.intervals import bootstrap_interval
from asr.scoring.resampling import effective_number, expanded_tail, group_sums, resample
from benchmarks import bootstrap, coverage
from tests.pipeline import ROOT

COUNTS = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9), st.sampled_from(["", "a", "b", "c"])), min_size=1)


def grouped(count: int, seed: int = 1) -> tuple[list[int], list[int], list[str]]:
    """Errors, words and groups of clips; groups are hard or easy."""
    random = np.random.default_rng(seed)
    groups = random.integers(0, max(2, count // 10), count)
    words = random.integers(1, 15, count)
    rates = random.beta(2, 8, groups.max() + 1)[groups]
    return random.binomial(words, rates).tolist(), words.tolist(), [f"speaker {group}" for group in groups]


@pytest.mark.parametrize("draws_a_cell", [0, 10**9], ids=["distinct pairs", "units"])
def test_replicates_are_distributed_as_all_possible_resamples_are(
    draws_a_cell: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four units have 256 equally likely resamples, two of the units being equal."""
    monkeypatch.setattr(resampling, "_DRAWS_A_CELL", draws_a_cell)
    units = [(0, 3), (2, 5), (2, 5), (4, 2)]
    possible = Counter(sum(e for e, _ in drawn) / sum(w for _, w in drawn) for drawn in product(units, repeat=4))
    found = Counter(resample(*zip(*units, strict=True), groups=[""] * 4).ratios.tolist())
    assert found.keys() == possible.keys()
    for ratio, ways in possible.items():
        assert binomtest(found[ratio], resampling.REPLICATES, ways / 256).pvalue > 1e-4, ratio


@given(COUNTS)
def test_groups_are_summed_and_clips_without_one_stay_alone(rows: list[tuple[int, int, str]]) -> None:
    expected: dict[object, list[int]] = {}
    for i, (errors, words, group) in enumerate(rows):
        sums = expected.setdefault(group or i, [0, 0])
        sums[0], sums[1] = sums[0] + errors, sums[1] + words
    counts = np.array([row[:2] for row in rows], dtype=np.int64)
    assert sorted(group_sums(counts, [row[2] for row in rows]).tolist()) == sorted(expected.values())


@pytest.mark.parametrize("clips", [40, 4000])
def test_neither_the_order_of_the_clips_nor_the_names_of_the_groups_change_the_interval(clips: int) -> None:
    errors, words, groups = grouped(clips)
    order = np.random.default_rng(2).permutation(clips)
    shuffled = [[column[i] for i in order] for column in (errors, words, [f"renamed {group}" for group in groups])]
    assert bootstrap_interval(*shuffled) == bootstrap_interval(errors, words, groups)


def test_a_clip_with_a_group_of_its_own_is_one_without_a_group() -> None:
    errors, words, _ = grouped(300)
    names = [str(i) for i in range(300)]
    assert bootstrap_interval(errors, words, names) == bootstrap_interval(errors, words, [""] * 300)


@pytest.mark.parametrize("groups", [2, 3, 10, 30, 1000])
def test_percentiles_lie_further_out_by_students_t_and_the_unbiased_variance(groups: int) -> None:
    expected = norm.cdf(-np.sqrt(groups / (groups - 1)) * t.ppf(0.975, groups - 1))
    assert expanded_tail(groups) == pytest.approx(expected, abs=1e-12)


def test_percentiles_of_many_groups_are_the_plain_ones_and_of_two_the_range() -> None:
    assert expanded_tail(1e6) == pytest.approx(0.025, abs=1e-6)
    assert expanded_tail(1.0) == expanded_tail(2.0) < 1e-30


@pytest.mark.parametrize(
    ("sizes", "expected"), [([5, 5, 5], 3.0), ([7], 1.0), ([3, 1], 1.6), ([98, 1, 1], 10000 / 9606), ([1] * 50, 50.0)]
)
def test_the_effective_number_counts_unequal_groups_for_less(sizes: list[int], expected: float) -> None:
    assert effective_number(np.array(sizes)) == pytest.approx(expected)


def test_one_large_group_makes_the_interval_wider_than_its_percentiles() -> None:
    """Half of the words are one speaker's, of whom the forty others tell nothing."""
    words, groups = [400, *[10] * 40], ["loud", *[""] * 40]
    replicates = resample([30, *[0, 1, 2, 3] * 10], words, groups)
    assert replicates.groups == 41
    assert replicates.effective_groups == pytest.approx(1 / (0.25 + 40 * 0.0125**2))
    low, high = replicates.bounds()
    plain = np.quantile(replicates.ratios, [0.025, 0.975])
    assert low < plain[0] < plain[1] < high


@pytest.mark.parametrize(
    ("errors", "words", "groups", "count"), [([], [], [], 0), ([1, 2], [4, 0], ["", ""], 2), ([1], [0], ["a"], 1)]
)
def test_a_group_without_reference_words_is_refused(
    errors: list[int], words: list[int], groups: list[str], count: int
) -> None:
    with pytest.raises(UserError, match=f"over {count} groups"):
        bootstrap_interval(errors, words, groups)


@pytest.mark.parametrize("groups", [["a"], ["", ""], ["a", "a", "a", "a"], [""] * 4])
def test_another_number_of_groups_than_clips_is_refused(groups: list[str]) -> None:
    with pytest.raises((IndexError, ValueError)):
        bootstrap_interval([1, 2, 3], [4, 5, 6], groups)


@pytest.mark.parametrize("units", [30, 3000])
def test_replicates_are_drawn_in_slices_of_bounded_size(units: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resampling, "_DRAWS_AT_ONCE", 10_000)
    monkeypatch.setattr(resampling, "REPLICATES", 501)
    sums = np.stack([np.arange(units), np.arange(units) + 1], axis=1)
    sizes = [len(part) for part in resampling._totals(sums, np.random.default_rng(1))]
    assert sum(sizes) == 501
    assert max(sizes) * units <= 10_000


def test_the_module_is_light_until_an_interval_is_asked_for() -> None:
    code = "import asr.scoring.intervals, asr.scoring.paired, asr.scoring.mapsswe, sys; print('scipy' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_the_simulation_builds_the_intervals_that_are_reported() -> None:
    random = np.random.default_rng(3)
    drawn = coverage.draw(coverage.POPULATIONS["uneven"], 20, 3, 0.0, random)
    simulated = [bounds["ours"] for bounds in coverage.intervals(drawn.sums(), False, random)]
    for counts, starts, expected in zip(drawn.clips(), drawn.starts, simulated, strict=True):
        groups = np.searchsorted(starts - starts[0], np.arange(len(counts)), side="right")
        found = bootstrap_interval(counts[:, 0].tolist(), counts[:, 2].tolist(), [f"g{group}" for group in groups])
        assert (found.low, found.high) == pytest.approx(expected, abs=0.03 * (expected[1] - expected[0]))


def test_intervals_over_groups_hold_the_truth_and_intervals_that_ignore_them_do_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(coverage, "IGNORING_REPETITIONS", 60)
    found = coverage.coverage(coverage.POPULATIONS["uneven"], 20, None, 300, np.random.default_rng(4))
    assert 0.91 < found["ours"] < 0.975
    assert found["percentile"] < found["ours"]
    assert found["clips"] < 0.7


def test_where_groups_are_alike_ignoring_them_does_no_harm() -> None:
    found = coverage.coverage(coverage.POPULATIONS["alike"], 20, None, 60, np.random.default_rng(5))
    assert found["clips"] > 0.9


def test_the_coverage_that_the_document_states_is_the_one_recorded() -> None:
    record = json.loads((ROOT / "benchmarks/results/coverage.json").read_text(encoding="utf-8"))["figures"]
    tables = [record["coverage of the WER"], record["coverage of the difference, -1 point"]]
    document = (ROOT / "docs/intervals.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) (even|uneven|skewed) \| (.*) \|$", document, re.MULTILINE)
    assert len(rows) == 24
    for i, (groups, population, cells) in enumerate(rows):
        found = tables[i // 12][f"{population}, {groups} groups"]
        shares = [f"{100 * found[kind]:.1f}" for kind in ("ours", "all groups", "percentile", "BCa", "clips")]
        assert cells.split(" | ") == shares, (groups, population)


def test_the_benchmark_times_equal_work_and_stops_where_intervals_differ() -> None:
    test_set = bootstrap.made_up(60, np.random.default_rng(1))
    ways = dict(bootstrap.ways_for(60))
    assert bootstrap.timed(test_set, ways).keys() == ways.keys()
    with pytest.raises(SystemExit, match="the intervals differ"):
        bootstrap.timed(test_set, ways | {"ours": lambda _: (0.0, 1.0)})
