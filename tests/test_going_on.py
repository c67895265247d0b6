"""Contract: a run that ends before its time goes on from its last checkpoint and ends in the same bits."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from asr.errors import Interrupted, UserError
from asr.training import loop, update
from asr.training.checkpoint import store as store_module
from asr.training.loading import Loaded
from asr.training.loop import train
from asr.training.observe import reporter
from asr.training.observe.journal import read_journal
from asr.training.progress import Progress, Skip, Sums
from asr.training.run import WITHOUT_EFFECT, decisive
from asr.training.saving import Saver
from asr.training.trainer import Trainer
from asr.training.validation import Abandoned, Evaluation, Validator
from tests.training import (
    PARAMS,
    made_run,
    make_trainer_and_planner,
    run_here,
    splits,
    stage,
    state_of,
    whole_run,
    worse_and_worse,
)


class Died(Exception):  # noqa: N818  # stands for kill -9: nothing gets the chance to tidy up
    """The process ends here."""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, torch.Tensor], Progress]:
    trainer, _, _ = make_trainer_and_planner()
    progress = run_here(tmp_path_factory.mktemp("undisturbed"), trainer)
    return state_of(trainer), progress


@contextmanager
def dies_at_batch(number: int, monkeypatch: pytest.MonkeyPatch, place: str = "measure") -> Iterator[None]:
    """Somewhere inside the step of that batch."""
    original, calls = getattr(update, place), [0]

    def deadly(trainer: Trainer, *rest: object) -> object:
        calls[0] += 1
        if calls[0] == number + 1:
            raise Died
        return original(trainer, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(update, place, deadly)
        yield


def equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("place", ["measure", "count", "set_rate"])
@pytest.mark.parametrize("batch", range(6))
def test_a_run_that_dies_in_any_step_ends_in_the_bits_of_one_that_never_did(
    batch: int, place: str, tmp_path: Path, undisturbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, _, _ = make_trainer_and_planner()
    with dies_at_batch(batch, monkeypatch, place), pytest.raises(Died):
        run_here(tmp_path, trainer)
    again, _, _ = make_trainer_and_planner()
    progress = run_here(tmp_path, again)
    assert equal(state_of(again), undisturbed[0])
    assert progress.plain() == undisturbed[1].plain()


def test_three_resumes_within_one_epoch_change_nothing(tmp_path: Path, undisturbed, monkeypatch) -> None:
    """KempnerForge #57, #58: there the second resume in one epoch shifted the data."""
    params = replace(PARAMS, checkpoint_every=1)
    for batch in (1, 1, 1):
        trainer, _, _ = make_trainer_and_planner(params)
        with dies_at_batch(batch, monkeypatch), pytest.raises(Died):
            run_here(tmp_path, trainer)
    trainer, _, _ = make_trainer_and_planner(params)
    with made_run(tmp_path, trainer) as (run, progress):
        assert progress.batch == 3
        train(run, progress)
    assert equal(state_of(trainer), undisturbed[0])


@pytest.mark.parametrize("workers", [0, 2])
def test_the_number_of_workers_may_change_between_death_and_resume(
    workers: int, tmp_path: Path, undisturbed, monkeypatch
) -> None:
    trainer, _, _ = make_trainer_and_planner(replace(PARAMS, workers=2 - workers))
    with dies_at_batch(3, monkeypatch), pytest.raises(Died):
        run_here(tmp_path, trainer)
    again, _, _ = make_trainer_and_planner(replace(PARAMS, workers=workers))
    run_here(tmp_path, again)
    assert equal(state_of(again), undisturbed[0])


@pytest.mark.parametrize("planted", ["order", "optimizer", "sums"])
def test_a_resume_that_forgets_something_is_noticed(planted: str, tmp_path: Path, undisturbed, monkeypatch) -> None:
    """Planted faults: the comparison above can fail."""
    trainer, _, _ = make_trainer_and_planner()
    with dies_at_batch(5, monkeypatch), pytest.raises(Died):
        run_here(tmp_path, trainer)
    again, _, _ = make_trainer_and_planner()
    with made_run(tmp_path, again) as (run, progress):
        if planted == "order":
            progress.batch -= 1
        elif planted == "optimizer":
            again.optimizer.state.clear()
        else:
            progress.sums = Sums(1.0, 1.0, 1.0, 1, 1)
        train(run, progress)
    same = equal(state_of(again), undisturbed[0]) and progress.plain() == undisturbed[1].plain()
    assert not same


def signalling(number: int, step: int) -> Callable[..., object]:
    """`measure`, in whose call number `step` this process gets a signal."""
    original, calls = update.measure, [0]

    def measure(*args: object) -> object:
        calls[0] += 1
        if calls[0] == step:
            os.kill(os.getpid(), number)
        return original(*args)  # type: ignore[arg-type]  # passed on as they came

    return measure


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("step", [1, 2, 5])
def test_a_signal_ends_the_run_after_the_step_with_a_checkpoint_of_it(
    number: signal.Signals, step: int, tmp_path: Path, undisturbed, monkeypatch
) -> None:
    trainer, _, _ = make_trainer_and_planner()
    monkeypatch.setattr(update, "measure", signalling(number, step))
    with pytest.raises(Interrupted, match=f"saved after step {step} of 6") as caught:
        run_here(tmp_path, trainer)
    monkeypatch.undo()
    assert caught.value.number == number
    again, _, _ = make_trainer_and_planner()
    with made_run(tmp_path, again) as (run, progress):
        assert progress.step == step
        train(run, progress)
    assert equal(state_of(again), undisturbed[0])


def test_a_signal_during_an_evaluation_gives_it_up_and_the_resume_begins_with_it(tmp_path: Path, undisturbed) -> None:
    trainer, _, _ = make_trainer_and_planner()

    def interrupted(_: int) -> Evaluation:
        os.kill(os.getpid(), signal.SIGTERM)
        raise Abandoned

    with pytest.raises(Interrupted, match="saved after step 3"):
        run_here(tmp_path, trainer, interrupted)
    again, _, _ = make_trainer_and_planner()
    steps = []
    progress = run_here(tmp_path, again, lambda step: steps.append(step) or worse_and_worse(step))
    assert steps == [3, 6]
    assert equal(state_of(again), undisturbed[0])
    assert progress.plain() == undisturbed[1].plain()


@pytest.mark.parametrize("number", [28, 13], ids=["no space", "no rights"])
def test_a_checkpoint_that_cannot_be_written_is_said_and_training_goes_on(
    number: int, tmp_path: Path, undisturbed, monkeypatch, caplog
) -> None:
    trainer, _, _ = make_trainer_and_planner()
    original = os.fsync
    with made_run(tmp_path, trainer) as (run, progress):
        saves = []

        def full(handle: int) -> None:
            if len(saves) == 1:
                raise OSError(number, os.strerror(number))
            original(handle)

        save = run.saver.store.save
        monkeypatch.setattr(run.saver.store, "save", lambda *a: (saves.append(1), save(*a))[1])
        monkeypatch.setattr(os, "fsync", full)
        train(run, progress)
    assert os.strerror(number) in caplog.text
    assert equal(state_of(trainer), undisturbed[0])
    lines = [line for line in read_journal(tmp_path / "log.jsonl") if line["kind"] == "checkpoint"]
    assert [line["saved"] for line in lines][:2] == [False, True]


def test_out_of_memory_in_mid_run_does_the_same_batch_again_in_smaller_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = replace(PARAMS, augment_from_step=99, margin_share=0.0, window_share=0.0)
    plain, _, _ = make_trainer_and_planner(params, dropout=0.0)
    run_here(tmp_path / "plain", plain)
    trainer, _, _ = make_trainer_and_planner(params, dropout=0.0)
    with made_run(tmp_path / "oom", trainer) as (run, progress):
        backward, failed = trainer.accelerator.backward, []

        def short_of_memory(loss: torch.Tensor) -> None:
            backward(loss)  # the gradient of the failed attempt is there, as after a real one in mid-backward
            if progress.step == 2 and not failed:
                failed.append(loss)
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

        monkeypatch.setattr(trainer.accelerator, "backward", short_of_memory)
        train(run, progress)
    assert progress.batches_split == 1
    assert progress.step == 6
    first, second = state_of(plain), state_of(trainer)
    assert all(
        torch.allclose(first[n], second[n], atol=2e-5, rtol=1e-4) for n in first if not n.startswith("exp_avg_sq")
    )


def test_one_clip_that_does_not_fit_ends_the_run_with_the_remedies(tmp_path: Path, monkeypatch) -> None:
    trainer, _, _ = make_trainer_and_planner()
    with made_run(tmp_path, trainer) as (run, progress):

        def never(_: torch.Tensor) -> None:
            if progress.step == 1:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

        monkeypatch.setattr(trainer.accelerator, "backward", never)
        with pytest.raises(UserError, match=r"memory\.micro_batch_of_one.*gradient_checkpointing"):
            train(run, progress)


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    trainer, _, _ = make_trainer_and_planner()
    run_here(tmp_path, trainer)
    again, _, _ = make_trainer_and_planner()
    with pytest.raises(UserError, match=r"run\.identity_mismatch.*key.*other"):
        Saver(again, store_module.Store(tmp_path / "scratch"), "other").resume()


def test_progress_reads_back_from_json_to_the_bit() -> None:
    progress = Progress(step=3, batch=4, sums=Sums(0.1 + 0.2, 1 / 3, 1e-300, 5, 1), clips_at_once={2: 7})
    progress.history.evaluations.append(worse_and_worse(3).record)
    progress.history.heard += worse_and_worse(3).heard
    progress.best = worse_and_worse(3).record
    progress.skipped.append(Skip(1, 1, "loss", ("a", "b")))
    assert Progress.from_plain(json.loads(json.dumps(progress.plain()))) == progress


@pytest.mark.parametrize("name", WITHOUT_EFFECT)
def test_a_parameter_without_effect_leaves_the_run_what_it_is(name: str) -> None:
    values = {
        "workers": 2,
        "tracker": "wandb",
        "checkpoint_every": 1,
        "keep_checkpoints": 5,
        "max_skipped_in_a_row": 99,
        "device": "cuda",
        "precision": "bf16",
    }
    assert decisive(stage(**{name: values[name]})) == decisive(stage())


def test_every_other_parameter_makes_another_run() -> None:
    plain = decisive(stage())["train"]
    assert set(vars(PARAMS)) - set(plain) == set(WITHOUT_EFFECT)
    assert decisive(stage(learning_rate=0.1)) != decisive(stage())


@pytest.mark.parametrize(
    ("name", "value"), [("checkpoint_every", 1), ("checkpoint_every", 99), ("keep_checkpoints", 4)]
)
def test_parameters_without_effect_have_none(name: str, value: int, tmp_path: Path, undisturbed) -> None:
    trainer, _, _ = make_trainer_and_planner(replace(PARAMS, **{name: value}))
    progress = run_here(tmp_path, trainer)
    assert equal(state_of(trainer), undisturbed[0])
    assert progress.plain() == undisturbed[1].plain()


def test_curves_that_cannot_be_written_do_not_end_the_training(
    tmp_path: Path, undisturbed, monkeypatch, caplog
) -> None:
    trainer, _, _ = make_trainer_and_planner()
    original, calls = reporter.write_curves, []

    def full(*args: object) -> None:
        calls.append(1)
        if len(calls) < 3:
            raise OSError(28, os.strerror(28), "plots/train/loss.tsv")
        original(*args)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(reporter, "write_curves", full)
    run_here(tmp_path, trainer)
    assert "curves not written: plots/train/loss.tsv: No space left" in caplog.text
    assert equal(state_of(trainer), undisturbed[0])
    assert (tmp_path / "plots" / "loss.tsv").is_file(), "at the end they are"


def test_out_of_memory_in_the_validation_loss_is_answered_with_halves(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    _, plain = whole_run(stage(), splits(), tmp_path, "plain")
    original = Validator._loss_at_once

    def short(self: Validator, loaded: Loaded) -> float:
        if len(loaded.clips) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return original(self, loaded)

    monkeypatch.setattr(Validator, "_loss_at_once", short)
    _, halved = whole_run(stage(), splits(), tmp_path, "halved")
    assert halved.best.loss == pytest.approx(plain.best.loss, rel=1e-5)


def test_what_the_user_must_mend_costs_no_step(tmp_path: Path, undisturbed, monkeypatch) -> None:
    """Such as a data worker that dies: the steps since the last checkpoint are saved before the run ends."""
    trainer, _, _ = make_trainer_and_planner(replace(PARAMS, checkpoint_every=99))
    with made_run(tmp_path, trainer) as (run, progress):

        def unreadable(*_: object) -> object:
            if progress.step == 2:
                raise UserError("data.worker_died: worker 1")
            return original(*_)  # type: ignore[arg-type]  # passed on as they came

        original = loop.take_step
        monkeypatch.setattr(loop, "take_step", unreadable)
        with pytest.raises(UserError, match="worker_died"):
            train(run, progress)
    monkeypatch.undo()
    again, _, _ = make_trainer_and_planner(replace(PARAMS, checkpoint_every=99))
    with made_run(tmp_path, again) as (run, progress):
        assert progress.step == 2
        train(run, progress)
    assert equal(state_of(again), undisturbed[0])
