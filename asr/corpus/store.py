"""The audio store: a few large, memory-mapped Arrow files instead of one file a clip.

`clips-00000-00.arrow`, `clips-00001-00.arrow`, ... (part of the source, and shard of the part, should one
not hold it) in the Arrow IPC file format with the columns `id` and `pcm16` (little-endian, mono, 16 kHz).
DVC tracks about 140 files for 334 hours, any process reads any clip without copying it, and
`datasets.load_dataset("arrow", data_files=...)` reads the same files.
"""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from asr.errors import UserError
from asr.pcm import Pcm16

SCHEMA = pa.schema([("id", pa.string()), ("pcm16", pa.binary())])
SHARD_BYTES = 512_000_000
BATCH_ROWS = 256
BATCH_BYTES = 64_000_000
"""A record batch is closed at this size even if it has fewer rows: bounds memory when clips are long."""
_OVERHEAD = 64_000
"""More than the schema and the footer of one shard take (bytes)."""


class ShardWriter:
    """Writes the clips of one part into shards of bounded size, holding one record batch in memory.

    A context manager; `add` the clips in the order in which the shards shall hold them.
    """

    def __init__(
        self, folder: Path, part: int = 0, shard_bytes: int = SHARD_BYTES, batch_rows: int = BATCH_ROWS
    ) -> None:
        self._folder = folder
        self._part = part
        self._shard_bytes = shard_bytes
        self._batch_rows = batch_rows
        self._ids: list[str] = []
        self._clips: list[memoryview] = []
        self._waiting_bytes = 0
        self._memory = np.empty(0, np.uint8)
        self._shards = 0
        self._sink: pa.NativeFile | None = None
        self._writer: pa.RecordBatchFileWriter | None = None

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self._flush()
        self._close_shard()

    def add(self, clip_id: str, pcm: Pcm16) -> None:
        """Appends one clip, shape = (samples,)."""
        data = np.ascontiguousarray(pcm, "<i2").data.cast("B")
        self._ids.append(clip_id)
        self._clips.append(data)
        self._waiting_bytes += len(data)
        if len(self._ids) == self._batch_rows or self._waiting_bytes >= BATCH_BYTES:
            self._flush()

    def _flush(self) -> None:
        if not self._ids:
            return
        batch = pa.record_batch([pa.array(self._ids, pa.string()), self._packed()], schema=SCHEMA)
        if self._sink is not None and self._sink.tell() + batch.nbytes + _OVERHEAD > self._shard_bytes:
            self._close_shard()
        self._open_writer().write_batch(batch)
        self._ids, self._clips, self._waiting_bytes = [], [], 0

    def _packed(self) -> pa.BinaryArray:
        """The waiting clips as one column, in memory that batches share: fresh pages would cost more than the copy."""
        if len(self._memory) < self._waiting_bytes:
            self._memory = np.empty(max(self._waiting_bytes, 2 * len(self._memory)), np.uint8)
        ends = np.cumsum([0, *(len(clip) for clip in self._clips)], dtype=np.int32)
        for start, clip in zip(ends.tolist(), self._clips, strict=False):
            self._memory[start : start + len(clip)] = clip
        data = pa.py_buffer(self._memory[: self._waiting_bytes])
        return pa.Array.from_buffers(pa.binary(), len(self._clips), [None, pa.py_buffer(ends), data])

    def _open_writer(self) -> pa.RecordBatchFileWriter:
        if self._writer is None:
            self._sink = pa.OSFile(str(self._folder / f"clips-{self._part:05d}-{self._shards:02d}.arrow"), "wb")
            self._writer = pa.ipc.new_file(self._sink, SCHEMA)
            self._shards += 1
        return self._writer

    def _close_shard(self) -> None:
        if self._writer is not None and self._sink is not None:
            self._writer.close()
            self._sink.close()
        self._writer = self._sink = None


class ClipStore:
    """The clips of a store by id. Opening reads the ids only; a clip is a view into the mapped file."""

    def __init__(self, folder: Path) -> None:
        """Maps all shards of `folder`.

        Raises:
            UserError: no such folder, no shards in it, or a file that is no shard.
        """
        self._folder = folder
        self._batches: list[tuple[NDArray[np.int32], pa.Buffer]] = []
        self._places: dict[str, tuple[int, int]] = {}
        shards = sorted(folder.glob("clips-*.arrow"))
        if not shards:
            raise UserError(f"{folder}: no audio store; `dvc repro prepare` writes it, `dvc pull` may fetch it")
        for shard in shards:
            self._map(shard)

    def __reduce__(self) -> tuple[type["ClipStore"], tuple[Path]]:
        """Another process maps the files anew instead of being sent their content."""
        return ClipStore, (self._folder,)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, clip_id: object) -> bool:
        return isinstance(clip_id, str) and (clip_id in self._places or clip_id.partition("-")[0] in self._places)

    def __iter__(self) -> Iterator[str]:
        """The ids in stored order."""
        return iter(self._places)

    def __getitem__(self, clip_id: str) -> Pcm16:
        """One clip, a read-only view of shape = (samples,).

        Raises:
            UserError: the store has no such id.
        """
        # Nameless clips with the same samples are numbered: `-1` and so on stand for what the first id holds.
        place = self._places.get(clip_id) or self._places.get(clip_id.partition("-")[0])
        if place is None:
            raise UserError(f"{self._folder}: no clip '{clip_id}'; index and store differ, run prepare again")
        batch, row = place
        ends, data = self._batches[batch]
        # Not `array[row].as_buffer()`: an Arrow scalar is a copy.
        return np.frombuffer(data, "<i2", count=(ends[row + 1] - ends[row]) // 2, offset=ends[row])

    def _map(self, shard: Path) -> None:
        try:
            file = pa.ipc.open_file(pa.memory_map(str(shard)))
            batches = [file.get_batch(number) for number in range(file.num_record_batches)]
        except (pa.ArrowInvalid, OSError) as error:
            raise UserError(f"{shard}: not a readable shard ({error}); run prepare again") from error
        if not file.schema.equals(SCHEMA):
            raise UserError(f"{shard}: columns {file.schema.names} are not those of a store; run prepare again")
        for batch in batches:
            for row, clip_id in enumerate(_ids(batch, shard)):
                self._places[clip_id] = (len(self._batches), row)
            _, offsets, data = batch.column(1).buffers()
            self._batches.append((np.frombuffer(offsets, np.int32), data))


def _ids(batch: pa.RecordBatch, shard: Path) -> list[str]:
    try:
        batch.validate(full=True)
        return list(batch.column(0).to_pylist())
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise UserError(f"{shard}: damaged ({error}); run prepare again") from error
