"""Archives are recognised and refused, with the command that unpacks them safely.

They are not unpacked here: links, absolute or `..` members and decompression bombs in the archives of others
are how files get overwritten and disks filled.
"""

from pathlib import Path

from asr.errors import UserError

_ADVICE_TAR = "with Python 3.11.13, 3.12.11, 3.13.4 or later, run `python -m tarfile -e {path} FOLDER --filter data`"
_ADVICE_ZIP = "run `python -m zipfile -l {path}`, look at names and sizes, then `python -m zipfile -e {path} FOLDER`"
_ADVICE_OTHER = "unpack it into an empty FOLDER with the program that made it, and look that it holds no links"
_ADVICE_GZIP = "run `python -m gzip -d {path}`"
_ADVICE_SHEET = "open it and save the table as CSV in UTF-8"

_BY_SUFFIX = {
    (".tar", ".tgz", ".tbz2", ".txz", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst"): ("a tar archive", _ADVICE_TAR),
    (".xlsx", ".xls", ".ods"): ("a spreadsheet", _ADVICE_SHEET),
    (".zip",): ("a zip archive", _ADVICE_ZIP),
    (".gz",): ("a gzip file", _ADVICE_GZIP),
    (".7z", ".rar", ".bz2", ".xz", ".zst"): ("an archive", _ADVICE_OTHER),
}
_BY_CONTENT = (
    (0, b"PK\x03\x04", "a zip archive", _ADVICE_ZIP),
    (0, b"PK\x05\x06", "an empty zip archive", _ADVICE_ZIP),
    (257, b"ustar", "a tar archive", _ADVICE_TAR),
    (0, b"\x1f\x8b", "a gzip file", _ADVICE_GZIP),
    (0, b"BZh", "a bzip2 file", _ADVICE_OTHER),
    (0, b"\xfd7zXZ\x00", "an xz file", _ADVICE_OTHER),
    (0, b"\x28\xb5\x2f\xfd", "a zstd file", _ADVICE_OTHER),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", _ADVICE_OTHER),
    (0, b"Rar!\x1a\x07", "a rar archive", _ADVICE_OTHER),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a spreadsheet or other document", _ADVICE_SHEET),
)
"""Offset and signature at the beginning of a file, and its kind."""
_HEAD = 512


def refuse_archive(path: Path) -> None:
    """Raises UserError if `path` is a file that is an archive, by its content or its name."""
    if not path.is_file():
        return
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise UserError(f"data.path = '{path}': cannot be read ({error.strerror}); give yourself access") from error
    found = _by_name(path.name) or _by_content(head)
    if found:
        raise UserError(f"data.path = '{path}': {found[0]}; {how_to_unpack(str(path), found[1])}")


def how_to_unpack(path: str, advice: str = "") -> str:
    """What to do with an archive; its kind is that of its name unless the advice is given."""
    advice = advice or (_by_name(path) or ("", _ADVICE_OTHER))[1]
    if advice == _ADVICE_SHEET:
        return advice
    return (
        "archives are not unpacked here, because links, '..' and bombs in those of others overwrite files: "
        f"{advice.format(path=path)} and set data.path to what comes out"
    )


def is_archive(name: str) -> bool:
    """Whether a file is named as an archive or a spreadsheet."""
    return _by_name(name) is not None


def _by_name(name: str) -> tuple[str, str] | None:
    kinds = _BY_SUFFIX.items()
    return next((kind for suffixes, kind in kinds if name.lower().endswith(suffixes)), None)


def _by_content(head: bytes) -> tuple[str, str] | None:
    kinds = ((kind, advice) for start, mark, kind, advice in _BY_CONTENT if head.startswith(mark, start))
    return next(kinds, None)
