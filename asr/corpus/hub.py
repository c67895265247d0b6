"""Corpora in Parquet, from the Hugging Face Hub or from a local copy of the same files.

Audio columns are read as encoded bytes (`Audio(decode=False)`) and decoded by `asr.audio`, so neither
torchcodec nor FFmpeg is needed, and one broken row cannot stop the iteration. Code of a data set is
never run.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from asr.audio import decode
from asr.corpus.clips import SourceClip
from asr.corpus.manifest import Columns, labels
from asr.corpus.selection import Source, chosen_rows
from asr.errors import UserError
from asr.params import DataParams
from asr.pcm import AudioError, Pcm16

if TYPE_CHECKING:
    import datasets

    Rows: TypeAlias = datasets.Dataset | datasets.IterableDataset


@dataclass(frozen=True)
class RowAudio:
    """An encoded file from a row, or None where the row has no bytes."""

    data: bytes | None

    def samples(self) -> Pcm16:
        """The decoded clip.

        Raises:
            AudioError: no bytes, or whatever `asr.audio.decode` refuses.
        """
        if self.data is None:
            raise AudioError("audio.missing", "the row holds no audio bytes")
        return decode(self.data)


def open_hub(data: DataParams, columns: Columns) -> Source:
    """The data set `data.name` at `data.revision`, downloaded into the Hugging Face cache or streamed.

    Raises:
        UserError: it cannot be reached, or its columns or values do not fit.
    """
    from datasets import load_dataset

    remedy = (
        f"check name, config, split and revision; to work offline run `hf download {data.name} --repo-type dataset "
        f"--revision {data.revision} --local-dir data/raw` where there is a network, then set data.path to data/raw "
        "and data.name to null"
    )
    with _explained(f"data.name = {data.name}", remedy):
        rows = load_dataset(data.name, data.config, split=data.split, revision=data.revision, streaming=data.streaming)
    return _source(rows, columns, data, str(data.name), total=None)


def open_parquet(data: DataParams, columns: Columns, path: Path) -> Source:
    """Local Parquet: one file, or all those under a folder in the order of their names.

    Raises:
        UserError: no such files, a damaged one, or columns or values that do not fit.
    """
    from datasets import load_dataset

    files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    if not files:
        raise UserError(f"data.path = '{path}': no *.parquet file in this folder; put the data set's files there")
    total = sum(_row_count(file) for file in files)
    with _explained(f"data.path = '{path}'", "fetch the files again"):
        rows = load_dataset("parquet", data_files=[str(f) for f in files], split="train", streaming=data.streaming)
    return _source(rows, columns, data, "parquet", total)


def _row_count(file: Path) -> int:
    with _explained(f"{file}: not readable as Parquet", "fetch the file again"):
        return int(pq.read_metadata(file).num_rows)


def _source(rows: "Rows", columns: Columns, data: DataParams, name: str, total: int | None) -> Source:
    from datasets import Audio

    columns.check(rows.column_names or next(iter(rows)).keys(), name)
    with _explained(f"{name}: column '{columns.audio}' is no audio", "set data.audio_column"):
        rows = rows.select_columns(sorted(set(columns.names()))).cast_column(columns.audio, Audio(decode=False))
    if data.streaming:
        return _streamed(rows, columns, data, name, total)
    return _enumerated(rows, columns, data, name)


def _streamed(rows: "Rows", columns: Columns, data: DataParams, name: str, total: int | None) -> Source:
    clips = (
        (row, _clip(values, columns, name, f"{name} row {row}")) for row, values in _guarded(enumerate(rows), name)
    )
    if data.max_clips is None:
        return Source(clips, total)
    note = (
        f"data.streaming reads the first {data.max_clips} clips, often those of few speakers; false draws them from all"
    )
    return Source(islice(clips, data.max_clips), None if total is None else min(total, data.max_clips), (note,))


def _enumerated(rows: "datasets.Dataset", columns: Columns, data: DataParams, name: str) -> Source:
    names = _names(rows, columns.audio)
    given = [audio_name for audio_name in names if audio_name]
    unique = len(set(given)) == len(given)
    notes = () if unique else (f"{name}: audio names repeat, so ids are hashes of the samples",)
    taken = chosen_rows(names if unique else [""] * len(names), data.max_clips, data.seed)
    clips = (
        (row, _clip(values, columns, name, f"{name} row {row}", named=unique))
        for row, values in _guarded(zip(taken, rows.select(taken), strict=True), name)
    )
    return Source(clips, len(taken), notes)


def _names(rows: "datasets.Dataset", column: str) -> list[str]:
    """The names in the audio column; the bytes beside them are mapped from disk and not touched."""
    names: list[str] = []
    for table in rows.select_columns([column]).with_format("arrow").iter(batch_size=1024):
        audio = table.column(column)
        paths, data = pc.struct_field(audio, "path").to_pylist(), pc.struct_field(audio, "bytes").is_valid().to_pylist()
        names += [_name(path, has_bytes) for path, has_bytes in zip(paths, data, strict=True)]
    return names


def _name(path: str | None, has_bytes: bool) -> str:
    """A name that the data set itself gives; without bytes the path is one of this machine's cache."""
    return path if path and has_bytes else ""


def _clip(row: Mapping[str, Any], columns: Columns, source: str, where: str, named: bool = True) -> SourceClip:
    audio = row[columns.audio] or {"bytes": None, "path": None}
    found = labels(row, columns, where)
    name = _name(audio["path"], audio["bytes"] is not None) if named else ""
    return SourceClip(name, found.text, RowAudio(audio["bytes"]), found.group, source, found.split)


def _guarded(rows: Iterator[Any], name: str) -> Iterator[Any]:
    """`rows`, with the errors of reading them (a lost connection, a damaged file) as UserError."""
    with _explained(f"{name}: reading stopped", "run again, or fetch the data again"):
        yield from rows


@contextmanager
def _explained(what: str, remedy: str) -> Iterator[None]:
    """What `datasets` and Arrow raise for missing, unreachable or malformed data, as a UserError of one line."""
    from datasets import exceptions

    try:
        yield
    except (exceptions.DatasetsError, pa.ArrowException, OSError, ValueError, RuntimeError, TypeError) as error:
        causes = [error] + ([error.__cause__] if error.__cause__ else [])
        reason = " ".join(": ".join(f"{type(cause).__name__} {cause}" for cause in causes).split())
        raise UserError(f"{what}: {reason[:400]}; {remedy}") from error
