"""Corpora in Parquet files on this machine, read by the process that decodes them.

Audio columns hold encoded bytes, alone or beside a path, as `datasets` writes them. They are decoded by
`asr.audio`, so neither torchcodec nor FFmpeg is needed, and one broken row cannot stop the reading.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from asr.corpus.clips import SourceClip
from asr.corpus.sources.manifest import Columns
from asr.corpus.sources.rows import clip_of
from asr.corpus.sources.selection import Source, chosen_rows, file_state, part_size, telling_names
from asr.errors import UserError
from asr.params import DataParams

BATCH = 128
"""Rows read at once: bounds memory whatever the size of the row groups."""
BUFFER = 4 << 20
"""Bytes read from disk at once."""


@dataclass(frozen=True)
class RowGroup:
    """A row group of a file; Parquet can be entered only here."""

    path: Path
    number: int
    first: int
    """Row in the source at which it begins."""
    rows: int


@dataclass(frozen=True)
class Piece:
    """What a part takes of a row group: places in it, in rising order."""

    group: RowGroup
    places: tuple[int, ...]


@dataclass(frozen=True)
class ParquetPart:
    """Rows of row groups that follow each other."""

    pieces: tuple[Piece, ...]
    columns: Columns
    source: str
    named: bool
    """Whether the names in the audio column tell the clips apart."""

    counted_from_here: ClassVar[bool] = False

    def clips(self) -> Iterator[tuple[int, SourceClip]]:
        """The rows, decoded from disk a few at a time.

        Raises:
            UserError: a damaged file, or a value that does not fit.
        """
        for piece in self.pieces:
            first = piece.group.first
            for place, values in _values(piece, self.columns):
                where = f"{self.source} row {first + place}"
                yield first + place, clip_of(values, self.columns, self.source, where, self.named)

    def state(self) -> str:
        """Pieces, columns, and size and time of change of the files."""
        paths = sorted({piece.group.path for piece in self.pieces})
        return f"{self} {[file_state(path) for path in paths]}"


def open_parquet(data: DataParams, columns: Columns, path: Path) -> Source:
    """One file, or all those under a folder in the order of their names.

    Raises:
        UserError: no such files, a damaged one, or columns that do not fit.
    """
    files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    if not files:
        raise UserError(f"data.path = '{path}': no *.parquet file in this folder; put the data set's files there")
    groups = _row_groups(files, columns)
    names, notes = telling_names(_names(files, columns.audio), "parquet")
    taken = chosen_rows(names, data.max_clips, data.seed)
    parts = [ParquetPart(pieces, columns, "parquet", not notes) for pieces in _shared_out(groups, taken)]
    return Source(parts, len(taken), notes)


def _row_groups(files: Sequence[Path], columns: Columns) -> list[RowGroup]:
    groups: list[RowGroup] = []
    first = 0
    for path in files:
        file = _opened(path)
        columns.check(file.schema_arrow.names, str(path))
        for number in range(file.num_row_groups):
            rows = file.metadata.row_group(number).num_rows
            groups.append(RowGroup(path, number, first, rows))
            first += rows
    return groups


def _opened(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path, buffer_size=BUFFER, pre_buffer=False, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: not readable as Parquet ({_line(error)}); fetch the file again") from error


def _names(files: Sequence[Path], column: str) -> list[str]:
    """The name beside each clip's bytes, empty where there is none; the bytes are not read."""
    names: list[str] = []
    for path in files:
        file = _opened(path)
        if not pa.types.is_struct(file.schema_arrow.field(column).type):
            names += [""] * file.metadata.num_rows
            continue
        with_names = file.read(columns=[f"{column}.path"]).column(column)
        names += [name or "" for name in pc.struct_field(with_names, "path").to_pylist()]
    return names


def _shared_out(groups: Sequence[RowGroup], taken: Sequence[int]) -> Iterator[tuple[Piece, ...]]:
    """The taken rows in pieces that make parts of about equal size; a row group is cut only if it is large."""
    size, waiting = part_size(len(taken)), list[Piece]()
    for piece in _pieces(groups, taken):
        for start in range(0, len(piece.places), size):
            waiting.append(Piece(piece.group, piece.places[start : start + size]))
            if sum(len(item.places) for item in waiting) >= size:
                yield tuple(waiting)
                waiting = []
    if waiting:
        yield tuple(waiting)


def _pieces(groups: Sequence[RowGroup], taken: Sequence[int]) -> Iterator[Piece]:
    rows = iter(taken)
    row = next(rows, None)
    for group in groups:
        places = []
        while row is not None and row < group.first + group.rows:
            places.append(row - group.first)
            row = next(rows, None)
        if places:
            yield Piece(group, tuple(places))


def _values(piece: Piece, columns: Columns) -> Iterator[tuple[int, dict[str, Any]]]:
    """Place in the row group and the values of each row of a piece; encoded audio is a view of Arrow's memory."""
    file = _opened(piece.group.path)
    wanted, start = set(piece.places), 0
    batches = file.iter_batches(BATCH, row_groups=[piece.group.number], columns=columns.names(), use_threads=False)
    try:
        for batch in batches:
            places = [place for place in range(start, start + batch.num_rows) if place in wanted]
            if places:
                whole = len(places) == batch.num_rows
                taken = batch if whole else batch.take([place - start for place in places])
                yield from zip(places, _rows(taken, columns.audio), strict=True)
            start += batch.num_rows
            if start > piece.places[-1]:
                return
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{piece.group.path}: reading stopped ({_line(error)}); fetch the file again") from error


def _rows(batch: pa.RecordBatch, audio: str) -> Iterator[dict[str, Any]]:
    """Rows as mappings."""
    column = batch.column(audio)
    others = batch.drop_columns([audio]).to_pylist() if batch.num_columns > 1 else [{}] * batch.num_rows
    if pa.types.is_struct(column.type):
        paths = pc.struct_field(column, "path").to_pylist()
        held = zip(_views(pc.struct_field(column, "bytes")), paths, strict=True)
        values: Iterable[object] = ({"bytes": view, "path": path} for view, path in held)
    elif pa.types.is_binary(column.type):
        values = _views(column)
    else:
        values = column.to_pylist()
    for row, value in zip(others, values, strict=True):
        yield row | {audio: value}


def _views(column: pa.BinaryArray) -> Iterator[memoryview | None]:
    """The bytes of each row without copying them: a clip has a hundred thousand."""
    _, offsets, data = column.buffers()
    ends = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1].tolist()
    content = memoryview(data) if data is not None else memoryview(b"")
    for held, (start, end) in zip(column.is_valid().to_pylist(), pairwise(ends), strict=True):
        yield content[start:end] if held else None


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
