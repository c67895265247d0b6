"""The learning rate over time: a pure function of the update's number, so a resumed run goes on at the same rate."""

import math

from asr.params import TrainParams


def rate_factor(params: TrainParams, step: int, plateau: float = 1.0) -> float:
    """What `train.learning_rate`, the peak, is multiplied with for one update.

    The rate rises linearly to the peak over `warmup_steps` and then follows `train.schedule`. `linear` and `cosine`
    fall to `final_rate`, which they would reach at `max_steps`. `cosine_restarts` falls that way in cycles, each
    from the peak, the last one cut off by `max_steps` (SGDR, Loshchilov and Hutter 2017).

    Args:
        params: the schedule.
        step: the update, counted from 0.
        plateau: what the evaluations have made of the rate so far (`Progress.rate_factor`); `plateau` alone uses it.

    Returns:
        A factor from 0 to 1.
    """
    assert 0 <= step <= params.max_steps, f"update {step} of {params.max_steps}"
    if step < params.warmup_steps:
        return (step + 1) / params.warmup_steps
    if params.schedule == "constant":
        return 1.0
    if params.schedule == "plateau":
        return plateau
    return params.final_rate + (1 - params.final_rate) * _height(params, step - params.warmup_steps)


def _height(params: TrainParams, step: int) -> float:
    """How far above its end the fall is at `step` after the warm-up: from 1 down to 0."""
    if params.schedule == "cosine_restarts":
        return _half_cosine(_place_in_cycle(step, params.restart_steps, params.restart_growth))
    place = step / max(1, params.max_steps - params.warmup_steps)
    return _half_cosine(place) if params.schedule == "cosine" else 1 - place


def _half_cosine(place: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * place))


def _place_in_cycle(step: int, first_length: int, growth: float) -> float:
    """Which share of its cycle has passed at `step`; lengths are rounded to whole steps."""
    start, length = 0, float(first_length)
    while step >= start + round(length):
        start += round(length)
        length *= growth
    return (step - start) / round(length)
