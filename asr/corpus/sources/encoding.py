"""The text of a manifest: decoded strictly, with a diagnosis where its encoding is not the one stated.

Nothing is guessed: a wrong encoding that happens to decode would fill the corpus with plausible nonsense.
"""

import codecs
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from asr.errors import UserError

CODE_PAGES = ("cp1254", "iso8859-9", "cp857", "mac-turkish", "cp1251", "cp1252")
"""What Azerbaijani, Turkish and Russian text was stored in before Unicode."""
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is its beginning
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_HEAD = 4096
"""Bytes in which NULs are counted."""


@dataclass(frozen=True)
class Decoded:
    """The text of a file, and codes of what was repaired while it was decoded."""

    text: str
    notes: tuple[str, ...] = ()


def read_text(path: Path, encoding: str) -> Decoded:
    """The whole of a regular file, without its byte order mark.

    Raises:
        UserError: it cannot be read, or is not in `encoding`.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a FIFO would block for ever
            raise UserError(f"{path}: no regular file; put the manifest there or set data.path")
        data = path.read_bytes()
    except OSError as error:
        reason = f"cannot be read ({error.strerror})"
        raise UserError(f"{path}: {reason}; put the manifest there or set data.path") from error
    return decode_text(data, encoding, str(path))


def decode_text(data: bytes, encoding: str, name: str) -> Decoded:
    """The text in `data`; `name` is its file in errors.

    Raises:
        UserError: an unknown encoding, or bytes that are not in it.
    """
    codec = _codec(encoding)
    if codec.startswith("utf-8"):
        _refuse_wide(data, name)
    elif data.startswith(codecs.BOM_UTF8):
        raise UserError(f"text.encoding: {name}: begins with the mark of UTF-8; set data.encoding to utf-8")
    try:
        text = data.decode(codec)
    except UnicodeError as error:
        start = error.start if isinstance(error, UnicodeDecodeError) else 0
        line = data.count(b"\n", 0, start) + 1
        message = f"text.encoding: {name}:{line}: not {codec.upper()} ({error}); {_diagnosis(data, start, codec)}"
        raise UserError(" ".join(message.split())) from error
    return Decoded(text[1:], ("text.bom",)) if text.startswith("\ufeff") else Decoded(text)


def printable(text: str) -> str:
    """A name from a corpus for a message of one line; line breaks and half surrogate pairs are escaped."""
    return text if text.isprintable() else ascii(text)


def _codec(encoding: str) -> str:
    """Python's name of a text encoding."""
    try:
        codec = codecs.lookup(encoding)
        b"a".decode(encoding)  # `hex` and its like are found, but are no encodings of text
    except UnicodeError:
        return codec.name
    except (LookupError, ValueError) as error:
        advice = "write utf-8, or a name that Python knows, such as utf-16 or cp1254"
        raise UserError(f"data.encoding = '{encoding}': no encoding of text; {advice}") from error
    return codec.name


def _refuse_wide(data: bytes, name: str) -> None:
    """Raises UserError for UTF-16 and UTF-32; without a mark they may be valid UTF-8, full of NULs."""
    found = next((encoding for mark, encoding in _MARKS if data.startswith(mark)), "") or _wide_by_nuls(data[:_HEAD])
    if found:
        raise UserError(
            f"text.encoding: {name}:1: not UTF-8 but {found.upper()}, by its first bytes; "
            f"save the file as UTF-8, or set data.encoding to {found}"
        )


def _wide_by_nuls(head: bytes) -> str:
    """UTF-32 or UTF-16 by the places of NUL bytes among each four, or nothing."""
    if len(head) < 4:
        return ""
    first, second, third, fourth = (head[place::4].count(0) / len(head[place::4]) for place in range(4))
    patterns = (
        ("utf-32-le", min(third, fourth) > 0.9),
        ("utf-32-be", min(first, second) > 0.9),
        ("utf-16-le", min(second, fourth) > 0.3 and max(first, third) < 0.1),
        ("utf-16-be", min(first, third) > 0.3 and max(second, fourth) < 0.1),
    )
    return next((encoding for encoding, found in patterns if found), "")


def _diagnosis(data: bytes, start: int, codec: str) -> str:
    """What the bytes may be instead, and what to do about it."""
    if codec != "utf-8":
        return f"set data.encoding to {'utf-8, which it is' if _decodes(data, 'utf-8') else 'the true one'}"
    if len(data) - start < 4 and _decodes(data[:start], "utf-8"):
        return "the file ends within a letter, so it may be cut short: fetch or save it again"
    readings: dict[str, list[str]] = {}
    word = _word(data, start)
    for page in CODE_PAGES:
        if _decodes(data, page) and word.decode(page).isalpha():
            readings.setdefault(word.decode(page), []).append(page)
    if not readings:
        return "no usual code page makes words of it either: the file is damaged or no text; fetch or save it again"
    guesses = ", ".join(f"'{reading}' in {' or '.join(pages)}" for reading, pages in readings.items())
    return (
        f"the word there reads {guesses}, but none of these has the letter ə, so Azerbaijani has already lost it "
        "there: save the original as UTF-8, or set data.encoding to the one that reads right"
    )


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _word(data: bytes, place: int) -> bytes:
    """The bytes around `place` up to white space, punctuation or digits."""
    end = rb"[\x00-@\[-`{-~]"
    before = re.split(end, data[max(0, place - 40) : place])[-1]
    return before + re.split(end, data[place : place + 40])[0]
