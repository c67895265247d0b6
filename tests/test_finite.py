"""Contract: a batch that is not finite changes nothing and becomes a row; too many end the run, with a dump."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from asr.training.guards.dump import dumped
from asr.training.guards.finite import Measured, NotFiniteError, large_gradient
from asr.training.loading import Loaded, load
from asr.training.progress import Progress, Skip
from asr.training.trainer import Trainer
from asr.training.update import take_step
from tests.training import PARAMS, make_trainer_and_planner, state_of


def batch(trainer: Trainer, number: int = 0) -> list[Loaded]:
    from tests.training import planner_of

    step = next(planner_of(trainer).batches(number))
    return [load(trainer.data, micro) for micro in step]


def poison_features(trainer: Trainer) -> None:
    original = trainer.log_mel.forward
    trainer.log_mel.forward = lambda wave: original(wave) * math.nan  # type: ignore[method-assign]


def poison_loss(trainer: Trainer) -> None:
    original = trainer.objective.forward

    def infinite(*inputs: object) -> tuple[torch.Tensor, torch.Tensor]:
        cross_entropy, ctc = original(*inputs)  # type: ignore[arg-type]
        return cross_entropy * math.inf, ctc

    trainer.objective.forward = infinite  # type: ignore[method-assign, assignment]


def poison_one_gradient(trainer: Trainer) -> None:
    trainer.objective.model.model.encoder.layer_norm.bias.register_hook(lambda gradient: gradient * math.nan)


def poison_all_gradients(trainer: Trainer) -> None:
    for parameter in filter(lambda p: p.requires_grad, trainer.objective.parameters()):
        parameter.register_hook(lambda gradient: gradient * math.inf)


POISONS = [
    (poison_features, "features"),
    (poison_loss, "loss"),
    (poison_one_gradient, "gradient"),
    (poison_all_gradients, "gradient"),
]


@pytest.mark.parametrize(("poison", "cause"), POISONS, ids=[f"{p.__name__}" for p, _ in POISONS])
def test_a_poisoned_batch_leaves_weights_optimizer_and_schedule_as_they_were(poison, cause: str) -> None:
    trainer, _, _ = make_trainer_and_planner()
    progress = Progress()
    take_step(trainer, progress, batch(trainer))
    before, rate = state_of(trainer), trainer.optimizer.param_groups[0]["lr"]
    poison(trainer)
    measured = take_step(trainer, progress, batch(trainer, 1))
    after = state_of(trainer)
    assert measured.fault == cause
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert progress.step == 1, "the schedule counts updates"
    assert trainer.optimizer.param_groups[0]["lr"] != rate, "the next rate was set, and is set again for the next batch"
    assert progress.batch == 2, "the plan goes on behind the poisoned batch"
    assert progress.sums.updates == 1
    assert all(p.grad is None or not p.grad.any() for p in trainer.objective.parameters())


@pytest.mark.parametrize(("poison", "cause"), POISONS, ids=[f"{p.__name__}" for p, _ in POISONS])
def test_a_poisoned_batch_is_a_row_with_its_place_its_cause_and_its_clips(poison, cause: str) -> None:
    trainer, _, _ = make_trainer_and_planner()
    progress = Progress()
    take_step(trainer, progress, batch(trainer))
    poison(trainer)
    loaded = batch(trainer, 1)
    take_step(trainer, progress, loaded)
    clips = tuple(trainer.data.utterances[i].id for micro in loaded for i in micro.clips)
    assert progress.skipped == [Skip(batch=1, step=1, cause=cause, clips=clips)]


def test_without_the_check_the_same_poison_ruins_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer, _, _ = make_trainer_and_planner()
    poison_one_gradient(trainer)
    monkeypatch.setattr(Measured, "fault", "")
    take_step(trainer, Progress(), batch(trainer))
    assert not all(torch.isfinite(p).all() for p in trainer.objective.parameters())


def test_a_good_batch_after_a_poisoned_one_takes_the_step_it_would_have_taken() -> None:
    plain, _, _ = make_trainer_and_planner()
    poisoned, _, _ = make_trainer_and_planner()
    hurt = Progress()
    original = poisoned.log_mel.forward
    poison_features(poisoned)
    take_step(poisoned, hurt, batch(poisoned, 0))
    poisoned.log_mel.forward = original  # type: ignore[method-assign]
    take_step(poisoned, hurt, batch(poisoned, 1))
    take_step(plain, Progress(batch=1), batch(plain, 1))
    first, second = state_of(plain), state_of(poisoned)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert hurt.skipped_in_a_row == 0


def test_more_in_a_row_than_allowed_stop_the_run_and_leave_a_dump(tmp_path: Path) -> None:
    trainer, _, _ = make_trainer_and_planner(replace(PARAMS, max_skipped_in_a_row=2))
    poison_one_gradient(trainer)
    progress, path = Progress(), tmp_path / "dump.json"
    message = (
        r"train\.not_finite: 3 batches in a row.*gradient of batch 2 after step 0.*train\.learning_rate.*dump\.json"
    )
    take_step(trainer, progress, batch(trainer, 0))
    take_step(trainer, progress, batch(trainer, 1))
    with pytest.raises(NotFiniteError, match=message), dumped(trainer, progress, path):
        take_step(trainer, progress, batch(trainer, 2))
    dump = json.loads(path.read_text())
    assert [row["cause"] for row in dump["skipped"]] == ["gradient"] * 3
    assert dump["gradients_not_finite"] == ["model.model.encoder.layer_norm.bias"]
    assert dump["weights_not_finite"] == []


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({}, ""),
        ({"features_finite": False, "cross_entropy": math.nan}, "features"),
        ({"cross_entropy": math.nan, "gradient_norm": math.nan}, "loss"),
        ({"ctc": math.inf}, "loss"),
        ({"gradient_norm": math.inf}, "gradient"),
        ({"gradient_norm": math.inf, "scale": 1024.0}, "overflow"),
        ({"gradient_norm": math.nan, "scale": 0.5}, "gradient"),
        ({"cross_entropy": math.nan, "scale": 1024.0}, "loss"),
    ],
)
def test_the_first_place_that_is_not_finite_is_the_cause(changes: dict[str, float], fault: str) -> None:
    assert replace(Measured(True, 1.0, 0.0, 5, 1.0, None), **changes).fault == fault


@pytest.mark.parametrize(("norm", "said"), [(9.9, ""), (10.1, "train.clip_norm")])
def test_a_gradient_ten_times_beyond_its_clip_is_warned_of_with_a_hint(norm: float, said: str) -> None:
    text = large_gradient(7, norm, replace(PARAMS, clip_norm=1.0))
    assert (said in text) if said else text == ""


class Scaler:
    """Stands for fp16's loss scaler, which a CPU does not have: what matters is which of its calls are made."""

    def __init__(self) -> None:
        self.scale = 1024.0

    def get_scale(self) -> float:
        return self.scale


@pytest.mark.parametrize(("poison", "clipped"), [(poison_loss, 0), (poison_one_gradient, 1)])
def test_a_poisoned_batch_never_reaches_the_scaler_and_an_overflow_does(poison, clipped: int, monkeypatch) -> None:
    trainer, _, _ = make_trainer_and_planner()
    monkeypatch.setattr(trainer.accelerator, "scaler", Scaler())
    monkeypatch.setattr(trainer.accelerator, "backward", lambda loss: loss.backward())
    calls = []
    monkeypatch.setattr(trainer.accelerator, "unscale_gradients", lambda: calls.append("unscale"))
    monkeypatch.setattr(trainer.optimizer, "step", lambda: calls.append("step"))
    poison(trainer)
    progress = Progress()
    take_step(trainer, progress, batch(trainer))
    assert len(calls) == 2 * clipped, "unscaling and stepping come together or not at all"
    assert progress.skipped[0].cause == ("overflow" if clipped else "loss")
    assert progress.skipped_in_a_row == 1 - clipped
