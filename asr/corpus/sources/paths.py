"""File names that a corpus gives: opened only where they stay inside it, on any operating system.

The names come from others. Joining an absolute one would discard the root, and a comparison of prefixes
would let `/data/root2` pass for `/data/root`; so a name must be plain, and no folder on its way a link.
"""

import re
import stat
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from asr.pcm import AudioError

_CONTROL = re.compile("[\0-\x1f\x7f-\x9f]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def contained(root: Path, name: str) -> Path:
    """The path of `name` under `root`, the link resolved where it is one. The file need not exist.

    Raises:
        AudioError: `path.unsafe` for a name that is not relative and plain, or that passes a linked folder or
            leads out of `root`; `audio.unreadable` where a folder gives no access.
    """
    fault = _fault(name)
    if fault:
        raise AudioError("path.unsafe", f"path {name!r} {fault}; write it relative to the corpus, with '/'")
    try:
        return _inside(root, name)
    except PermissionError as error:
        raise AudioError("audio.unreadable", f"path {name!r} passes a folder without access") from error
    except (OSError, RuntimeError) as error:  # a name too long; a loop of links
        raise AudioError("path.unsafe", f"path {name!r} cannot be resolved") from error


def _fault(name: str) -> str:
    """Why a name is not relative and plain, or nothing."""
    parts = name.split("/")
    faults = (
        (not name, "is empty"),
        ("\0" in name, "holds a NUL character"),
        (_CONTROL.search(name) is not None, "holds a control character"),
        (_SURROGATE.search(name) is not None, "holds half a surrogate pair"),
        ("://" in name, "is a URL"),
        (re.match(r"[A-Za-z]:", name) is not None, "starts with a drive letter"),
        ("\\" in name, "holds a backslash"),
        (name.startswith("/"), "is absolute"),
        (".." in parts, "holds '..'"),
        (any(part != part.strip() for part in parts), "begins or ends with a space, in a folder or in the name"),
    )
    return next((fault for present, fault in faults if present), "")


def _inside(root: Path, name: str) -> Path:
    path = root
    for part in [part for part in name.split("/") if part]:
        if path != root and path.is_symlink():
            raise AudioError("path.unsafe", f"path {name!r} passes the linked folder '{path.name}'; copy the folder")
        path = path / part
    if not path.is_symlink():
        return path
    target = path.resolve()  # a loop raises RuntimeError until Python 3.12, and stays a link from 3.13 on
    if target.is_symlink():
        raise AudioError("path.unsafe", f"path {name!r} cannot be resolved: a loop of links")
    if not target.is_relative_to(root.resolve()):
        raise AudioError("path.unsafe", f"path {name!r} is a link out of the corpus; copy the file to its place")
    return target


def regular_file(root: Path, name: str) -> Path:
    """The path of `name` under `root`, which is a file that can be read to its end: no FIFO, device or folder.

    Raises:
        AudioError: see `contained`; `audio.missing` where there is nothing, `audio.unreadable` for another kind.
    """
    path = contained(root, name)
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        raise AudioError("audio.missing", f"no such file{_other_form(root, name)}") from error
    except OSError as error:
        raise AudioError("audio.unreadable", f"the file cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(mode):
        raise AudioError("audio.unreadable", f"path {name!r} is no regular file but a {_kind(mode)}")
    return path


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISDIR, "folder"), (stat.S_ISFIFO, "FIFO"), (stat.S_ISSOCK, "socket"))
    return next((kind for test, kind in kinds if test(mode)), "device")


def _other_form(root: Path, name: str) -> str:
    """A hint where the file exists under the same letters in other code points: macOS writes names in NFD."""
    for form in ("NFC", "NFD"):
        other = unicodedata.normalize(form, name)
        try:
            found = other != name and contained(root, other).is_file()
        except (AudioError, OSError):
            continue
        if found:
            return f", but a file of that name in another Unicode form ({form}) exists: write the name in {form}"
    return ""


def case_clashes(names: Sequence[str]) -> dict[int, str]:
    """Places of names that differ from an earlier one only in case or Unicode form, with that other name.

    Windows and macOS open one file for both. Earlier is by code points, so the order of `names` changes nothing.
    Equal names do not clash, nor do empty ones.
    """
    keys = [_folded(name) for name in names]
    first: dict[str, str] = {}
    for key, name in zip(keys, names, strict=True):
        first[key] = min(name, first.get(key, name))
    pairs = enumerate(zip(keys, names, strict=True))
    return {place: first[key] for place, (key, name) in pairs if first[key] != name}


def _folded(name: str) -> str:
    return name.lower() if name.isascii() else unicodedata.normalize("NFC", name).lower()
