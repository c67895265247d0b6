"""The training loop. Read `train` first: it is the table of contents."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from signal import SIGTERM
from typing import NoReturn

from asr.errors import Interrupted, UserError
from asr.params import TrainParams
from asr.training.batches import Planner
from asr.training.checkpoint.store import SaveError
from asr.training.fitting import fit_into_memory
from asr.training.guards.finite import NotFiniteError, require_updates
from asr.training.guards.signals import Signals
from asr.training.loading import loaded_batches
from asr.training.observe.reporter import Reporter
from asr.training.progress import Progress
from asr.training.saving import Saver
from asr.training.selection import has_stopped, note
from asr.training.trainer import Trainer
from asr.training.update import take_step
from asr.training.validation import Abandoned, Evaluation

Evaluate = Callable[[int], Evaluation]
"""Judges the weights as they are after a step."""


@dataclass(frozen=True)
class Run:
    """Everything a run consists of, beside its `Progress`."""

    trainer: Trainer
    planner: Planner
    evaluate: Evaluate
    saver: Saver
    reporter: Reporter
    signals: Signals

    @property
    def params(self) -> TrainParams:
        """The section `train` of the parameters."""
        return self.trainer.params


def train(run: Run, progress: Progress) -> None:
    """Runs all steps from `progress` on, which it keeps up to date.

    Raises:
        Interrupted: a signal came; the state is saved.
        UserError: memory, data or numbers that the user must mend.
    """
    with run.trainer.profiler.pause():
        fit_into_memory(run.trainer, run.planner, progress)
    run.reporter.start(progress)
    run.trainer.objective.train()
    with saved_on_errors(run, progress):
        take_all_steps(run, progress)
    run.reporter.end(progress)


def take_all_steps(run: Run, progress: Progress) -> None:
    """Steps, and between them what is due."""
    batches = loaded_batches(
        run.trainer.data, run.planner, progress.batch, run.params.workers, pin=run.trainer.device.type == "cuda"
    )
    with batches as plan:
        while True:
            if checkpoint_is_due(run, progress):
                save(run, progress)
            if evaluation_is_due(run.params, progress):
                evaluate(run, progress)
            if run.trainer.ranks.any(run.signals.received is not None):
                leave(run, progress)
            if is_over(run.params, progress):
                return
            with run.trainer.profiler.phase("wait"):
                loaded = next(plan)
            measured = take_step(run.trainer, progress, loaded)
            run.reporter.stepped(progress, measured, loaded)
            require_updates(progress, run.params)
            if point_is_due(run.params, progress) and not measured.fault:
                run.reporter.point(progress, measured)


@contextmanager
def saved_on_errors(run: Run, progress: Progress) -> Iterator[None]:
    """Saves the steps since the last checkpoint where the user has something to mend.

    Between two steps the state is whole, whatever ended the run. With several processes only one may know of it, and
    the others could not take part.
    """
    try:
        yield
    except UserError as error:
        alone = run.trainer.ranks.count == 1 and not isinstance(error, SaveError | NotFiniteError)
        if alone and progress.step > run.saver.saved_step:
            save(run, progress)
        raise


def checkpoint_is_due(run: Run, progress: Progress) -> bool:
    """Every `train.checkpoint_every` steps, and before every evaluation, which may be long."""
    if progress.step == 0 or progress.step == run.saver.tried_step:
        return False
    return progress.step % run.params.checkpoint_every == 0 or evaluation_is_due(run.params, progress)


def evaluation_is_due(params: TrainParams, progress: Progress) -> bool:
    """Every `train.evaluate_every` steps and after the last, once; also first thing after a resume."""
    evaluations = progress.history.evaluations
    if progress.step == 0 or (evaluations and evaluations[-1].step == progress.step):
        return False
    return progress.step % params.evaluate_every == 0 or progress.step == params.max_steps


def point_is_due(params: TrainParams, progress: Progress) -> bool:
    """Every `train.log_every` steps, and before every evaluation, after which the run may be over."""
    return progress.step % params.log_every == 0 or evaluation_is_due(params, progress)


def is_over(params: TrainParams, progress: Progress) -> bool:
    """All steps are taken, or evaluations no longer get better."""
    return progress.step >= params.max_steps or has_stopped(progress, params)


def evaluate(run: Run, progress: Progress) -> None:
    """Judges the weights, and keeps them if they are the best or to be averaged."""
    try:
        with run.trainer.profiler.pause():
            found = run.evaluate(progress.step)
    except Abandoned:
        return  # a signal is waiting; after a resume this evaluation is still due
    note(progress, found.record, run.params)
    progress.history.heard += found.heard
    if found.record in progress.kept:
        with run.trainer.profiler.pause():
            run.saver.keep_weights(progress.step)
    run.reporter.evaluated(progress, found.record)


def save(run: Run, progress: Progress) -> None:
    """Writes a checkpoint, or says why it could not; the next one is tried when it is due."""
    with run.trainer.profiler.pause():
        run.reporter.saved(progress, run.saver.save(progress))


def leave(run: Run, progress: Progress) -> NoReturn:
    """Saves and ends the run, to be gone on with later.

    Raises:
        Interrupted: always.
    """
    if run.saver.saved_step != progress.step:
        save(run, progress)
    stands = run.saver.saved_step
    saved = "saved after" if stands == progress.step else "not saved; what stands is"
    where = f"step {max(stands, 0)} of {run.params.max_steps}"
    raise Interrupted(run.signals.received or SIGTERM, f"{saved} {where}; the same command goes on from there")
