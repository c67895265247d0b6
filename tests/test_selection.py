"""Contract: evaluations choose the best weights, those to average, the plateau's rate and the end, as params say."""

import json
import logging
import math
from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.params import TrainParams
from asr.training.history import EvaluationRecord
from asr.training.progress import Progress
from asr.training.selection import has_stopped, is_better, note, score, to_average
from tests.models import train_params

NAN, INF = math.nan, math.inf
SMOKE = train_params()
Steps = list[int]
rates = st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.4, 0.5, INF, NAN]), max_size=14)
averages = st.sampled_from(["none", "last", "best"])
unhurried = settings(deadline=None)  # what a busy machine delays is no fault


def params(**changes: object) -> TrainParams:
    return TrainParams(**{**vars(SMOKE), "warmup_steps": 0, "average_count": 3, **changes})


def evaluation(step: int, wer: float, loss: float = 1.0) -> EvaluationRecord:
    return EvaluationRecord(step, wer, loss, 0)


def noted(wers: Sequence[float], of: TrainParams, progress: Progress | None = None) -> Progress:
    """After evaluations with these error rates, the first at step 10 and so on."""
    progress = progress or Progress()
    done = len(progress.history.evaluations)
    for number, wer in enumerate(wers, start=done + 1):
        note(progress, evaluation(10 * number, wer), of)
    return progress


def steps(records: Sequence[EvaluationRecord]) -> Steps:
    return [record.step for record in records]


@pytest.mark.parametrize(
    ("select_by", "record", "expected"),
    [
        ("wer", evaluation(1, 0.3, 2.0), 0.3),
        ("loss", evaluation(1, 0.3, 2.0), 2.0),
        ("wer", evaluation(1, 0.3, NAN), 0.3),
        ("loss", evaluation(1, 0.3, NAN), INF),
        ("loss", evaluation(1, 0.3, -INF), INF),
        ("wer", evaluation(1, NAN, 2.0), INF),
    ],
)
def test_the_score_is_what_select_by_names(select_by: str, record: EvaluationRecord, expected: float) -> None:
    assert score(record, params(select_by=select_by)) == expected


@pytest.mark.parametrize(
    ("new", "best", "better"),
    [
        (0.2, 0.3, True),
        (0.3, 0.3, False),
        (0.4, 0.3, False),
        (9.9, None, True),
        (NAN, None, False),
        (INF, None, False),
        (NAN, 0.3, False),
        (-INF, 0.3, False),
    ],
)
def test_better_means_strictly_better_and_finite(new: float, best: float | None, better: bool) -> None:
    earlier = None if best is None else evaluation(1, 0.5, best)
    assert is_better(evaluation(2, 0.5, new), earlier, params(select_by="loss")) is better


@unhurried
@given(rates)
def test_the_best_is_the_first_of_the_lowest(wers: list[float]) -> None:
    finite = [wer for wer in wers if math.isfinite(wer)]
    best = noted(wers, params()).best
    assert (best and best.step) == (10 * (wers.index(min(finite)) + 1) if finite else None)


def test_wer_and_loss_can_choose_different_weights() -> None:
    chosen = {}
    for select_by in ("wer", "loss"):
        progress = Progress()
        note(progress, evaluation(10, wer=0.2, loss=3.0), params(select_by=select_by))
        note(progress, evaluation(20, wer=0.4, loss=1.0), params(select_by=select_by))
        chosen[select_by] = steps(progress.kept)
    assert chosen == {"wer": [10], "loss": [20]}


def test_a_score_that_is_no_number_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        progress = noted([NAN, 0.5], params())
    assert caplog.messages == ["step 10: validation wer is nan; its weights are not kept"]
    assert (steps(progress.history.evaluations), steps(progress.kept)) == ([10, 20], [20])


@pytest.mark.parametrize(
    ("wers", "waited"),
    [
        ([], 0),
        ([0.5], 0),
        ([0.5, 0.4], 0),
        ([0.5, 0.5], 1),
        ([0.5, 0.6, 0.7], 2),
        ([0.5, 0.6, 0.7, 0.4], 0),
        ([0.5, 0.6, NAN], 2),
        ([NAN, NAN], 2),
    ],
)
def test_early_stopping_counts_evaluations_since_the_best(wers: list[float], waited: int) -> None:
    progress = noted(wers, params())
    assert progress.waited == waited
    assert [has_stopped(progress, params(stop_after=n)) for n in (1, 2, 3)] == [waited >= n for n in (1, 2, 3)]
    assert not has_stopped(progress, params(stop_after=None))


@pytest.mark.parametrize(
    ("wers", "patience", "factors"),
    [
        ([0.5, 0.4, 0.3], 1, [1, 1, 1]),
        ([0.5, 0.5, 0.5], 1, [1, 0.5, 0.25]),
        ([0.5, 0.6, 0.6, 0.6, 0.6], 2, [1, 1, 0.5, 0.5, 0.25]),
        ([0.5, 0.6, 0.4, 0.6, 0.6], 2, [1, 1, 1, 1, 0.5]),
        ([0.5, NAN, INF], 2, [1, 1, 0.5]),
    ],
)
def test_the_rate_falls_after_its_patience(wers: list[float], patience: int, factors: list[float]) -> None:
    of = params(schedule="plateau", plateau_patience=patience)
    assert [noted(wers[:n], of).rate_factor for n in range(1, len(wers) + 1)] == factors


@unhurried
@given(rates, st.integers(1, 4), st.floats(0.1, 0.9))
def test_the_plateau_agrees_with_torch_to_the_bit(wers: list[float], patience: int, factor: float) -> None:
    """Torch's patience is what it still puts up with, ours is when it acts."""
    of = params(schedule="plateau", plateau_patience=patience, plateau_factor=factor)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    of_torch = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=factor, patience=patience - 1, threshold=0.0, eps=0.0
    )
    progress = Progress()
    for wer in wers:
        of_torch.step(wer)
        noted([wer], of, progress)
        assert progress.rate_factor == optimizer.param_groups[0]["lr"]


def test_evaluations_during_the_warm_up_do_not_lower_the_rate() -> None:
    of = params(schedule="plateau", plateau_patience=1, warmup_steps=20)
    assert [noted([0.5, 0.6, 0.7][:n], of).rate_factor for n in (1, 2, 3)] == [1, 1, 0.5]


@pytest.mark.parametrize("schedule", ["linear", "cosine", "cosine_restarts", "constant"])
def test_no_other_schedule_has_a_plateau(schedule: str) -> None:
    progress = noted([0.5] * 9, params(schedule=schedule, plateau_patience=1))
    assert (progress.rate_factor, progress.rate_waited) == (1.0, 0)


@pytest.mark.parametrize(
    ("average", "wers", "averaged", "kept"),
    [
        ("none", [0.5, 0.4, 0.6], [], [20]),
        ("last", [0.5, 0.4, 0.6], [10, 20, 30], [10, 20, 30]),
        ("last", [0.1, 0.4, 0.6, 0.5], [20, 30, 40], [10, 20, 30, 40]),
        ("last", [0.5, NAN, 0.6, 0.5], [10, 30, 40], [10, 30, 40]),
        ("last", [0.5], [10], [10]),
        ("best", [0.5, 0.4, 0.6, 0.3], [10, 20, 40], [10, 20, 40]),
        ("best", [0.5, 0.5, 0.5, 0.5], [10, 20, 30], [10, 20, 30]),
        ("best", [0.5, INF], [10], [10]),
        ("best", [], [], []),
        ("last", [NAN, NAN], [], []),
    ],
)
def test_which_weights_are_averaged_and_kept(average: str, wers: list[float], averaged: Steps, kept: Steps) -> None:
    of = params(average=average)
    progress = noted(wers, of)
    assert (steps(to_average(progress, of)), steps(progress.kept)) == (averaged, kept)


@unhurried
@given(rates, averages, st.integers(2, 5))
def test_kept_is_what_is_needed_each_once_by_step(wers: list[float], average: str, count: int) -> None:
    of = params(average=average, average_count=count)
    progress = noted(wers, of)
    needed = set(steps(to_average(progress, of))) | ({progress.best.step} if progress.best else set())
    assert steps(progress.kept) == sorted(needed)
    assert len(progress.kept) <= (1 if average == "none" else count + 1)


def asks_for_what_is_gone(wers: Sequence[float], of: TrainParams, keep: Callable[[Progress], Steps]) -> bool:
    """Plays the folder of kept weights: is anything needed that an earlier `keep` threw away?"""
    folder: set[int] = set()
    progress = Progress()
    for wer in wers:
        noted([wer], of, progress)
        folder = (folder | {progress.history.evaluations[-1].step}) & set(keep(progress))
        needed = steps(to_average(progress, of)) + ([progress.best.step] if progress.best else [])
        if not set(needed) <= folder:
            return True
    return False


@unhurried
@given(rates, averages, st.integers(2, 5))
def test_weights_that_were_thrown_away_are_never_asked_for(wers: list[float], average: str, count: int) -> None:
    of = params(average=average, average_count=count)
    assert not asks_for_what_is_gone(wers, of, lambda progress: steps(progress.kept))


@pytest.mark.parametrize("average", ["last", "best"])
def test_keeping_too_few_weights_is_found(average: str) -> None:
    """Planted: the newest two instead of what `kept` names."""
    wers, of = [0.1, 0.5, 0.4, 0.3], params(average=average)
    assert asks_for_what_is_gone(wers, of, lambda progress: steps(progress.history.evaluations[-2:]))


@unhurried
@given(rates, st.integers(0, 14), averages)
def test_a_resumed_run_decides_the_same(wers: list[float], cut: int, average: str) -> None:
    of = params(average=average, schedule="plateau", plateau_patience=2)
    halfway = json.dumps(noted(wers[:cut], of).plain())
    resumed = noted(wers[cut:], of, Progress.from_plain(json.loads(halfway)))
    assert json.dumps(resumed.plain()) == json.dumps(noted(wers, of).plain())


def test_an_evaluation_noted_twice_is_refused() -> None:
    progress = noted([0.5], params())
    with pytest.raises(AssertionError, match="noted twice"):
        note(progress, evaluation(10, 0.4), params())
