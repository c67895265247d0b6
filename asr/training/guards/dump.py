"""What is written down when a run stops because its numbers are not finite: enough to find out why."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from asr.files import write_json
from asr.training.guards.finite import NotFiniteError
from asr.training.progress import Progress
from asr.training.trainer import Trainer


@contextmanager
def dumped(trainer: Trainer, progress: Progress, path: Path) -> Iterator[None]:
    """Writes `path` where the block ends in `NotFiniteError`, and names it in the message."""
    try:
        yield
    except NotFiniteError as error:
        raise NotFiniteError(f"{error}; {_written(trainer, progress, path)}") from error


def _written(trainer: Trainer, progress: Progress, path: Path) -> str:
    """Where the dump is, or why there is none."""
    try:
        write_json(path, _content(trainer, progress))
    except OSError as error:
        return f"which parameters are concerned could not be written ({path}: {error.strerror})"
    return f"which parameters are concerned is in {path}"


def _content(trainer: Trainer, progress: Progress) -> dict[str, object]:
    gradients = {name: value.grad for name, value in trainer.names().items() if value.grad is not None}
    in_a_row = [skip for skip in progress.skipped if skip.cause != "overflow"][-progress.skipped_in_a_row :]
    return {
        "step": progress.step,
        "batch": progress.batch,
        "learning_rate": trainer.optimizer.param_groups[0]["lr"],
        "skipped": [vars(skip) for skip in in_a_row],
        "weights_not_finite": [name for name, value in trainer.names().items() if not _is_finite(value)],
        "gradients_not_finite": [name for name, value in gradients.items() if not _is_finite(value)],
        "gradient_norms": {name: _norm(value) for name, value in gradients.items()},
        "weight_norms": {name: _norm(value.detach()) for name, value in trainer.names().items()},
    }


def _is_finite(value: torch.Tensor) -> bool:
    return bool(torch.isfinite(value).all())


def _norm(value: torch.Tensor) -> float | str:
    """JSON has no NaN."""
    norm = float(value.norm())
    return norm if math.isfinite(norm) else str(norm)
