"""The log of a run: one JSON object a line, for people and their tools. Nothing that a result depends on reads it.

It may hold clock times, so it lies in `runs/`, which neither Git nor DVC looks at. A run that goes on from a
checkpoint first cuts the log back to it, so that every step stands there once (an evaluation that is done again
stands twice). A log that cannot be written is no reason to stop training: the lines are lost, counted, and the
count is told in the end.
"""

import errno
import json
import logging
import math
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

from asr.errors import UserError

JSON: TypeAlias = bool | int | float | str | list[Any] | tuple[Any, ...] | dict[str, Any] | None
"""What a line may hold; lists and objects hold the same."""

LOG = logging.getLogger(__name__)
_BLOCK = 1 << 16  # bytes that are read at once from the end


def runs_folder(key: str) -> Path:
    """Where the run with this key keeps its log: below the user's repository, also under `dvc exp run --temp`.

    `DVC_ROOT` names that repository even where DVC runs the stage in a copy.
    """
    return Path(os.environ.get("DVC_ROOT") or ".") / "runs" / "train" / key


class Journal:
    """Appends lines to a log; a context manager.

    Every line has `kind`, `batch`, the position in the run, and `time` (UTC). A line is in the hands of the
    operating system before `write` returns, so a killed process loses none.
    """

    def __init__(self, path: Path | None, batch: int | None = None) -> None:
        """Opens the log.

        Args:
            path: the file, made if it is not there; None for a log that keeps nothing, as other processes
                than the main one want it.
            batch: where the run stands; see `cut_back`. None leaves the lines that are there.
        """
        self._path = path
        self._file: FileIO | None = None
        self._tried = 0
        self._lost = 0
        if batch is not None:
            self.cut_back(batch)

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def write(self, kind: str, batch: int, **values: JSON) -> None:
        """Appends one line; NaN and infinity, which JSON lacks, become the words `nan`, `inf` and `-inf`."""
        if self._path is None:
            return
        assert "time" not in values, "a line has its own time"
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        record = _plain({"kind": kind, "batch": batch, "time": now, **values})
        line = json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"
        # UTF-8 lacks half a surrogate pair, as paths may hold it; with the backslash it is JSON again
        self._append(self._path, line.encode("utf-8", "backslashreplace"))

    def cut_back(self, batch: int) -> None:
        """Drops the lines of later batches, left by a run that died after its checkpoint, and unreadable ones.

        The file appears whole or stays as it was.

        Args:
            batch: batches taken so far; lines of this batch stay.
        """
        if self._path is None:
            return
        self._release()
        try:
            _cut(self._path, batch)
        except OSError as error:
            LOG.warning("%s: not cut back to batch %d (%s); later lines stand twice", self._path, batch, error)

    def close(self) -> None:
        """Closes the file and says how many lines are missing, if any are."""
        self._release()
        if self._lost:
            LOG.warning("%s: %d of %d lines could not be written", self._path, self._lost, self._tried)
        self._tried = self._lost = 0

    def _append(self, path: Path, line: bytes) -> None:
        self._tried += 1
        try:
            if self._file is None:
                self._file = _opened(path)
            if self._file.write(line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            self._release()  # the next line opens it again, which drops the half of this one
            if not self._lost:
                LOG.warning("%s: cannot be written (%s); training goes on without it", path, error)
            self._lost += 1

    def _release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def read_journal(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a log, also of one that is being written: a last line without its end is left out.

    Raises:
        UserError: there is no such file, or another line is no JSON.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.endswith(b"\n"):
                    yield _parsed(line, f"{path}:{number}")
    except FileNotFoundError as error:
        raise UserError(f"{path}: missing; a training run writes it, `ls runs/train` shows those there are") from error


def _parsed(line: bytes, where: str) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads(line)
    except ValueError as error:
        raise UserError(f"{where}: not JSON ({error}); the next resume of the run drops the line") from error
    return record


def _plain(value: Any) -> Any:
    """The same with words for the numbers that JSON lacks."""
    if isinstance(value, float) and not math.isfinite(value):
        return repr(float(value))
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _cut(path: Path, batch: int) -> None:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return
    lines = [line + b"\n" for line in content.split(b"\n")]
    lines[-1] = lines[-1][:-1]  # what stands after the last line end
    kept = b"".join(line for line in lines if _batch_of(line) <= batch)
    if kept != content:
        _replace(path, kept)


def _batch_of(line: bytes) -> float:
    """The batch of a line; infinity for a line that is not whole."""
    try:
        record = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return math.inf
    batch = record.get("batch") if isinstance(record, dict) else None
    return batch if isinstance(batch, int) else math.inf


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.partial")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def _opened(path: Path) -> FileIO:
    """The file ready to append, behind its last whole line; unbuffered, so that a line is out when it is written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = FileIO(path, "a+")
    try:
        file.truncate(_whole_lines(file))
    except OSError:
        file.close()
        raise
    return file


def _whole_lines(file: FileIO) -> int:
    """Bytes up to the end of the last whole line."""
    end = file.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - _BLOCK)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
