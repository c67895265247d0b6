"""A short list to read and to listen to: the worst test clips, and some that stand for all."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from asr.errors import UserError
from asr.files import read_jsonl
from asr.reporting.records.inputs import RecordInputs
from asr.scoring.table import Table

MOST = 50
WORST = 20
COLUMNS = (*("id", "group", "duration", "reference", "hypothesis", "errors", "words", "wer", "confidence", "capped"),)
_OPTIONAL = {"confidence"}
"""Older predictions lack it."""

Row = Mapping[str, Any]


def sample_predictions(inputs: RecordInputs) -> Table:
    """The clips with most errors first; then others in an order that follows from their ids alone.

    The second part stays the same from run to run, so that one can hear how a model changes.

    Raises:
        UserError: the file is missing, or a row lacks a value.
    """
    rows = list(read_jsonl(inputs.predictions))
    for row in rows:
        missing = [key for key in COLUMNS if key not in row and key not in {*_OPTIONAL, "wer"}]
        if missing:
            raise UserError(f"{inputs.predictions}: a row without {missing[0]!r}; run evaluate again")
    return Table(COLUMNS, tuple(_cells(row) for row in chosen(rows)))


def chosen(rows: Sequence[Row]) -> list[Row]:
    """At most `MOST` rows, of them at most `WORST` for their errors."""
    wrong = sorted((row for row in rows if row["errors"]), key=lambda row: (-row["errors"], row["id"]))[:WORST]
    taken = {row["id"] for row in wrong}
    others = sorted((row for row in rows if row["id"] not in taken), key=lambda row: _rank(row["id"]))
    return [*wrong, *others[: MOST - len(wrong)]]


def _rank(clip_id: str) -> str:
    """A digest, by which any number of first clips is spread evenly over the set."""
    return hashlib.sha256(clip_id.encode()).hexdigest()


def _cells(row: Row) -> tuple[object, ...]:
    """Without a WER where nothing was said."""
    wer = row["errors"] / row["words"] if row["words"] else None
    filled = {**row, "wer": wer, "capped": "yes" if row["capped"] else "no"}
    return tuple(filled.get(key) for key in COLUMNS)
