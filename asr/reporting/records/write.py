"""Writes all records; equal inputs give equal bytes."""

import csv
import io
from pathlib import Path

from asr.files import replaced_folder, write_json, write_text
from asr.reporting.records.card import published_card
from asr.reporting.records.corpus import data_statistics, split_info
from asr.reporting.records.experiment import environment, experiment, model_info
from asr.reporting.records.history import evaluation_history, training_history
from asr.reporting.records.inputs import RecordInputs
from asr.reporting.records.samples import sample_predictions
from asr.scoring.table import Table

TABLES = {
    "training_history.csv": training_history,
    "evaluation_history.csv": evaluation_history,
    "sample_predictions.csv": sample_predictions,
}
OBJECTS = {
    "data_statistics.json": data_statistics,
    "split_info.json": split_info,
    "environment.json": environment,
    "model_info.json": model_info,
    "experiment.json": experiment,
}
CARD = "README.md"


def write_records(folder: Path, inputs: RecordInputs) -> None:
    """Replaces the folder by a new one; it stays as it was if anything is missing.

    Raises:
        UserError: a file, a key or a column is missing, or the inputs are of different runs.
    """
    with replaced_folder(folder) as partial:
        for name, table in TABLES.items():
            write_text(partial / name, as_csv(table(inputs)))
        for name, content in OBJECTS.items():
            write_json(partial / name, content(inputs))
        write_text(partial / CARD, published_card(inputs))


def as_csv(table: Table) -> str:
    """Comma-separated with a header, quoted where needed (RFC 4180, but LF line ends); None is an empty cell."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(table.rows)
    return file.getvalue()
