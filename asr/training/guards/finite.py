"""NaN and infinity: what they may touch (nothing) and what becomes of the batch that brought them.

The test comes before the update, on every batch and in all processes together, as torchtitan does it
(`trainer.py`). A batch that fails it leaves weights, optimizer, schedule and loss scale as they were and becomes
a row with its clips and its cause.
"""

import logging
import math
from dataclasses import dataclass

from asr.errors import UserError
from asr.params import TrainParams
from asr.training.progress import Progress, Skip


class NotFiniteError(UserError):
    """A run that no longer learns."""


LOG = logging.getLogger(__name__)
LARGE_NORM = 10.0
"""Times `train.clip_norm`: beyond it the direction of a clipped gradient is hardly that of the loss."""
SMALLEST_SCALE = 1.0
"""An fp16 loss scale below it has nothing left to give: then the gradient itself is at fault."""


@dataclass(frozen=True)
class Measured:
    """What a batch gave, read from the device at once."""

    features_finite: bool
    cross_entropy: float
    """Sum over the tokens of all micro-batches and processes."""
    ctc: float
    """The same."""
    tokens: int
    gradient_norm: float
    """Before clipping."""
    scale: float | None
    """Of the loss with fp16; None without scaling."""
    unscaled: bool = False
    """Whether the scaler has seen this gradient and must be told what becomes of it."""

    @property
    def fault(self) -> str:
        """The first place that is not finite, in the order of the computation; empty if all are."""
        if not self.features_finite:
            return "features"
        if not math.isfinite(self.cross_entropy + self.ctc):
            return "loss"
        if not math.isfinite(self.gradient_norm):
            return "gradient" if self.scale is None or self.scale < SMALLEST_SCALE else "overflow"
        return ""


def note_skip(progress: Progress, measured: Measured, clips: tuple[str, ...]) -> Skip:
    """Writes down a batch that did not change the weights.

    An overflow of fp16 is no fault: the scaler lowers its scale by itself, several times at the start of a run.
    """
    skip = Skip(progress.batch + 1, progress.step, measured.fault, clips)
    progress.skipped.append(skip)
    if skip.cause == "overflow":
        LOG.info("batch %d: fp16 overflow at scale %g; the scale is lowered", skip.batch, measured.scale)
        return skip
    progress.skipped_in_a_row += 1
    named = _some(clips) if progress.skipped_in_a_row == 1 else "in the log"
    LOG.warning("batch %d: %s not finite; no update (clips %s)", skip.batch, skip.cause, named)
    return skip


def require_updates(progress: Progress, params: TrainParams) -> None:
    """Ends a run that no longer learns.

    Raises:
        NotFiniteError: `train.not_finite`: more batches in a row than `train.max_skipped_in_a_row` allows.
    """
    if progress.skipped_in_a_row <= params.max_skipped_in_a_row:
        return
    skip = progress.skipped[-1]
    raise NotFiniteError(
        f"train.not_finite: {progress.skipped_in_a_row} batches in a row without an update (the last: {skip.cause} "
        f"of batch {skip.batch} after step {skip.step}); lower train.learning_rate (now {params.learning_rate:g}), "
        "raise train.warmup_steps, or look at the clips of these batches"
    )


def large_gradient(step: int, largest: float, params: TrainParams) -> str:
    """One line where the largest gradient norm of the last steps is far beyond what it is clipped to; else nothing."""
    if not params.clip_norm or largest <= LARGE_NORM * params.clip_norm:
        return ""
    return (
        f"up to step {step}: a gradient norm of {largest:.3g} is more than {LARGE_NORM:g} times train.clip_norm "
        f"({params.clip_norm:g}); if this goes on, lower train.learning_rate or raise train.warmup_steps"
    )


def _some(clips: tuple[str, ...], most: int = 8) -> str:
    """The first ids, and how many more there are."""
    more = f" and {len(clips) - most} more" if len(clips) > most else ""
    return ", ".join(clips[:most]) + more
