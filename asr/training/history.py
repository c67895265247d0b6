"""What a training run leaves for its curves."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from asr.files import write_jsonl, write_tsv


@dataclass(frozen=True)
class StepRecord:
    """One point of the training curves, a mean over the updates since the last point."""

    step: int
    loss: float
    """Cross-entropy a token (nats), label smoothing included: the mean over the tokens of all micro-batches."""
    ctc_loss: float
    """CTC loss a token (nats), the same mean; 0 without CTC."""
    learning_rate: float
    gradient_norm: float
    """Before clipping, the mean over the updates."""


@dataclass(frozen=True)
class EvaluationRecord:
    """One evaluation on validation clips."""

    step: int
    wer: float
    loss: float
    """Cross-entropy a token (nats) with the true text as input, label smoothing included."""
    capped: int
    """Hypotheses ended by the token cap instead of by the model."""


@dataclass(frozen=True)
class Heard:
    """What the model heard in one of the clips that are watched."""

    step: int
    id: str
    reference: str
    hypothesis: str


@dataclass
class History:
    """All points so far."""

    steps: list[StepRecord] = field(default_factory=list)
    evaluations: list[EvaluationRecord] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)


def write_curves(history: History, folder: Path) -> None:
    """One table a curve, as `dvc plots` wants them, and the watched clips; written whole, also while training runs."""
    _write(folder / "loss.tsv", ("step", "loss", "ctc_loss"), history.steps)
    _write(folder / "learning_rate.tsv", ("step", "learning_rate"), history.steps)
    _write(folder / "gradient_norm.tsv", ("step", "gradient_norm"), history.steps)
    _write(folder / "validation_wer.tsv", ("step", "wer"), history.evaluations)
    _write(folder / "validation_loss.tsv", ("step", "loss"), history.evaluations)
    by_clip = sorted(history.heard, key=lambda heard: (heard.id, heard.step))
    write_jsonl(folder / "watched.jsonl", [vars(heard) for heard in by_clip])


def _write(path: Path, columns: Sequence[str], records: Sequence[StepRecord | EvaluationRecord]) -> None:
    write_tsv(path, columns, ([getattr(record, name) for name in columns] for record in records))
