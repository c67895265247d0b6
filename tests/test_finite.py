"""Contract: a batch that is not finite changes nothing and becomes a row; too many end the run, with a dump."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from accelerate.optimizer import patch_optimizer_step

from asr.training.guards.dump import dumped
from asr.training.guards.finite import Measured, NotFiniteError, large_gradient, require_updates
from asr.training.loading import Loaded, load
from asr.training.observe.journal import read_journal
from asr.training.progress import Progress, Skip
from asr.training.trainer import Trainer
from asr.training.update import take_step
from tests.training import PARAMS, make_trainer_and_planner, run_here, state_of


def batch(trainer: Trainer, number: int = 0) -> list[Loaded]:
    from asr.training.run import make_planner

    step = next(make_planner(trainer).batches(number))
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


@pytest.mark.parametrize(("poison", "cause"), POISONS, ids=[f"{p.__name__}" for p, _ in POISONS])
def test_a_poisoned_batch_is_a_row_with_its_place_its_cause_and_its_clips(poison, cause: str) -> None:
    trainer, _, _ = make_trainer_and_planner()
    progress = Progress()
    take_step(trainer, progress, batch(trainer))
    poison(trainer)
    loaded = batch(trainer, 1)
    take_step(trainer, progress, loaded)
    clips = tuple(trainer.data.utterances[i].id for micro in loaded for i in micro.clips)
    assert progress.skipped == [Skip(batch=2, step=1, cause=cause, clips=clips)]


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
    message = r"train\.not_finite: 3 batches in a row.*gradient of batch 3 after step 0.*learning_rate.*dump\.json"
    for number in range(3):
        require_updates(progress, trainer.params)
        take_step(trainer, progress, batch(trainer, number))
    with pytest.raises(NotFiniteError, match=message), dumped(trainer, progress, path):
        require_updates(progress, trainer.params)
    dump = json.loads(path.read_text())
    assert [row["cause"] for row in dump["skipped"]] == ["gradient"] * 3
    assert dump["gradients_not_finite"] == ["model.model.encoder.layer_norm.bias"]
    assert dump["weights_not_finite"] == []
    assert all(norm > 0 for norm in dump["weight_norms"].values() if norm)


def test_a_dump_that_cannot_be_written_does_not_hide_its_cause(tmp_path: Path) -> None:
    trainer, _, _ = make_trainer_and_planner()
    (tmp_path / "file").write_text("where a folder should be")
    unwritable = dumped(trainer, Progress(), tmp_path / "file" / "dump.json")
    with pytest.raises(NotFiniteError, match=r"the cause.*could not be written"), unwritable:
        raise NotFiniteError("the cause")


def test_a_whole_run_that_stops_has_every_skipped_batch_in_its_log(tmp_path: Path) -> None:
    trainer, _, _ = make_trainer_and_planner(replace(PARAMS, max_skipped_in_a_row=2))
    poison_loss(trainer)
    with pytest.raises(NotFiniteError):
        run_here(tmp_path, trainer)
    lines = list(read_journal(tmp_path / "log.jsonl"))
    assert [line["batch"] for line in lines if line["kind"] == "skip"] == [1, 2, 3]
    assert not list((tmp_path / "scratch").glob("checkpoints/*")), "going on would only skip more"


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


def with_scaler(trainer: Trainer, scale: float) -> torch.amp.GradScaler:
    """Gives a trainer fp16's loss scaler, PyTorch's own on the CPU; accelerate makes one on CUDA and MPS only."""
    scaler = torch.amp.GradScaler("cpu", init_scale=scale)
    optimizer = trainer.optimizer
    trainer.accelerator.scaler = optimizer.scaler = scaler
    optimizer._accelerate_step_called = False
    optimizer._optimizer_original_step_method = optimizer.optimizer.step
    optimizer._optimizer_patched_step_method = patch_optimizer_step(optimizer, optimizer.optimizer.step)
    trainer.accelerator.unscale_gradients = lambda: scaler.unscale_(optimizer.optimizer)
    return scaler


def test_a_poisoned_loss_leaves_the_scaler_as_it_was_and_the_next_batch_steps() -> None:
    trainer, _, _ = make_trainer_and_planner()
    scaler, progress, original = with_scaler(trainer, 1024.0), Progress(), trainer.objective.forward
    take_step(trainer, progress, batch(trainer, 0))
    before, weights = scaler.state_dict(), state_of(trainer)
    poison_loss(trainer)
    take_step(trainer, progress, batch(trainer, 1))
    assert scaler.state_dict() == before
    assert all(torch.equal(weights[name], value) for name, value in state_of(trainer).items())
    trainer.objective.forward = original  # type: ignore[method-assign]
    take_step(trainer, progress, batch(trainer, 2))
    assert progress.step == 2


def test_an_overflow_lowers_the_scale_and_counts_neither_as_an_update_nor_as_a_fault() -> None:
    trainer, _, _ = make_trainer_and_planner()
    scaler, progress = with_scaler(trainer, 1024.0), Progress()
    take_step(trainer, progress, batch(trainer))
    weights = state_of(trainer)
    poison_one_gradient(trainer)
    take_step(trainer, progress, batch(trainer, 1))
    assert scaler.get_scale() == 512.0
    assert progress.skipped[0].cause == "overflow"
    assert (progress.step, progress.skipped_in_a_row) == (1, 0)
    assert all(torch.equal(weights[name], value) for name, value in state_of(trainer).items())


def test_a_gradient_that_no_scale_helps_ends_the_run_like_any_other() -> None:
    """The scaler must hear of every gradient it unscaled, or its next call fails."""
    trainer, _, _ = make_trainer_and_planner(replace(PARAMS, max_skipped_in_a_row=2))
    scaler, progress = with_scaler(trainer, 2.0), Progress()
    poison_one_gradient(trainer)
    for number in range(5):
        require_updates(progress, trainer.params)
        take_step(trainer, progress, batch(trainer, number))
    with pytest.raises(NotFiniteError, match="3 batches in a row"):
        require_updates(progress, trainer.params)
    assert [skip.cause for skip in progress.skipped] == ["overflow"] * 2 + ["gradient"] * 3
    assert scaler.get_scale() == 0.5
