"""Folders whose content can be trusted: written once, sealed last of all, checked whenever they are read.

A safetensors file has no checksum (safetensors issue #220), so a flipped bit would load as a weight. The seal is
`manifest.json`: the size and the SHA-256 of every file, and in its last line a SHA-256 of what stands above that.
A folder without it is a write that never ended.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from asr.errors import UserError
from asr.training.checkpoint.durable import make_folder, sync_folder, write_durably

MANIFEST = "manifest.json"
ASIDE = ".replaced"
"""Ending of a sealed folder's name while another takes its place."""
_DIGITS = 64
"""Hexadecimal digits of a SHA-256."""
_END = b'"\n}\n'


class Broken(Exception):  # noqa: N818  # a finding about a folder, as `Interrupted` is about a run
    """A sealed folder is not as it was written; the message is one clause that names the file and the fault."""


def write_sealed(folder: Path, files: Iterable[tuple[str, bytes]]) -> None:
    """Writes files of (name, content) as a sealed folder; one that stands there is kept until the new one is sealed.

    `settle` ends the replacement: at once after this call, or when the folder is next used if the process died.

    Raises:
        OSError: nothing is left of the attempt, if the disk allows that, and the folder is as before.
    """
    settle(folder)
    if is_sealed(folder):
        os.replace(folder, _aside(folder))
    remove(folder)
    try:
        make_folder(folder)
        digests = {}
        for name, content in files:
            write_durably(folder / name, content)
            digests[name] = hashlib.sha256(content).hexdigest()
        seal(folder, digests)
    except OSError:
        with suppress(OSError):  # the next `settle` does it; the error that is raised says why
            remove(folder)
            settle(folder)
        raise


def seal(folder: Path, digests: Mapping[str, str]) -> None:
    """Declares a folder complete.

    Args:
        folder: holds all files that belong to it, each of them on the disk.
        digests: SHA-256 of each file by name, of the bytes that were meant to be written.

    Raises:
        OSError: the manifest cannot be written.
    """
    files = {name: {"sha256": digest, "size": (folder / name).stat().st_size} for name, digest in digests.items()}
    listed = json.dumps({"files": files}, indent=2, sort_keys=True).removesuffix("\n}")
    write_durably(folder / MANIFEST, _closed(f'{listed},\n  "sha256": "'.encode()))


def is_sealed(folder: Path) -> bool:
    """Whether the write of a folder has ended; says nothing of what has become of its files since."""
    return (folder / MANIFEST).exists()


def stands(folder: Path) -> bool:
    """Whether there is a sealed folder, or one that `settle` will put back."""
    return is_sealed(folder) or is_sealed(_aside(folder))


def settle(folder: Path) -> None:
    """Ends a replacement: the old folder goes if the new one is sealed, else it comes back.

    Raises:
        OSError: the folders cannot be moved or deleted.
    """
    aside = _aside(folder)
    if not aside.exists():
        return
    if is_sealed(folder):
        remove(aside)
    else:
        remove(folder)
        os.replace(aside, folder)
        sync_folder(folder.parent)


def remove(folder: Path) -> None:
    """Deletes a folder, if it is there: the seal first, so that a kill in between leaves nothing that looks whole.

    Raises:
        OSError: a file cannot be deleted.
    """
    if folder.exists():
        (folder / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(folder)


def contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Files of a sealed folder as (name, content), each read once, and checked before it is handed out.

    Raises:
        Broken: a file is not as it was written. Files handed out before were.
        UserError: a file may not be read, which says nothing of what is in it.
    """
    files = _manifest(folder)
    extra = sorted({path.name for path in folder.iterdir()} - files.keys() - {MANIFEST})
    if extra:
        raise Broken(f"{extra[0]} is not in the manifest")
    for name, (size, digest) in files.items():
        content = _read(folder / name)
        if len(content) != size:
            raise Broken(f"{name} has {len(content)} bytes instead of {size}")
        if hashlib.sha256(content).hexdigest() != digest:
            raise Broken(f"{name} has another SHA-256 than when it was written")
        yield name, content


def content_of(folder: Path, name: str) -> bytes:
    """One file of a sealed folder; the others are not looked at.

    Raises:
        Broken: the manifest or the file is not as it was written.
        UserError: a file may not be read.
    """
    content = _read(folder / name)
    if _manifest(folder).get(name) != (len(content), hashlib.sha256(content).hexdigest()):
        raise Broken(f"{name} is not what the manifest says")
    return content


def why_broken(folder: Path) -> str:
    """What is wrong with a sealed folder, as one clause that names the file; nothing if it is whole.

    Raises:
        UserError: a file may not be read.
    """
    try:
        for _ in contents(folder):
            pass
    except Broken as fault:
        return str(fault)
    return ""


def _manifest(folder: Path) -> dict[str, tuple[int, str]]:
    """Size in bytes and SHA-256 of every file, by name."""
    content = _read(folder / MANIFEST)
    if content != _closed(content[: -_DIGITS - len(_END)]):
        raise Broken(f"{MANIFEST} is damaged")
    return {name: (entry["size"], entry["sha256"]) for name, entry in json.loads(content)["files"].items()}


def _closed(head: bytes) -> bytes:
    """All bytes of a manifest from those above its own digest: no other ending fits them."""
    return head + hashlib.sha256(head).hexdigest().encode() + _END


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise Broken(f"{path.name} is missing") from error
    except PermissionError as error:
        raise UserError(f"{path}: {error.strerror}; give read access, or delete its folder to do without") from error
    except OSError as error:
        raise Broken(f"{path.name} cannot be read: {error.strerror}") from error


def _aside(folder: Path) -> Path:
    return folder.with_name(folder.name + ASIDE)
