"""Contract: MAPSSWE compares errors in segments between words that both systems have right, and tests their mean."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm, ttest_1samp

from asr.scoring.mapsswe import Mapsswe, mapsswe
from asr.scoring.wer import score_utterances

TEXTS = st.text("abc ", max_size=12)

SEGMENTS = [
    # reference, baseline, hypothesis, difference of each segment
    ("a b c d", "a b c d", "a b c d", []),
    ("", "", "", []),
    ("a b c d", "x b c d", "a b c d", [-1]),
    ("a b c d", "a b c d", "x b c d", [1]),
    ("a b c d", "x b c d", "x b c d", [0]),
    ("a b c d", "x b c y", "a b c d", [-1, -1]),
    ("a b c", "x b y", "a b c", [-2]),
    ("a b c d", "x b c d", "a b c y", [-1, 1]),
    ("a b c", "x b c", "a b y", [0]),
    # two right words of one system are no border where the other is wrong at one of them
    ("a b c d", "x b c y", "a z c d", [-1]),
    # nor where something is inserted between them
    ("a b c d", "x b c y", "a b z c d", [-1]),
    ("a b c d", "a b c d z", "z a b c d", [1, -1]),
    ("a b c d", "a b z z c d", "a b c d", [-2]),
    ("a b c d", "", "a b c d", [-4]),
    ("", "a b", "a", [-1]),
]


def burst(*differences: int) -> Mapsswe:
    """A test of utterances of one segment each, in which the hypothesis has so many errors more than the baseline."""
    written = [("a" + " z" * -d, "a" + " z" * d) if d else ("x", "x") for d in differences]
    return mapsswe(["a"] * len(written), [old for old, _ in written], [new for _, new in written])


@pytest.mark.parametrize(("reference", "baseline", "hypothesis", "differences"), SEGMENTS)
def test_segments_lie_between_two_words_that_both_have_right(
    reference: str, baseline: str, hypothesis: str, differences: list[int]
) -> None:
    found = mapsswe([reference], [baseline], [hypothesis])
    assert found.segments == len(differences)
    assert found.mean == (sum(differences) / len(differences) if differences else 0.0)


def test_the_example_that_explains_the_test_has_its_four_segments() -> None:
    """The alignments by which NIST's documentation shows the segments: 2 and 0 errors, 0 and 1, 1 and 2, 1 and 0."""
    found = mapsswe(
        ["it was the best of times it was the worst of times it was"],
        ["its the best of times it is the worst of times or it was"],
        ["it was the best times it won the test of times it was"],
    )
    differences = [-2, 1, 1, -1]
    assert (found.segments, found.mean) == (4, sum(differences) / 4)
    assert found.z == pytest.approx(ttest_1samp(differences, 0).statistic)


@pytest.mark.parametrize("differences", [[1, 2, -1], [3, 1, 1, 0, 2, -1, 1], [-2, -1, -3, 0], [1, 0] * 50])
def test_the_statistic_is_the_mean_in_standard_errors_and_normal(differences: list[int]) -> None:
    found = burst(*differences)
    assert found.segments == len(differences)
    assert found.z == pytest.approx(ttest_1samp(differences, 0).statistic)
    assert found.p == pytest.approx(2 * norm.sf(abs(found.z)))


def test_without_segments_nothing_speaks_for_either() -> None:
    assert mapsswe([], [], []) == mapsswe(["a b"], ["a b"], ["a b"]) == Mapsswe(0, 0.0, 0.0, 1.0)


def test_segments_with_as_many_errors_in_both_are_counted_and_speak_for_neither() -> None:
    assert burst(0, 0, 0) == Mapsswe(3, 0.0, 0.0, 1.0)


@pytest.mark.parametrize(("count", "difference"), [(1, 1), (1, -3), (4, 2), (100, -1)])
def test_where_all_segments_differ_alike_their_number_decides(count: int, difference: int) -> None:
    found = burst(*[difference] * count)
    assert (found.segments, found.mean) == (count, difference)
    assert found.z == pytest.approx(math.copysign(math.sqrt(count), difference))
    assert found.p == pytest.approx(2 * norm.sf(math.sqrt(count)))


def test_a_small_probability_is_not_rounded_to_none() -> None:
    assert 0 < burst(*[-1] * 400).p < 1e-80


@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS), max_size=6))
def test_segments_hold_all_errors_and_exchanging_the_systems_turns_the_sign(texts: list[tuple[str, str, str]]) -> None:
    references, baseline, hypotheses = ([text[i] for text in texts] for i in range(3))
    found, back = mapsswe(references, baseline, hypotheses), mapsswe(references, hypotheses, baseline)
    old, new = (sum(s.errors for s in score_utterances(references, heard)) for heard in (baseline, hypotheses))
    assert found.mean * found.segments == pytest.approx(new - old)
    assert (back.segments, back.mean, back.p) == (found.segments, -found.mean, found.p)
    assert back.z == pytest.approx(-found.z)


@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS), max_size=6))
def test_no_segment_reaches_across_utterances(texts: list[tuple[str, str, str]]) -> None:
    alone = sum(mapsswe([said], [old], [new]).segments for said, old, new in texts)
    assert mapsswe(*([text[i] for text in texts] for i in range(3))).segments == alone


def test_lists_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        mapsswe(["a", "b"], ["a"], ["a", "b"])
