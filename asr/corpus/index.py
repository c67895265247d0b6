"""The index: one row a clip of the source, also for clips that could not be decoded."""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

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
    licence: str
    """Terms of the data, as `data.licence` states them; empty where nothing is stated."""
    declared: float | None
    """Length in seconds that the source states; None where it states nothing."""
    encoding: str
    """Container and codec of the file, such as `WAV PCM_16`; empty where nothing was decoded."""
    rate: int
    """Hz in the file, before resampling; 0 where nothing was decoded."""
    channels: int
    """Channels in the file; 0 where nothing was decoded."""
    channel_correlation: float
    """The smallest correlation between the first channel and another; 1 for mono."""
    channel_gap_db: float
    """Level of the loudest channel over that of the quietest (dB); 0 for mono."""
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
    """Mean sample, full scale = 1, before the high-pass that removes a large one."""
    snr_db: float
    """Estimated level of the louder over the quieter moments (dB); `asr/corpus/measure.py` says how."""
    speech_share: float | None
    """Share of the clip in which a voice is heard, by Silero VAD; None where it was not asked for."""
    lead_silence: float
    """Seconds before the first sound."""
    tail_silence: float
    """Seconds after the last sound."""
    silence: float
    """Share of the clip that is silent, the ends included."""
    bandwidth: float
    """Hz below which nearly all energy lies."""
    tone_share: float
    """Share of the energy in the strongest narrow band: near 1 for a beep."""
    edge_db: float
    """Level at the louder end of the clip relative to its loud moments (dB): near 0 where speech is cut."""
    zero_run: float
    """Longest run of exact zeros between the first and the last sound (s): a dropout."""
    fingerprint: str
    """128 bits in hexadecimal, alike for the same recording in another rendering; empty where too little is heard."""
    notes: str
    """Codes of what prepare repaired or noticed, separated by spaces."""
    code: str
    """Empty, or why the clip could not be decoded (`docs/bad-data.md`)."""
    message: str
    """Empty, or the reason in words with the measured value."""


_TYPES = {str: pa.string(), int: pa.int64(), float: pa.float64(), float | None: pa.float64()}
SCHEMA = pa.schema([(field.name, _TYPES[field.type]) for field in dataclasses.fields(IndexRow)])  # type: ignore[index]  # types, not strings
TEXTS = tuple(field.name for field in SCHEMA if field.type == pa.string())
OPTIONAL = tuple(field.name for field in dataclasses.fields(IndexRow) if field.type == float | None)
"""Numbers that a clip may lack: None in a row, null in the file, NaN in a column."""


@dataclass(frozen=True)
class Index:
    """The index by column: 351,000 rows as objects would take seconds and gigabytes.

    All columns run in the order of the ids.
    """

    texts: Mapping[str, Sequence[str]]
    """The columns of words, by the names in `IndexRow`."""
    numbers: Mapping[str, NDArray[Any]]
    """The columns of numbers, each of shape = (rows,); NaN where a row has none (`OPTIONAL`)."""

    def __len__(self) -> int:
        return len(self.texts["id"])

    def row(self, place: int) -> IndexRow:
        """One row as an object."""
        values: dict[str, Any] = {name: column[place] for name, column in self.texts.items()}
        values |= {name: column[place].item() for name, column in self.numbers.items()}
        values |= {name: None for name in OPTIONAL if math.isnan(values[name])}
        return IndexRow(**values)


def as_index(table: pa.Table) -> Index:
    """Columns of a table with the schema of the index, sorted by id."""
    table = table.sort_by("id")
    texts = {name: table.column(name).to_pylist() for name in TEXTS}
    numbers = {name: table.column(name).to_numpy() for name in SCHEMA.names if name not in TEXTS}
    return Index(texts, numbers)


def index_of(rows: Iterable[IndexRow]) -> Index:
    """The same columns from rows in any order."""
    return as_index(as_table(rows))


def as_table(rows: Iterable[IndexRow]) -> pa.Table:
    """Rows as Arrow columns, in the order given."""
    found = list(rows)
    return pa.table({name: [getattr(row, name) for row in found] for name in SCHEMA.names}, schema=SCHEMA)


def write_index(path: Path, table: pa.Table) -> None:
    """Writes Parquet sorted by id; the bytes depend on the rows and the pinned pyarrow only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.partial")
    pq.write_table(table.sort_by("id").combine_chunks(), temporary, compression="zstd")
    temporary.replace(path)


def read_index(path: Path) -> Index:
    """All rows, by column.

    Raises:
        UserError: the file is missing or has other columns.
    """
    if not path.is_file():
        raise UserError(f"{path}: missing; `dvc repro prepare` writes it")
    table = pq.read_table(path)
    if table.schema.names != SCHEMA.names:
        raise UserError(f"{path}: columns {table.schema.names} are not those of this version; run prepare again")
    return as_index(table)
