"""What a training run leaves for its curves."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from asr.files import write_tsv


@dataclass(frozen=True)
class StepRecord:
    """One point of the training curves, a mean over the steps since the last point."""

    step: int
    loss: float
    """Cross-entropy a token (nats), label smoothing included."""
    ctc_loss: float
    """CTC loss a token (nats); 0 without CTC."""
    learning_rate: float
    gradient_norm: float
    """Before clipping."""


@dataclass(frozen=True)
class EvaluationRecord:
    """One evaluation on validation clips."""

    step: int
    wer: float
    capped: int
    """Hypotheses ended by the token cap instead of by the model."""


@dataclass
class History:
    """All points so far."""

    steps: list[StepRecord] = field(default_factory=list)
    evaluations: list[EvaluationRecord] = field(default_factory=list)


def write_curves(history: History, folder: Path) -> None:
    """One table a curve, as `dvc plots` wants them."""
    _write(folder / "loss.tsv", ("step", "loss", "ctc_loss"), history.steps)
    _write(folder / "learning_rate.tsv", ("step", "learning_rate"), history.steps)
    _write(folder / "gradient_norm.tsv", ("step", "gradient_norm"), history.steps)
    _write(folder / "validation_wer.tsv", ("step", "wer"), history.evaluations)


def _write(path: Path, columns: Sequence[str], records: Sequence[StepRecord | EvaluationRecord]) -> None:
    write_tsv(path, columns, ([getattr(record, name) for name in columns] for record in records))
