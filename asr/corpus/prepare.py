"""Decodes, measures and stores every clip of a source, on all cores, a part at a time.

Nothing is judged: a clip that cannot be decoded becomes a row of the index with a reason, and what the
others hold is measured. The bytes written depend on the source alone, not on the number of processes. A
run that is killed goes on where it was: the parts it finished are kept beside the store until all are there.
"""

import os
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from tqdm import tqdm

from asr.corpus.index import write_index
from asr.corpus.part import Job, row_id
from asr.corpus.sources.selection import Source
from asr.corpus.workers import Crew
from asr.errors import UserError
from asr.files import write_text


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


def prepare(
    source: Source, clips: Path, index: Path, crew: Crew, licence: str = "", key: str = "", vad: bool = False
) -> Summary:
    """Writes the audio store `clips` and the index; earlier ones stay as they are if this fails.

    Args:
        source: what to read.
        clips: folder of the store.
        index: Parquet file of the index.
        crew: the processes that decode.
        licence: terms of the data, written into every row.
        key: what a finished part depends on beside its own content, such as the code. Parts left by a run
            with another key are done again.
        vad: whether to measure the share of speech as well (`asr.corpus.voice`). Parts left by a run that did not
            are done again.

    Raises:
        UserError: no clip can be decoded, two clips have one name, the disk is full, a process dies twice, or a
            package is missing that `vad` needs.
    """
    folder = clips.with_name(f".{clips.name}.partial")
    _claim(folder, f"{key} vad" if vad else key)
    jobs = [Job(number, part, folder, licence, vad) for number, part in enumerate(source.parts)]
    left = [job for job in jobs if not job.is_done()]
    if len(left) < len(jobs):
        print(f"prepare: {len(jobs) - len(left)} of {len(jobs)} parts are there from an earlier run")
    with tqdm(desc="prepare", total=source.total, unit="clip", disable=None) as bar:
        bar.update(sum(pa.ipc.open_file(job.rows).read_all().num_rows for job in jobs if job not in left))
        crew.run(left, bar.update)
    table = _merged(jobs)
    summary = _summary(table)
    write_index(index, table)
    _finish(folder, jobs, clips)
    return summary


def _claim(folder: Path, key: str) -> None:
    """Makes `folder` one that holds parts made with `key` and nothing else."""
    note = folder / "key"
    if not note.is_file() or note.read_text(encoding="utf-8") != key:
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "clips").mkdir(parents=True)
        write_text(note, key)


def _finish(folder: Path, jobs: list[Job], clips: Path) -> None:
    """Puts the finished store in its place; shards of parts that are no more are left behind."""
    wanted = {name for job in jobs for name in job.written()}
    for path in (folder / "clips").iterdir():
        if path.name not in wanted:
            path.unlink()
    shutil.rmtree(clips, ignore_errors=True)
    clips.parent.mkdir(parents=True, exist_ok=True)
    os.replace(folder / "clips", clips)
    shutil.rmtree(folder)


def _merged(jobs: list[Job]) -> pa.Table:
    """The index rows of all parts in source order, with rows counted through and ids made unique."""
    tables, first = [], 0
    for job in jobs:
        table = pa.ipc.open_file(job.rows).read_all()
        if job.part.counted_from_here:
            table = table.set_column(1, "row", pc.add(table.column("row"), first))
            first += table.num_rows
        tables.append(table)
    if not tables:
        raise UserError("manifest.empty: 0 of 0 clips could be decoded; check data.source and data.path")
    merged = pa.concat_tables(tables).combine_chunks()
    _check_names(merged)
    return merged.set_column(0, "id", pa.array(_ids(merged), pa.string()))


def _check_names(table: pa.Table) -> None:
    given = table.filter(pc.not_equal(table.column("name"), "")).column("name")
    if pc.count_distinct(given).as_py() == len(given):
        return
    names = table.column("name").to_pylist()
    rows: dict[str, int] = {}
    for row, name in enumerate(names):
        earlier = rows.setdefault(name, row)
        if name and earlier != row:
            numbers = table.column("row")
            raise UserError(
                f"manifest.duplicate_id: rows {numbers[earlier]} and {numbers[row]} of the source (from 0) are both "
                f"named '{name}', which makes their id; remove one (a data set of the Hub whose names repeat "
                "is read with data.streaming: false)"
            )


def _ids(table: pa.Table) -> list[str]:
    """Ids made unique: clips without names and with equal samples get `-1`, `-2`, ... in source order."""
    column = table.column("id")
    if pc.count_distinct(column).as_py() == len(column) and not pc.any(pc.equal(column, "")).as_py():
        return list(column.to_pylist())
    copies: Counter[str] = Counter()
    ids = []
    for clip_id, row in zip(table.column("id").to_pylist(), table.column("row").to_pylist(), strict=True):
        number = copies[clip_id]
        copies[clip_id] += 1
        ids.append(row_id(row) if not clip_id else f"{clip_id}-{number}" if number else clip_id)
    return ids


def _summary(table: pa.Table) -> Summary:
    codes = Counter(table.column("code").to_pylist())
    decoded = codes.pop("", 0)
    reasons = tuple(sorted(codes.items(), key=lambda pair: (-pair[1], pair[0])))
    if not decoded:
        refused = table.slice(0, 1).to_pylist()
        named = ", ".join(f"{code} {count}" for code, count in reasons[:3])
        first = f", first '{refused[0]['name']}': {refused[0]['message']}" if refused else ""
        raise UserError(
            f"manifest.empty: 0 of {table.num_rows} clips could be decoded ({named}{first}); "
            "check data.source and data.path"
        )
    return Summary(table.num_rows, decoded, float(pc.sum(table.column("duration")).as_py()), reasons)
