"""Contract: calibration says how often words of a given confidence are right, and counts what it cannot say."""

import time
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.scoring import calibration as module
from asr.scoring.calibration import TSV_COLUMNS, Bin, Calibration, calibration
from asr.scoring.wer import Pair


def pair(reference: str, hypothesis: str) -> Pair:
    return Pair("c", reference, hypothesis, "g", 1.0)


def judged(words: list[tuple[float, bool]]) -> Calibration:
    """Each word in a clip of its own."""
    pairs = [pair("bəli", "bəli" if right else "xeyr") for _, right in words]
    return calibration(pairs, [(value,) for value, _ in words], "az")


def test_a_worked_example() -> None:
    found = calibration([pair("Bakıda hava küləkli", "Bakıda, həva küləkli da")], [(0.95, 0.35, 0.85, 0.15)], "az")
    assert found == Calibration(
        words=4,
        accuracy=0.5,
        mean_confidence=pytest.approx(0.575),
        expected_calibration_error=pytest.approx((0.05 + 0.35 + 0.15 + 0.15) / 4),
        brier=pytest.approx((0.05**2 + 0.35**2 + 0.15**2 + 0.15**2) / 4),
        auroc=1.0,
        clips_left_out=0,
        bins=(Bin(0.15, 0.0, 1), Bin(0.35, 0.0, 1), Bin(0.85, 1.0, 1), Bin(0.95, 1.0, 1)),
    )


RIGHT = [
    ("salam dünya", "salam dünya", [True, True]),
    ("salam dünya", "Salam, DÜNYA!", [True, True]),
    ("salam dünya", "salam", [True]),  # a deleted word has no confidence
    ("salam dünya", "salam da dünya", [True, False, True]),
    ("", "salam", [False]),  # made up where nobody speaks
    ("salam", "", []),
    ("salam dünya", "salam - dünya", [True, True]),  # a dash is no word
    ("beş % artım", "5% artım", [False, True, True]),  # `5%` is two words of one confidence
]


@pytest.mark.parametrize(("reference", "hypothesis", "right"), RIGHT)
def test_a_word_is_right_if_scoring_has_it_as_a_hit(reference: str, hypothesis: str, right: list[bool]) -> None:
    found = calibration([pair(reference, hypothesis)], [[0.75] * len(hypothesis.split())], "az")
    assert found.words == len(right)
    assert found.accuracy == (pytest.approx(sum(right) / len(right)) if right else None)
    assert found.clips_left_out == 0


def test_the_parts_of_a_word_share_its_confidence() -> None:
    found = calibration([pair("5 %", "5% -")], [(0.25, 0.75)], "az")
    assert found.bins == (Bin(0.25, 1.0, 2),)


def test_a_clip_whose_words_cannot_be_matched_is_counted_not_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    # A rule that looks at neighbours.
    monkeypatch.setattr(module, "normalize", lambda text, *_: text.replace("hər gün", "hərgün"))
    found = calibration([pair("a", "hər gün"), pair("b", "b")], [(0.5, 0.5), (0.75,)], "az")
    assert (found.clips_left_out, found.words, found.accuracy) == (1, 1, 1.0)


def test_without_words_there_are_no_figures() -> None:
    nothing = Calibration(0, None, None, None, None, None, 0, ())
    assert calibration([], [], "az") == calibration([pair("salam", "")], [()], "az") == nothing


@pytest.mark.parametrize("right", [True, False])
def test_ranking_needs_right_and_wrong_words(right: bool) -> None:
    assert judged([(0.5, right), (0.75, right)]).auroc is None


@pytest.mark.parametrize("confidences", [[(0.5,)], [(0.5, 0.5, 0.5)], [(0.5, 1.5)], [(0.5, float("nan"))], []])
def test_confidences_that_belong_to_no_words_are_refused(confidences: list[tuple[float, ...]]) -> None:
    with pytest.raises((AssertionError, ValueError)):
        calibration([pair("salam dünya", "salam dünya")], confidences, "az")


def test_bins_hold_their_upper_border() -> None:
    found = judged([(0.0, True), (0.1, True), (0.11, True), (1.0, True), (0.3, True), (0.3001, True)])
    assert [part.words for part in found.bins] == [2, 1, 1, 1, 1]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.125, 0.3, 0.5, 0.55, 0.9, 1.0]), st.booleans()), min_size=1))
def test_figures_are_those_of_their_definitions(words: list[tuple[float, bool]]) -> None:
    found = judged(words)
    assert found.brier == pytest.approx(sum((value - right) ** 2 for value, right in words) / len(words))
    assert sum(part.words for part in found.bins) == len(words)
    gap = 0.0
    for low in range(10):
        inside = [w for w in words if low / 10 < w[0] <= (low + 1) / 10 or (low == 0 and w[0] == 0)]
        gap += abs(sum(value - right for value, right in inside))
    assert found.expected_calibration_error == pytest.approx(gap / len(words))
    duels = list(product([v for v, right in words if right], [v for v, right in words if not right]))
    wins = sum((high > low) + (high == low) / 2 for high, low in duels)
    assert found.auroc == (pytest.approx(wins / len(duels)) if duels else None)


def test_an_honest_model_is_calibrated_and_a_boastful_one_is_not() -> None:
    random = np.random.default_rng(1)
    chances = random.uniform(0.3, 1.0, 20_000)
    right = random.uniform(size=len(chances)) < chances
    honest, boastful = (module._calibration(said, right, 0) for said in (chances, np.sqrt(chances)))
    assert (honest.expected_calibration_error or 1) < 0.02
    assert (boastful.expected_calibration_error or 0) > 0.1
    assert boastful.auroc == honest.auroc, "the order is the same"


def test_the_table_and_the_metrics_are_plain() -> None:
    found = judged([(0.25, False), (0.75, True)])
    assert [dict(zip(TSV_COLUMNS, part.as_row(), strict=True)) for part in found.bins] == [
        {"confidence": 0.25, "accuracy": 0.0, "words": 1},
        {"confidence": 0.75, "accuracy": 1.0, "words": 1},
    ]
    assert found.as_plain() == {
        "words": 2,
        "accuracy": 0.5,
        "mean_confidence": 0.5,
        "expected_calibration_error": 0.25,
        "brier": 0.0625,
        "auroc": 1.0,
        "clips_left_out": 0,
    }


def test_five_thousand_clips_take_a_second_at_most() -> None:
    """The best of three: a busy machine can only be slower."""
    random = np.random.default_rng(2)
    words = [f"söz{i}" for i in range(3000)]
    texts = [[words[i] for i in random.integers(0, len(words), 8)] for _ in range(5000)]
    pairs = [pair(" ".join(text), " ".join([*text[:3], "başqa", *text[4:]])) for text in texts]
    times = []
    for _ in range(3):
        start = time.process_time()
        found = calibration(pairs, [[0.5] * 8] * len(pairs), "az")
        times.append(time.process_time() - start)
    assert (found.words, found.accuracy) == (40_000, 0.875)
    assert min(times) < 1.0
