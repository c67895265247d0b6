"""Where a run keeps what it needs to go on, and who may use it.

The folder's name is a hash over all that can change the run's result: parameters, data, code, device. Two runs that
could end differently never share a folder, so none can go on with what another began.
"""

import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from asr.errors import UserError

KEY_DIGITS = 32
"""Hexadecimal digits of a key (128 bits): a collision would mix two runs."""
LOCK = "lock"
"""Holds the number of the process that has claimed the folder, and nothing once it has let go."""
_DISCARDED = ".discarded"


def run_key(parts: Mapping[str, Any]) -> str:
    """A name for all runs that must end in the same weights.

    Args:
        parts: what JSON can hold; the order of keys does not count.
    """
    canonical = json.dumps(parts, sort_keys=True, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:KEY_DIGITS]


def scratch_folder(key: str) -> Path:
    """The folder of a run; it need not exist.

    `dvc exp run --temp` and `--queue` work in a copy of the repository that DVC deletes, also after a failure, but
    `DVC_ROOT` still names the repository itself (dvc issues #8612, #9221). The place changes no result.
    """
    return Path(os.environ.get("DVC_ROOT") or ".") / ".scratch" / "train" / key


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Makes a run's folder, unless it is there, and holds it for this process; never deletes it.

    The lock is the kernel's, which releases it however the process ends. It belongs to the process: data workers
    forked from a run that was killed do not hold it, as they would with `flock`. A process claims a folder once.

    Raises:
        UserError: another process holds the folder, or it cannot be made.
    """
    try:
        descriptor = _lock(folder)
    except OSError as error:
        raise UserError(f"{error.filename or folder}: {error.strerror}; give write access or make room") from error
    try:
        yield
    finally:
        try:
            os.ftruncate(descriptor, 0)
        finally:
            os.close(descriptor)


def discard(folder: Path) -> None:
    """Deletes the folder of a run that has ended well, and what a discard that was killed has left beside it.

    Its name goes first, so that a kill in between leaves nothing that looks like a run.

    Raises:
        OSError: a file cannot be deleted.
    """
    _sweep(folder.parent)
    if folder.exists():
        os.replace(folder, folder.with_name(f".{folder.name}{_DISCARDED}"))
        _sweep(folder.parent)


def other_runs(folder: Path) -> list[Path]:
    """Folders beside this one of runs that never ended and, as far as one can tell, do not run now."""
    beside = (path for path in folder.parent.glob("*") if path.is_dir() and path.name != folder.name)
    return sorted(path for path in beside if not path.name.startswith(".") and not _runs(path))


def _lock(folder: Path) -> int:
    """Descriptor of the locked file, which stands in the folder; closing it releases the lock."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except FileNotFoundError:
            continue  # the run that held the folder has discarded it just now
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno not in (errno.EACCES, errno.EAGAIN):  # POSIX leaves it open which of the two
                raise
            raise UserError(
                f"{folder}: another process (pid {_holder(folder) or 'unknown'}) is at work on this run; "
                "wait until it has ended, or end it"
            ) from error
        if _is_at(folder / LOCK, descriptor):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
            return descriptor
        os.close(descriptor)


def _sweep(parent: Path) -> None:
    for rest in parent.glob(f".*{_DISCARDED}"):
        with suppress(FileNotFoundError):  # another run, at its own end, deletes the same
            shutil.rmtree(rest)


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether an open file is still the one of that name."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _holder(folder: Path) -> int | None:
    """Number of the process that claimed a folder last and has not let go of it; None if nobody can tell."""
    try:
        return int((folder / LOCK).read_text(encoding="ascii"))
    except (FileNotFoundError, PermissionError, ValueError):
        return None


def _runs(folder: Path) -> bool:
    """Whether the holder is alive; asking the lock itself would take it for a moment from one that starts."""
    holder = _holder(folder)
    if holder is None or holder == os.getpid():
        return False
    try:
        os.kill(holder, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # it lives, and belongs to somebody else
    return True
