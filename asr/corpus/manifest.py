"""Manifests: tables (CSV, TSV, JSON lines) that name audio files and their transcripts.

A table is read strictly, because a lenient reader loses rows in silence: an unclosed quote merges lines,
a guessed type turns the id `001` into 1. The text fields are taken exactly as they stand. The paths in a
table are not trusted: each must lead to a file inside the corpus.
"""

import csv
import io
import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from asr.audio import decode_file
from asr.corpus.clips import SPLITS, SourceClip
from asr.errors import UserError
from asr.pcm import AudioError, Pcm16

if TYPE_CHECKING:
    import _csv

FORMATS = (".csv", ".tsv", ".jsonl")


@dataclass(frozen=True)
class Columns:
    """How the columns of a table are called; None where it has no such column."""

    audio: str
    text: str
    group: str | None
    split: str | None

    def names(self) -> list[str]:
        """The columns that must be there."""
        return [name for name in (self.audio, self.text, self.group, self.split) if name is not None]

    def check(self, present: Collection[str], where: str) -> None:
        """Raises UserError if one of the columns is not among those `present`."""
        for name in self.names():
            if name not in present:
                raise UserError(
                    f"{where}: no column '{name}'; it has {', '.join(sorted(present))}: "
                    "name the right one in params.yaml under data.*_column"
                )


@dataclass(frozen=True)
class Labels:
    """What a row says of a clip beside its audio."""

    text: str
    group: str
    split: str


@dataclass(frozen=True)
class Entry:
    """One row of a table."""

    audio: str
    labels: Labels


@dataclass(frozen=True)
class FileAudio:
    """A file that a corpus names, to be opened only if the name stays inside `root`."""

    root: Path
    name: str

    def samples(self) -> Pcm16:
        """The decoded clip.

        Raises:
            AudioError: an unsafe path, or whatever `asr.audio.decode_file` refuses.
        """
        return decode_file(contained(self.root, self.name))


def contained(root: Path, name: str) -> Path:
    """The path of `name` under `root`, symbolic links resolved.

    Raises:
        AudioError: `path.unsafe` for a name that is not relative and plain, or that leads out of `root`.
    """
    faults = (
        (not name, "is empty"),
        ("\0" in name, "holds a NUL character"),
        ("://" in name, "is a URL"),
        (re.match(r"[A-Za-z]:", name) is not None, "starts with a drive letter"),
        ("\\" in name, "holds a backslash"),
        (name.startswith("/"), "is absolute"),
        (".." in name.split("/"), "holds '..'"),
    )
    for present, fault in faults:
        if present:
            raise AudioError("path.unsafe", f"path {name!r} {fault}; write it relative to the corpus, with '/'")
    try:
        path = (root / name).resolve()
    except (OSError, RuntimeError) as error:  # a name too long; RuntimeError for a loop of links
        raise AudioError("path.unsafe", f"path {name!r} cannot be resolved") from error
    if not path.is_relative_to(root.resolve()):
        raise AudioError("path.unsafe", f"path {name!r} leads out of the corpus through a symbolic link")
    return path


def manifest_clips(path: Path, columns: Columns) -> list[SourceClip]:
    """The clips of a manifest, in its order; audio paths are relative to its folder.

    Raises:
        UserError: see `read_entries`.
    """
    return [
        SourceClip(
            name=entry.audio,
            text=entry.labels.text,
            audio=FileAudio(path.parent, entry.audio),
            group=entry.labels.group,
            source="manifest",
            split=entry.labels.split,
        )
        for entry in read_entries(path, columns)
    ]


def read_entries(path: Path, columns: Columns) -> list[Entry]:
    """All rows of a table, the format given by the extension of `path`.

    Raises:
        UserError: the file is missing, empty, not UTF-8 or malformed, or a column or value does not fit.
    """
    if path.suffix.lower() not in FORMATS:
        raise UserError(f"{path}: unknown kind of manifest; expected a name that ends in {', '.join(FORMATS)}")
    text = _read_utf8(path)
    rows = _json_rows(text, path) if path.suffix.lower() == ".jsonl" else _delimited_rows(text, path)
    entries = []
    for where, row in rows:
        columns.check(row.keys(), where)
        entries.append(Entry(_as_text(row[columns.audio], where), labels(row, columns, where)))
    if not entries:
        raise UserError(f"{path}: no rows; it needs one row a clip with the columns {', '.join(columns.names())}")
    return entries


def labels(row: Mapping[str, object], columns: Columns, where: str) -> Labels:
    """The labels in a row; `where` names the row in errors.

    Raises:
        UserError: a value that is no text, or an unknown split.
    """
    group = "" if columns.group is None else _as_text(row[columns.group], where)
    split = "" if columns.split is None else _as_text(row[columns.split], where)
    if split and split not in SPLITS:
        raise UserError(f"{where}: {columns.split} = '{split}'; allowed are {', '.join(SPLITS)}, or nothing")
    return Labels(_as_text(row[columns.text], where), group, split)


def _as_text(value: object, where: str) -> str:
    """Text as it stands, nothing for null, the digits of a whole number (speaker ids often are numbers)."""
    if value is None:
        return ""
    if isinstance(value, str) and not re.search("[\ud800-\udfff]", value):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise UserError(f"{where}: {value!r} is no text; write a string")


def _read_utf8(path: Path) -> str:
    try:
        data = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); put the manifest there or set data.path"
        ) from error
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}:{line}: not UTF-8 ({error.reason}); save the file as UTF-8") from error


def _json_rows(text: str, path: Path) -> Iterator[tuple[str, Mapping[str, object]]]:
    for number, line in enumerate(text.split("\n"), 1):  # not splitlines(): U+2028 may stand in a transcript
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            row = json.loads(line)
        except ValueError as error:
            raise UserError(f"{where}: not JSON ({error}); write one object a line") from error
        if not isinstance(row, dict):
            raise UserError(f"{where}: found {type(row).__name__}; write one JSON object a line")
        yield where, row


def _delimited_rows(text: str, path: Path) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Rows of CSV, or of TSV without quoting: Common Voice's TSV files hold unbalanced quotation marks."""
    if path.suffix.lower() == ".tsv":
        reader = csv.reader(io.StringIO(text, newline=""), delimiter="\t", quoting=csv.QUOTE_NONE, strict=True)
    else:
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    records = _one_line_records(reader, path)
    _, header = next(records, ("", []))
    if len(set(header)) < len(header):
        raise UserError(f"{path}:1: a column stands twice in {', '.join(header)}: rename one")
    for where, cells in records:
        if len(cells) != len(header):
            raise UserError(f"{where}: {len(cells)} cells under {len(header)} columns; quote cells that hold a comma")
        yield where, dict(zip(header, cells, strict=True))


def _one_line_records(reader: "_csv.Reader", path: Path) -> Iterator[tuple[str, list[str]]]:
    """The records that are not blank; one that spans lines is refused, since an unclosed quote looks the same."""
    line = 0
    try:
        for cells in reader:
            where, lines, line = f"{path}:{line + 1}", reader.line_num - line, reader.line_num
            if lines > 1:
                raise UserError(
                    f"{where}: a quotation mark opens here and closes {lines - 1} lines below; "
                    "close it, double it, or write line breaks in a JSON-lines manifest"
                )
            if cells:
                yield where, cells
    except csv.Error as error:
        raise UserError(f"{path}:{line + 1}: {error}; check the quotation marks") from error
