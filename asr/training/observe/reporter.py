"""What a run says while it trains: a bar, a log, curves for `dvc plots show`, trackers.

Nothing here changes a result: clock times and rates go to `runs/`, what is declared to DVC holds neither.
"""

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from asr.training.guards.finite import Measured, large_gradient
from asr.training.history import EvaluationRecord, StepRecord, write_curves
from asr.training.loading import Loaded
from asr.training.observe.journal import Journal
from asr.training.observe.memory import MemoryMonitor, Reading
from asr.training.observe.profiler import Profile
from asr.training.observe.trackers import Tracker
from asr.training.progress import Progress, Sums
from asr.training.trainer import Trainer

LOG = logging.getLogger(__name__)
BETWEEN_CURVES_SECONDS = 5.0
"""Curves are written whole, so not at every point of a fast run."""


class Reporter:
    """One run's bar, log, curves and tracker; only the main process has one that writes."""

    def __init__(self, trainer: Trainer, journal: Journal, tracker: Tracker, plots: Path) -> None:
        self._trainer = trainer
        self._journal = journal
        self._tracker = tracker
        self._plots = plots
        self._monitor = MemoryMonitor(trainer.device)
        self._bar: tqdm[Any] = tqdm(
            total=trainer.params.max_steps, desc="train", unit="step", disable=None if trainer.ranks.is_main else True
        )
        self._curves_at = 0.0
        self._split = 0
        self._largest_norm = self._warned_norm = 0.0

    def start(self, progress: Progress) -> None:
        """The run begins, or goes on."""
        self._bar.update(progress.step)
        if progress.batch:
            LOG.info("going on after step %d (batch %d)", progress.step, progress.batch)
        self._split = progress.batches_split
        kind = "resume" if progress.batch else "start"
        self._write(kind, progress, step=progress.step, clips_at_once=self._at_once(progress))

    def stepped(self, progress: Progress, measured: Measured, loaded: Sequence[Loaded]) -> None:
        """After every batch."""
        clips = [clip for micro in loaded for clip in micro.clips]
        self._trainer.profiler.end_step(len(clips), sum(self._trainer.data.utterances[clip].duration for clip in clips))
        if measured.fault:
            skip = progress.skipped[-1]
            self._write("skip", progress, step=skip.step, cause=skip.cause, clips=list(skip.clips))
        else:
            self._bar.update()
            self._largest_norm = max(self._largest_norm, measured.gradient_norm)
        if progress.batches_split > self._split:
            self._split = progress.batches_split
            self._write("split", progress, step=progress.step, clips_at_once=self._at_once(progress))

    def point(self, progress: Progress, measured: Measured) -> None:
        """One point of the curves, and an empty sum for the next."""
        sums, progress.sums = progress.sums, Sums()
        record = StepRecord(
            step=progress.step,
            loss=sums.cross_entropy / sums.tokens,
            ctc_loss=sums.ctc / sums.tokens,
            learning_rate=self._trainer.optimizer.param_groups[0]["lr"],
            gradient_norm=sums.gradient_norm / sums.updates,
        )
        progress.history.steps.append(record)
        profile, reading = self._trainer.profiler.report(), self._monitor.look(progress.step)
        self._write("step", progress, **vars(record), **self._beside(progress, measured, profile, reading))
        if profile is not None:
            self._write("profile", progress, shares=dict(profile.shares), verdict=profile.verdict())
        if self._largest_norm > 2 * self._warned_norm:
            text = large_gradient(progress.step, self._largest_norm, self._trainer.params)
            self._warned_norm = self._largest_norm if text else self._warned_norm
            self._warn("warning", progress, text)
        self._warn("memory", progress, self._monitor.relieve(reading))
        self._warn("memory", progress, self._monitor.leak())
        self._tracker.log({name: value for name, value in vars(record).items() if name != "step"}, progress.step)
        self._show(progress, record, profile)
        if time.monotonic() - self._curves_at > BETWEEN_CURVES_SECONDS:
            self._curves(progress)

    def evaluated(self, progress: Progress, record: EvaluationRecord) -> None:
        """After an evaluation; the watched clips are the last ones heard."""
        self._write("evaluate", progress, **vars(record), best_step=progress.best.step if progress.best else None)
        self._tracker.log({"validation_wer": record.wer, "validation_loss": record.loss}, record.step)
        LOG.info("step %d: validation WER %.4f, loss %.4f", record.step, record.wer, record.loss)
        for heard in progress.history.heard:
            if heard.step == record.step:
                LOG.info("  %s: %s -> %s", heard.id, heard.reference, heard.hypothesis)
        self._curves(progress)

    def saved(self, progress: Progress, done: bool) -> None:
        """After a checkpoint, or after one could not be written."""
        self._write("checkpoint", progress, step=progress.step, saved=done)

    def end(self, progress: Progress) -> None:
        """The run is over: the verdict on where its time went."""
        if progress.step < self._trainer.params.max_steps:
            LOG.info("ended early: %d evaluations without a better one", progress.waited)
        profile = self._trainer.profiler.total()
        if profile is not None:
            shares = {**dict(profile.shares), "clips_per_second": profile.clips_per_second}
            self._write("end", progress, step=progress.step, verdict=profile.verdict(), **shares)
            LOG.info("%s", profile.verdict())
        if self._trainer.ranks.is_main:
            write_curves(progress.history, self._plots)

    def close(self) -> None:
        """Ends bar and tracker, however the run ended."""
        self._bar.close()
        self._tracker.end()

    def _write(self, kind: str, progress: Progress, **values: Any) -> None:
        self._journal.write(kind, progress.batch, **values)

    def _beside(
        self, progress: Progress, measured: Measured, profile: Profile | None, reading: Reading
    ) -> dict[str, Any]:
        """What a line of the log has beside the curves."""
        return {
            "scale": measured.scale,
            "ram_bytes": reading.ram_bytes,
            "device_bytes": reading.device_bytes,
            "padding_share": 1 - progress.seconds_of_audio / progress.padded_seconds,
            "clips_per_second": profile.clips_per_second if profile else None,
        }

    def _warn(self, kind: str, progress: Progress, text: str) -> None:
        if text:
            LOG.warning("%s", text)
            self._write(kind, progress, text=text)

    def _at_once(self, progress: Progress) -> dict[str, int]:
        seconds = self._trainer.data.edges.seconds
        return {f"{seconds[edge]:g} s": clips for edge, clips in progress.clips_at_once.items()}

    def _show(self, progress: Progress, record: StepRecord, profile: Profile | None) -> None:
        evaluations = progress.history.evaluations
        wer = f"{evaluations[-1].wer:.3f}" if evaluations else "-"
        rate = f", {profile.clips_per_second:.0f} clips/s" if profile else ""
        self._bar.set_postfix_str(f"loss {record.loss:.3f}, WER {wer}{rate}")

    def _curves(self, progress: Progress) -> None:
        """Without them training goes on: they are written whole next time, and at the end they must be."""
        if not self._trainer.ranks.is_main:
            return
        self._curves_at = time.monotonic()
        try:
            write_curves(progress.history, self._plots)
        except OSError as error:
            LOG.warning("curves not written: %s: %s", error.filename or self._plots, error.strerror)
