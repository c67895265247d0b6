"""Data sets of the Hugging Face Hub, stored in its cache or streamed without being held.

Audio columns are read as encoded bytes (`Audio(decode=False)`). Code of a data set is never run.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from asr.corpus.clips import SourceClip
from asr.corpus.sources.manifest import Columns
from asr.corpus.sources.rows import clip_of
from asr.corpus.sources.selection import Part, Source, chosen_rows, part_size, telling_names
from asr.errors import UserError
from asr.params import DataParams

if TYPE_CHECKING:
    import datasets

    Rows: TypeAlias = datasets.Dataset | datasets.IterableDataset

BATCH = 64
"""Rows read at once."""


@dataclass(frozen=True)
class StoredPart:
    """Rows of a data set in the Hub's cache."""

    dataset: "datasets.Dataset"
    rows: tuple[int, ...]
    columns: Columns
    source: str
    named: bool

    counted_from_here: ClassVar[bool] = False

    def clips(self) -> Iterator[tuple[int, SourceClip]]:
        """The rows, read from the memory-mapped cache.

        Raises:
            UserError: the cache cannot be read, or a value does not fit.
        """
        with explained(f"{self.source}: reading stopped", "run again, or fetch the data again"):
            batches = self.dataset.select(self.rows).with_format("arrow").iter(batch_size=BATCH)
            values = (row for table in batches for row in table.to_pylist())
            for row, value in zip(self.rows, values, strict=True):
                yield row, clip_of(value, self.columns, self.source, f"{self.source} row {row}", self.named)

    def state(self) -> str:
        """The data set's own fingerprint, and the rows."""
        return f"{self.dataset._fingerprint} {self.rows} {self.columns} {self.named}"


@dataclass(frozen=True)
class StreamedPart:
    """A shard of a data set that is read over the network and not kept."""

    dataset: "datasets.IterableDataset"
    shard: int
    shards: int
    limit: int | None
    """Clips after which reading ends."""
    columns: Columns
    source: str
    revision: str

    counted_from_here: ClassVar[bool] = True

    def clips(self) -> Iterator[tuple[int, SourceClip]]:
        """The rows of the shard, counted from 0.

        Raises:
            UserError: the connection or the data fail, or a value does not fit.
        """
        whole = self.shards == 1
        with explained(f"{self.source}: reading stopped", "run again: prepare goes on where it was"):
            rows = self.dataset if whole else self.dataset.shard(self.shards, self.shard, contiguous=True)
            for row, value in enumerate(islice(rows, self.limit)):
                where = f"{self.source} shard {self.shard} row {row}"
                yield row, clip_of(value, self.columns, self.source, where, named=True)

    def state(self) -> str:
        """Revision, shard and limit: what a pinned data set is made of."""
        return f"{self.source} {self.revision} {self.shard} of {self.shards} {self.limit} {self.columns}"


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
    with explained(f"data.name = {data.name}", remedy):
        rows = load_dataset(data.name, data.config, split=data.split, revision=data.revision, streaming=data.streaming)
    return source_of(rows, columns, data, str(data.name))


def source_of(rows: "Rows", columns: Columns, data: DataParams, name: str) -> Source:
    """The clips of a data set that `datasets` has opened.

    Raises:
        UserError: its columns do not fit.
    """
    from datasets import Audio

    with explained(name, "check data.split and data.config"):
        present = rows.column_names or list(next(iter(rows)))
    columns.check(present, name)
    with explained(f"{name}: column '{columns.audio}' is no audio", "set data.audio_column"):
        rows = rows.select_columns(sorted(set(columns.names()))).cast_column(columns.audio, Audio(decode=False))
    return _streamed(rows, columns, data, name) if data.streaming else _stored(rows, columns, data, name)


def _streamed(rows: "datasets.IterableDataset", columns: Columns, data: DataParams, name: str) -> Source:
    limit, revision = data.max_clips, f"{data.revision} {data.config} {data.split}"
    shards = rows.num_shards if limit is None else 1
    parts = [StreamedPart(rows, shard, shards, limit, columns, name, revision) for shard in range(shards)]
    if limit is None:
        return Source(parts, None)
    note = f"data.streaming reads the first {limit} clips, often those of few speakers; false draws them from all"
    return Source(parts, None, (note,))


def _stored(rows: "datasets.Dataset", columns: Columns, data: DataParams, name: str) -> Source:
    names, notes = telling_names(_names(rows, columns.audio), name)
    taken = chosen_rows(names, data.max_clips, data.seed)
    size = part_size(len(taken))
    parts: list[Part] = [
        StoredPart(rows, tuple(taken[start : start + size]), columns, name, not notes)
        for start in range(0, len(taken), size)
    ]
    return Source(parts, len(taken), notes)


def _names(rows: "datasets.Dataset", column: str) -> list[str]:
    """The names in the audio column; the bytes beside them are mapped from disk and not touched."""
    names: list[str] = []
    for table in rows.select_columns([column]).with_format("arrow").iter(batch_size=1024):
        audio = table.column(column)
        paths, held = pc.struct_field(audio, "path").to_pylist(), pc.struct_field(audio, "bytes").is_valid().to_pylist()
        names += [path if path and has_bytes else "" for path, has_bytes in zip(paths, held, strict=True)]
    return names


@contextmanager
def explained(what: str, remedy: str) -> Iterator[None]:
    """What `datasets` and Arrow raise for missing, unreachable or malformed data, as a UserError of one line."""
    from datasets import exceptions

    try:
        yield
    except UserError:
        raise
    except (exceptions.DatasetsError, pa.ArrowException, OSError, ValueError, RuntimeError, TypeError) as error:
        causes: list[Any] = [error] + ([error.__cause__] if error.__cause__ else [])
        reason = " ".join(": ".join(f"{type(cause).__name__} {cause}" for cause in causes).split())
        raise UserError(f"{what}: {reason[:400]}; {remedy}") from error
