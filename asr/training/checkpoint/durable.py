"""Writes that outlive the process and the power supply.

The recipe (Pillai et al. 2014, "All file systems are not created equal"; Lightning issue #21744): a temporary file in
the same folder, write, fsync, rename, fsync of the folder. Every operation goes through `os`, so that tests can
kill a process or fail a call at each of them.
"""

import errno
import os
from contextlib import suppress
from pathlib import Path


def write_durably(path: Path, content: bytes) -> None:
    """Replaces `path` by `content`: after a kill at any moment it holds the old bytes or the new ones.

    Raises:
        OSError: nothing is left of the attempt and `path` is as before, unless only the last step failed, which
            tells the folder of the new name.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        _write_and_sync(partial, content)
        os.replace(partial, path)
    except OSError:
        with suppress(OSError):  # the error that is raised says why
            partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def make_folder(path: Path) -> None:
    """Makes a folder, and those above it, so that it is still there after a power cut.

    Raises:
        OSError: it cannot be made, or a file of that name exists.
    """
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir()
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Waits until the names in a folder are on the disk.

    Raises:
        OSError: the disk cannot hold them.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems know no fsync of a folder and need none
            raise
    finally:
        os.close(descriptor)


def _write_and_sync(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        left = memoryview(content)
        while left:  # one call writes 2 GiB at most
            left = left[os.write(descriptor, left) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
