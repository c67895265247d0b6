"""Decodes, measures and stores every clip of a source, in source order and on all cores.

Nothing is judged: a clip that cannot be decoded becomes a row of the index with a reason, and what the
others hold is measured. The bytes written depend on the source alone, not on the number of processes.
"""

import hashlib
import multiprocessing
import os
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice, starmap
from pathlib import Path

from tqdm import tqdm

from asr.corpus.clips import SourceClip
from asr.corpus.index import IndexRow, write_index
from asr.corpus.measure import Measurements, measure
from asr.corpus.selection import Source
from asr.corpus.store import ShardWriter
from asr.errors import UserError
from asr.files import replaced_folder
from asr.pcm import AudioError, Pcm16

ID_DIGITS = 16
"""Hexadecimal digits of a clip id (64 bits)."""
CHUNK = 8
"""Clips handed to a worker process at once."""
PROBE = 64
"""Clips decoded in this process before it is decided whether others shall help."""
SHIPPING = 0.0005
"""About the seconds that it takes to send one clip to another process and back. WAV at 16 kHz decodes in less."""
MAX_WORKERS = 16
"""Beyond this the one process that reads and writes is the limit."""

Row = tuple[int, SourceClip]
Decoded = tuple[IndexRow, Pcm16 | None]


@dataclass(frozen=True)
class Summary:
    """What became of the clips of a source; `clips` is `decoded` plus the sum over `reasons`."""

    clips: int
    decoded: int
    seconds: float
    """Of decoded audio."""
    reasons: tuple[tuple[str, int], ...]
    """Codes with their counts, the most frequent first."""

    def __str__(self) -> str:
        refused = ", ".join(f"{code} {count}" for code, count in self.reasons) or "none refused"
        return f"{self.clips} clips: {self.decoded} decoded ({self.seconds / 3600:.2f} h), {refused}"


def usable_cores() -> int:
    """Cores this process may use, at most `MAX_WORKERS`."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MAX_WORKERS)


def prepare(source: Source, clips: Path, index: Path, workers: int) -> Summary:
    """Writes the audio store `clips` and the index; an earlier store stays as it is if this fails.

    Raises:
        UserError: no clip can be decoded, two clips have one name, or a worker process dies.
    """
    rows: list[IndexRow] = []
    results = decoded(_with_unique_names(source.clips), workers)
    with replaced_folder(clips) as folder, closing(results), ShardWriter(folder) as shards:
        for row, pcm in _identified(tqdm(results, "prepare", source.total, unit="clip", disable=None)):
            rows.append(row)
            if pcm is not None:
                shards.add(row.id, pcm)
        summary = _summary(rows)
    write_index(index, rows)
    return summary


def decoded(clips: Iterable[Row], workers: int) -> Generator[Decoded, None, None]:
    """Each clip decoded and measured, in the given order, by other processes where that is faster.

    Raises:
        UserError: a worker process died.
    """
    rest, seconds = iter(clips), 0.0
    for row, clip in islice(rest, PROBE):
        start = time.perf_counter()
        result = decode_clip(row, clip)
        seconds += time.perf_counter() - start
        yield result
    if workers > 1 and seconds > PROBE * SHIPPING:
        yield from _by_pool(rest, workers)
    else:
        yield from starmap(decode_clip, rest)


def decode_clip(row: int, clip: SourceClip) -> Decoded:
    """The index row of one clip and its samples, or None where it cannot be decoded."""
    try:
        pcm = clip.audio.samples()
        if not pcm.size:
            raise AudioError("audio.no_samples", "the clip has no samples")
    except AudioError as error:
        return _index_row(row, clip, _NOTHING, error.code, error.message), None
    return _index_row(row, clip, measure(pcm)), pcm


_NOTHING = Measurements(duration=0, sha256="", peak=0, rms_dbfs=0, clipped=0, dc_offset=0)


def _index_row(row: int, clip: SourceClip, found: Measurements, code: str = "", message: str = "") -> IndexRow:
    return IndexRow(
        id=_digest(clip.name) if clip.name else found.sha256[:ID_DIGITS] or _digest(f"row {row}"),
        row=row,
        name=clip.name,
        text=clip.text,
        group=clip.group,
        source=clip.source,
        split=clip.split,
        duration=found.duration,
        sha256=found.sha256,
        peak=found.peak,
        rms_dbfs=found.rms_dbfs,
        clipped=found.clipped,
        dc_offset=found.dc_offset,
        code=code,
        message=message,
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:ID_DIGITS]


def _with_unique_names(clips: Iterable[Row]) -> Iterator[Row]:
    rows: dict[str, int] = {}
    for row, clip in clips:
        earlier = rows.setdefault(clip.name, row)
        if clip.name and earlier != row:
            raise UserError(
                f"manifest.duplicate_id: rows {earlier} and {row} of the source (from 0) are both named "
                f"'{clip.name}', which makes their id; remove one (a data set of the Hub whose names repeat "
                "is read with data.streaming: false)"
            )
        yield row, clip


def _identified(results: Iterable[Decoded]) -> Iterator[Decoded]:
    """Ids made unique: clips without names and with equal samples get `-1`, `-2`, ... in source order."""
    copies: Counter[str] = Counter()
    for row, pcm in results:
        number = copies[row.id]
        copies[row.id] += 1
        yield (replace(row, id=f"{row.id}-{number}") if number else row), pcm


def _summary(rows: list[IndexRow]) -> Summary:
    refused = [row for row in rows if row.code]
    reasons = sorted(Counter(row.code for row in refused).items(), key=lambda pair: (-pair[1], pair[0]))
    if len(refused) == len(rows):
        named = ", ".join(f"{code} {count}" for code, count in reasons[:3]) or "the source is empty"
        first = f", first '{refused[0].name}': {refused[0].message}" if refused else ""
        raise UserError(f"0 of {len(rows)} clips could be decoded ({named}{first}); check data.source and data.path")
    return Summary(len(rows), len(rows) - len(refused), sum(row.duration for row in rows), tuple(reasons))


def _by_pool(clips: Iterator[Row], workers: int) -> Iterator[Decoded]:
    """Decodes in worker processes with a bounded number of chunks under way."""
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _start_worker)
    waiting: deque[Future[list[Decoded]]] = deque()
    try:
        while chunk := list(islice(clips, CHUNK)):
            waiting.append(pool.submit(_decode_chunk, chunk))
            if len(waiting) > 2 * workers:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    except BrokenProcessPool as error:
        raise UserError(
            "a process that decodes audio was killed: most often memory ran out, else a file crashes the decoder; "
            "close other programs or lower data.max_clips, and run prepare again"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _decode_chunk(chunk: list[Row]) -> list[Decoded]:
    return list(starmap(decode_clip, chunk))


def _start_worker() -> None:
    """Leaves Ctrl-C to the parent, which ends its workers, and makes a worker end when the parent is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
