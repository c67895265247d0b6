"""Manifests: tables that name audio files and their transcripts, as clips.

The text fields are taken exactly as they stand: `NA`, `null`, `nan` and `001` are words here. Mistakes that
concern the table as a whole stop the run; a row whose number makes no sense is rejected by itself.
"""

import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from asr.audio import read_file
from asr.corpus.clips import SourceClip
from asr.corpus.sources.encoding import printable
from asr.corpus.sources.paths import case_clashes, contained, regular_file
from asr.corpus.sources.tables import Table, read_table
from asr.errors import UserError
from asr.pcm import AudioError, Decode, Sound

SPLIT_WORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "dev", "val"),
    "test": ("test", "testing", "eval", "evaluation"),
}
"""Words that stand for a split, in a column or as a folder's name: those of the Hugging Face AudioFolder convention."""
_SPLIT_OF = {word: split for split, words in SPLIT_WORDS.items() for word in words}
OFFSET = "offset"
"""NeMo's column for the second at which a clip begins in a longer file."""
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Columns:
    """How the columns of a table are called; None where it has no such column."""

    audio: str
    text: str
    group: str | None
    split: str | None
    duration: str | None = None

    def names(self) -> list[str]:
        """The columns that must be there."""
        named = (self.audio, self.text, self.group, self.split, self.duration)
        return [name for name in named if name is not None]

    def check(self, present: Collection[str], where: str) -> None:
        """Raises UserError if one of the columns is not among those `present`."""
        for name in self.names():
            if name not in present:
                found = ", ".join(map(printable, sorted(present)))
                raise UserError(
                    f"manifest.schema: {where}: no column '{name}'; it has {found}: "
                    "name the right one in params.yaml under data.*_column"
                )


@dataclass(frozen=True)
class Labels:
    """What a row says of a clip beside its audio."""

    text: str
    group: str
    split: str
    declared: float | None = None
    """Seconds, where the table has a column for them and the number makes sense."""
    fault: tuple[str, str] | None = None
    """Code and message where it makes none."""


@dataclass(frozen=True)
class FileAudio:
    """A file that a corpus names, to be opened only if the name stays inside `root`."""

    root: Path
    name: str

    def sound(self, decode: Decode, /) -> Sound:
        """The decoded clip.

        Raises:
            AudioError: an unsafe path, no file that can be read, or whatever `decode` refuses.
        """
        return decode(read_file(regular_file(self.root, self.name)), self.name)


def split_named(word: str) -> str:
    """The split for which a word stands, in any case; empty if it stands for none."""
    return _SPLIT_OF.get(word, "") or _SPLIT_OF.get(word.lower(), "")


def read_clips(path: Path, columns: Columns, encoding: str, source: str) -> list[SourceClip]:
    """The clips of a table, in its order; audio is relative to its folder, or to `clips/` as in Common Voice.

    What was repaired in the file as a whole is noted at the clip whose name sorts first among those that can be kept.

    Raises:
        UserError: the table or a value in it is malformed; see `asr.corpus.sources.tables.read_table`.
    """
    table = read_table(path, encoding)
    root = audio_root(path, table)
    clips = []
    for line, row in _checked(table, columns, path):
        where = f"{path}:{line}"
        found = labels(row, columns, where)
        name = _as_text(row[columns.audio], where)
        audio = FileAudio(root, name)
        fault = found.fault or _offset_fault(row, where)
        clips.append(SourceClip(name, found.text, audio, found.group, source, found.split, found.declared, (), fault))
    if not clips:
        needed = ", ".join(columns.names())
        raise UserError(f"manifest.empty: {path}: no rows; it needs one row a clip with the columns {needed}")
    if table.notes:
        place = min(range(len(clips)), key=lambda place: (not _is_usable(clips[place], root), clips[place].name))
        clips[place] = replace(clips[place], notes=table.notes)
    return clips


def _is_usable(clip: SourceClip, root: Path) -> bool:
    try:
        contained(root, clip.name)
    except AudioError:
        return False
    return clip.fault is None


def audio_root(path: Path, table: Table) -> Path:
    """Where the names of a table begin: Common Voice lays its audio in `clips` beside its tables."""
    clips = path.parent / "clips"
    common_voice = {"client_id", "path", "sentence"} <= set(table.columns or ())
    return clips if common_voice and clips.is_dir() and not clips.is_symlink() else path.parent


def _checked(table: Table, columns: Columns, path: Path) -> Iterator[tuple[int, Mapping[str, object]]]:
    """The rows, each with all columns; rows of JSON may lack the duration, but not all of them."""
    if table.columns is not None:
        if table.columns:
            columns.check(table.columns, f"{path}:1")
        yield from table.rows
        return
    required, has_duration = replace(columns, duration=None), columns.duration is None
    names, seen = set(required.names()), set[str]()
    for line, row in table.rows:
        if not names <= row.keys():
            required.check(row, f"{path}:{line}")
        if not has_duration:
            has_duration = columns.duration in row
            seen |= row.keys()
        yield line, row
    if not has_duration and seen:
        columns.check(seen, str(path))


def labels(row: Mapping[str, object], columns: Columns, where: str) -> Labels:
    """The labels in a row; `where` names the row in errors.

    Raises:
        UserError: a value that is no text, or an unknown split.
    """
    group = "" if columns.group is None else _as_text(row[columns.group], where)
    word = "" if columns.split is None else _as_text(row[columns.split], where)
    split = split_named(word)
    if word and not split:
        allowed = ", ".join(_SPLIT_OF)
        advice = f"allowed are {allowed}, or nothing"
        raise UserError(f"manifest.schema: {where}: {columns.split} = '{printable(word)}'; {advice}")
    text = _as_text(row[columns.text], where)
    if columns.duration is None:
        return Labels(text, group, split)
    declared, fault = stated_seconds(row.get(columns.duration), columns.duration)
    return Labels(text, group, split, declared, fault)


def _as_text(value: object, where: str) -> str:
    """Text as it stands, nothing for null, the digits of a whole number (speaker ids often are numbers)."""
    if isinstance(value, str) and (value.isascii() or not _SURROGATE.search(value)):
        return value
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    shown = ascii(value)[:80]  # a lone surrogate could not be printed
    raise UserError(f"manifest.schema: {where}: {shown} is no text; write a string")


def stated_seconds(value: object, column: str) -> tuple[float | None, tuple[str, str] | None]:
    """Seconds that a source states, as a number or as text with a decimal point; else None and the fault.

    Nothing is guessed: `3,42` may be three seconds or three thousand.
    """
    number, problem = _number(value)
    if not problem and not math.isfinite(number):
        problem = "is not finite"
    if not problem and number < 0:
        problem = "is negative"
    if problem:
        return None, ("manifest.bad_number", f"{column} = {ascii(value)[:40]} {problem}")
    return number, None


def _number(value: object) -> tuple[float, str]:
    """The number, and why it is none."""
    if isinstance(value, float):
        return value, ""
    if value is None or value == "":
        return 0.0, "is missing"
    if isinstance(value, int) and not isinstance(value, bool):
        return (float(value), "") if abs(value) < 2**53 else (math.inf, "")
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value), ""
    if isinstance(value, str) and _NUMBER.fullmatch(value.replace(",", ".", 1)):
        return 0.0, "holds a comma; write a decimal point"
    return 0.0, "is no number of seconds"


def _offset_fault(row: Mapping[str, object], where: str) -> tuple[str, str] | None:
    """What is wrong with the row's offset, if it has one; raises UserError for one that asks for a cut."""
    value = row.get(OFFSET)
    if value is None or value in ("", "0", "0.0", 0):
        return None
    seconds, fault = stated_seconds(value, OFFSET)
    if seconds:
        raise UserError(
            f"manifest.schema: {where}: offset = {ascii(value)[:40]}: parts of longer files are not cut out; "
            "cut the audio into one file a clip, or rename the column if it means something else"
        )
    return fault


_REPAIRS = {
    "text.bom": "text.bom: a byte order mark before the manifest was removed",
    "text.line_breaks": "text.line_breaks: the manifest's lines end in different ways; its rows agree with its lines",
}


def repair_notes(clips: Sequence[SourceClip]) -> tuple[str, ...]:
    """What was repaired in the files of a source as a whole, a line each for the user."""
    found = {code for clip in clips for code in clip.notes}
    return tuple(_REPAIRS[code] for code in sorted(found))


def checked(clips: Sequence[SourceClip]) -> list[SourceClip]:
    """The clips with their names checked against each other: all of them have to be known.

    Raises:
        UserError: see `check_unique`.
    """
    check_unique(clips)
    found = list(clips)
    for place, other in case_clashes([clip.name for clip in clips]).items():
        message = f"path {clips[place].name!r} differs from {other!r} only in case or Unicode form; rename one"
        found[place] = replace(found[place], fault=("path.unsafe", message))
    return found


def check_unique(clips: Sequence[SourceClip]) -> None:
    """Raises UserError if two clips have one name, since it makes their id. Clips without names are let pass."""
    rows: dict[str, int] = {}
    for row, clip in enumerate(clips):
        earlier = rows.setdefault(clip.name, row)
        if earlier != row and clip.name:
            raise UserError(
                f"manifest.duplicate_id: rows {earlier} and {row} of the source (from 0) are both named "
                f"{clip.name!r}, which makes their id; remove one, or give each clip a file of its own"
            )
