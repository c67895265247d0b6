"""The index: one row a clip of the source, also for clips that could not be decoded."""

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from asr.errors import UserError


@dataclass(frozen=True)
class IndexRow:
    """What prepare knows of one clip. `prepare` measures, `validate` judges.

    A clip that could not be decoded has a reason `code` and `message`, and zeros for measurements.
    """

    id: str
    """Hash of `name`, or of the samples where the source has no names: stable over machines and row order."""
    row: int
    """Position in the source, from 0."""
    name: str
    """Source-relative name; empty where the source has none."""
    text: str
    """Transcript exactly as the source gives it."""
    group: str
    """Speaker, recording or other unit that must not be shared by two splits; empty where unknown."""
    source: str
    """Where the clip comes from: the kind of source, or a data set's name."""
    split: str
    """The source's own split, one of `train`, `validation`, `test`; empty where it has none."""
    duration: float
    """Decoded length in seconds."""
    sha256: str
    """Of the stored PCM16 bytes; empty where nothing was stored."""
    peak: float
    """Largest absolute sample, full scale = 1."""
    rms_dbfs: float
    """Root mean square in dB relative to full scale; -120 for digital silence."""
    clipped: float
    """Share of samples at full scale."""
    dc_offset: float
    """Mean sample, full scale = 1."""
    code: str
    """Empty, or why the clip could not be decoded (`docs/bad-data.md`)."""
    message: str
    """Empty, or the reason in words with the measured value."""


SCHEMA = pa.schema(
    [
        (field.name, {"str": pa.string(), "int": pa.int64(), "float": pa.float64()}[field.type.__name__])  # type: ignore[union-attr]  # plain classes
        for field in dataclasses.fields(IndexRow)
    ]
)


def write_index(path: Path, rows: Iterable[IndexRow]) -> None:
    """Writes Parquet sorted by id; the bytes depend on the rows and the pinned pyarrow only."""
    ordered = sorted(rows, key=lambda row: row.id)
    columns = {name: [getattr(row, name) for row in ordered] for name in SCHEMA.names}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.partial")
    pq.write_table(pa.table(columns, schema=SCHEMA), temporary, compression="zstd")
    temporary.replace(path)


def read_index(path: Path) -> Iterator[IndexRow]:
    """All rows, in the order of their ids.

    Raises:
        UserError: the file is missing or has other columns.
    """
    if not path.is_file():
        raise UserError(f"{path}: missing; `dvc repro prepare` writes it")
    table = pq.read_table(path)
    if table.schema.names != SCHEMA.names:
        raise UserError(f"{path}: columns {table.schema.names} are not those of this version; run prepare again")
    for batch in table.to_batches(max_chunksize=8192):
        for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            yield IndexRow(*values)
