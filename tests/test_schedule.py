"""Contract: the learning rate rises, falls and restarts as its schedule says, and follows from the step alone."""

import math
import random
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from asr.params import TrainParams
from asr.training.schedule import rate_factor
from tests.models import train_params

SMOKE = train_params()
CLOSE = 1e-9  # torch's recursive forms gather rounding errors
unhurried = settings(deadline=None)  # what a busy machine delays is no fault


def params(schedule: str, max_steps: int = 6, warmup_steps: int = 2, **changes: object) -> TrainParams:
    return TrainParams(
        **{**vars(SMOKE), "schedule": schedule, "max_steps": max_steps, "warmup_steps": warmup_steps, **changes}
    )


def factors(of: TrainParams, plateau: float = 1.0) -> list[float]:
    return [rate_factor(of, step, plateau) for step in range(of.max_steps)]


def torch_factors(steps: int, scheduler: type, **settings: object) -> list[float]:
    """What one of torch's own schedulers makes of a rate of 1."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    of_torch = scheduler(optimizer, **settings)
    found = []
    for _ in range(steps):
        found.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        of_torch.step()
    return found


@st.composite
def any_params(draw: st.DrawFn) -> TrainParams:
    max_steps = draw(st.integers(1, 120))
    return params(
        draw(st.sampled_from(["linear", "cosine", "cosine_restarts", "plateau", "constant"])),
        max_steps,
        draw(st.integers(0, max_steps)),
        final_rate=draw(st.floats(0, 1)),
        restart_steps=draw(st.integers(1, 60)),
        restart_growth=draw(st.floats(1, 4)),
    )


def of_the_committed_results(step: int, max_steps: int, warmup_steps: int, schedule: str) -> float:
    """The formula that made them, before there was a `final_rate`."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(1, max_steps - warmup_steps)
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * progress))
    return 1 - progress if schedule == "linear" else 1.0


@pytest.mark.parametrize(
    ("schedule", "changes", "expected"),
    [
        ("linear", {}, [0.5, 1, 1, 0.75, 0.5, 0.25]),
        ("linear", {"final_rate": 0.2}, [0.5, 1, 1, 0.8, 0.6, 0.4]),
        ("linear", {"warmup_steps": 0}, [1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6]),
        ("linear", {"warmup_steps": 6}, [1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1]),
        ("cosine", {}, [0.5, 1, 1, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2]),
        ("cosine", {"final_rate": 0.5}, [0.5, 1, 1, (3 + math.sqrt(0.5)) / 4, 0.75, (3 - math.sqrt(0.5)) / 4]),
        ("cosine_restarts", {"restart_steps": 2, "restart_growth": 1.0}, [0.5, 1, 1, 0.5, 1, 0.5]),
        ("cosine_restarts", {"restart_steps": 1, "restart_growth": 2.0}, [0.5, 1, 1, 1, 0.5, 1]),
        ("plateau", {}, [0.5, 1, 0.25, 0.25, 0.25, 0.25]),
        ("constant", {}, [0.5, 1, 1, 1, 1, 1]),
    ],
)
def test_the_factors_of_six_steps(schedule: str, changes: dict[str, object], expected: list[float]) -> None:
    assert factors(params(schedule, **changes), plateau=0.25) == pytest.approx(expected, abs=1e-15)


@unhurried
@given(st.sampled_from(["linear", "cosine", "constant"]), st.integers(1, 5000), st.data())
def test_the_schedules_of_committed_results_keep_every_bit(schedule: str, max_steps: int, data: st.DataObject) -> None:
    warmup_steps = data.draw(st.integers(0, max_steps))
    step = data.draw(st.integers(0, max_steps - 1))
    old = of_the_committed_results(step, max_steps, warmup_steps, schedule)
    assert rate_factor(params(schedule, max_steps, warmup_steps), step).hex() == old.hex()


@unhurried
@given(any_params(), st.floats(0, 1))
def test_every_factor_is_between_zero_and_one(of: TrainParams, plateau: float) -> None:
    assert all(0 <= factor <= 1 for factor in factors(of, plateau))


@unhurried
@given(any_params())
def test_the_warm_up_rises_at_every_step_and_ends_at_the_peak(of: TrainParams) -> None:
    rise = factors(of)[: of.warmup_steps]
    assert all(before < after for before, after in pairwise(rise))
    assert rise[-1:] in ([], [1.0])


@unhurried
@given(any_params())
def test_what_follows_the_warm_up_begins_at_the_peak(of: TrainParams) -> None:
    assert factors(of)[of.warmup_steps :][:1] in ([], [1.0])


@unhurried
@given(any_params())
def test_no_step_after_the_warm_up_is_longer_than_its_schedule_allows(of: TrainParams) -> None:
    """Only a restart jumps, and only upwards."""
    fall = factors(of)[of.warmup_steps :]
    shortest = of.restart_steps if of.schedule == "cosine_restarts" else of.max_steps - of.warmup_steps
    for before, after in pairwise(fall):
        assert before - after <= math.pi / 2 / shortest + 1e-12
        assert after <= before or (of.schedule == "cosine_restarts" and after == 1)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
@pytest.mark.parametrize("final_rate", [0.0, 0.1, 1.0])
def test_the_fall_ends_exactly_at_the_final_rate(schedule: str, final_rate: float) -> None:
    assert rate_factor(params(schedule, 50, 7, final_rate=final_rate), 50) == final_rate


@pytest.mark.parametrize(
    ("restart_steps", "restart_growth", "restarts"),
    [
        (10, 1.0, [15, 25, 35, 45, 55]),
        (10, 2.0, [15, 35]),
        (4, 1.5, [9, 15, 24, 38, 58]),  # lengths 4, 6, 9, 13.5, 20.25, ... in whole steps
        (3, 1.1, [8, 11, 15, 19, 23, 28, 33, 39, 45, 52]),
        (54, 2.0, [59]),
        (55, 2.0, []),
        (1000, 1e300, []),
    ],
)
def test_restarts_come_at_the_right_steps(restart_steps: int, restart_growth: float, restarts: list[int]) -> None:
    of = params("cosine_restarts", 60, 5, restart_steps=restart_steps, restart_growth=restart_growth)
    rates = factors(of)
    assert [step for step in range(6, 60) if rates[step] > rates[step - 1]] == restarts
    assert all(rates[step] == 1 for step in restarts)


@unhurried
@given(st.integers(2, 60))
def test_the_warm_up_agrees_with_torch(steps: int) -> None:
    of_torch = torch_factors(steps, lr_scheduler.LinearLR, start_factor=1 / steps, total_iters=steps - 1)
    assert factors(params("constant", steps, steps)) == pytest.approx(of_torch, abs=CLOSE)


@unhurried
@given(st.integers(1, 60), st.floats(0, 1))
def test_the_linear_fall_agrees_with_torch(steps: int, final_rate: float) -> None:
    of_torch = torch_factors(steps, lr_scheduler.LinearLR, start_factor=1.0, end_factor=final_rate, total_iters=steps)
    assert factors(params("linear", steps, 0, final_rate=final_rate)) == pytest.approx(of_torch, abs=CLOSE)


@unhurried
@given(st.integers(1, 60), st.floats(0, 1))
def test_the_cosine_agrees_with_torch(steps: int, final_rate: float) -> None:
    of_torch = torch_factors(steps, lr_scheduler.CosineAnnealingLR, T_max=steps, eta_min=final_rate)
    assert factors(params("cosine", steps, 0, final_rate=final_rate)) == pytest.approx(of_torch, abs=CLOSE)


@unhurried
@given(st.integers(1, 80), st.integers(1, 20), st.integers(1, 3), st.floats(0, 1))
def test_warm_restarts_agree_with_torch(steps: int, first: int, growth: int, final_rate: float) -> None:
    of = params("cosine_restarts", steps, 0, restart_steps=first, restart_growth=float(growth), final_rate=final_rate)
    of_torch = torch_factors(
        steps, lr_scheduler.CosineAnnealingWarmRestarts, T_0=first, T_mult=growth, eta_min=final_rate
    )
    assert factors(of) == pytest.approx(of_torch, abs=CLOSE)


@unhurried
@given(any_params(), st.randoms(use_true_random=False))
def test_the_rate_follows_from_the_step_alone_in_whatever_order_it_is_asked(
    of: TrainParams, chance: random.Random
) -> None:
    in_order, steps = factors(of), list(range(of.max_steps))
    chance.shuffle(steps)
    assert {step: rate_factor(of, step) for step in steps} == dict(enumerate(in_order))


@pytest.mark.parametrize("schedule", ["linear", "cosine", "cosine_restarts", "constant"])
def test_only_the_plateau_schedule_heeds_the_evaluations(schedule: str) -> None:
    assert factors(params(schedule), plateau=0.5) == factors(params(schedule))


def test_the_warm_up_is_not_lowered_by_evaluations() -> None:
    assert factors(params("plateau", 8, 4), plateau=0.5) == [0.25, 0.5, 0.75, 1.0, 0.5, 0.5, 0.5, 0.5]


@pytest.mark.parametrize("step", [-1, 7])
def test_a_step_outside_the_run_is_refused(step: int) -> None:
    with pytest.raises(AssertionError, match=f"update {step} of 6"):
        rate_factor(params("linear"), step)
