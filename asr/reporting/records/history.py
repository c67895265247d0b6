"""Training and its evaluations over the optimizer steps, one row a step."""

from collections.abc import Mapping
from pathlib import Path

from asr.errors import UserError
from asr.reporting.records.inputs import RecordInputs
from asr.reporting.tables import read_columns
from asr.scoring.table import Table

SOURCES: Mapping[str, tuple[str, str]] = {
    "loss": ("loss.tsv", "loss"),
    "ctc_loss": ("loss.tsv", "ctc_loss"),
    "learning_rate": ("learning_rate.tsv", "learning_rate"),
    "gradient_norm": ("gradient_norm.tsv", "gradient_norm"),
    "validation_wer": ("validation_wer.tsv", "wer"),
    "validation_loss": ("validation_loss.tsv", "loss"),
}
"""Columns of the history, with the table and column below `plots/train` that hold them."""


def training_history(inputs: RecordInputs) -> Table:
    """Every step at which anything was recorded; a cell is empty where its table has no such step.

    Raises:
        UserError: a table or a column is missing, or a step is no number.
    """
    columns = [_by_step(inputs.tables / file, column) for file, column in SOURCES.values()]
    steps = sorted({step for column in columns for step in column})
    rows = tuple((step, *(column.get(step, "") for column in columns)) for step in steps)
    return Table(("step", *SOURCES), rows)


def evaluation_history(inputs: RecordInputs) -> Table:
    """Every evaluation on validation, and which of them was the best.

    Raises:
        UserError: a table or a column is missing, or a step is no number.
    """
    wer, loss = (_by_step(inputs.tables / file, column) for file, column in _EVALUATIONS)
    best = inputs.metric("train", "best_step")
    rows = tuple(
        (step, wer.get(step, ""), loss.get(step, ""), "yes" if step == best else "no") for step in sorted({*wer, *loss})
    )
    return Table(("step", "wer", "loss", "best"), rows)


_EVALUATIONS = SOURCES["validation_wer"], SOURCES["validation_loss"]


def _by_step(path: Path, column: str) -> dict[int, str]:
    """Cells as they are written: they were rounded by nobody, and shall not be."""
    steps, cells = read_columns(path, ("step", column))
    try:
        return dict(zip(map(int, steps), cells, strict=True))
    except ValueError as error:
        raise UserError(f"{path}: a step is no whole number ({error}); run train again") from error
