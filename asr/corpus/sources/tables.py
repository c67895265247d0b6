"""Tables (CSV, TSV, JSON lines) read strictly into rows.

A lenient reader loses rows in silence: an unclosed quote merges lines, a guessed type turns the id `001`
into 1, a key that stands twice keeps its last value. Here every cell is text exactly as it stands, JSON
keeps its own types, and the rows are counted against the lines of the file.
"""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from asr.corpus.sources.encoding import printable, read_text
from asr.errors import UserError

if TYPE_CHECKING:
    import _csv

FORMATS = (".csv", ".tsv", ".jsonl")

Rows = Iterator[tuple[int, Mapping[str, object]]]
"""Line in the file, from 1, and values by column."""


@dataclass(frozen=True)
class Table:
    """A table opened for reading."""

    columns: tuple[str, ...] | None
    """The header; None for JSON lines, where every row names its own."""
    rows: Rows
    """To be read once; raises UserError where the table is malformed."""
    notes: tuple[str, ...]
    """Codes of what was repaired or noticed in the file as a whole."""


def read_table(path: Path, encoding: str) -> Table:
    """Opens a table, its format given by the extension of `path`.

    Raises:
        UserError: the file is missing, of another kind, not in `encoding`, or its header is malformed; while
            the rows are read, also for rows that are malformed.
    """
    kind = path.suffix.lower()
    if kind not in FORMATS:
        raise UserError(f"{path}: unknown kind of manifest; expected a name that ends in {', '.join(FORMATS)}")
    found = read_text(path, encoding)
    mixed = sum(bool(count) for count in _line_ends(found.text)) > 1
    notes = found.notes + (("text.line_breaks",) if mixed else ())
    if kind == ".jsonl":
        return Table(None, _json_rows(found.text, path), notes)
    header, rows = _delimited(found.text, path, kind == ".tsv")
    return Table(header, rows, notes)


def _line_ends(text: str) -> tuple[int, int, int]:
    """How many lines end in CR LF, in LF alone, in CR alone."""
    both = text.count("\r\n")
    return both, text.count("\n") - both, text.count("\r") - both


def _json_rows(text: str, path: Path) -> Rows:
    decoder = json.JSONDecoder(object_pairs_hook=_unique_keys)
    for number, line in enumerate(text.split("\n"), 1):  # not splitlines(): U+2028 may stand in a transcript
        content = line.strip(" \t\r")
        if not content:
            continue
        try:
            row = decoder.decode(content)
        except (ValueError, RecursionError) as error:
            _refuse_json(f"{path}:{number}", content, error)
        if not isinstance(row, dict):
            found = type(row).__name__
            raise UserError(f"manifest.schema: {path}:{number}: found {found}; write one JSON object a line")
        yield number, row


def _refuse_json(where: str, content: str, error: Exception) -> NoReturn:
    if re.search("}\r+{", content):
        raise UserError(f"manifest.row_count: {where}: lines end in CR alone; save the file with LF") from error
    raise UserError(f"manifest.schema: {where}: not JSON ({error}); write one object a line") from error


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"key '{_first_twice(name for name, _ in pairs)}' stands twice in an object: keep one")
    return found


def _first_twice(names: Iterable[str]) -> str:
    return printable(next(name for name, count in Counter(names).items() if count > 1))


def _delimited(text: str, path: Path, tabs: bool) -> tuple[tuple[str, ...], Rows]:
    """Header and rows of CSV, or of TSV without quoting: Common Voice's TSV files hold unbalanced quotation marks."""
    lines = io.StringIO(text, newline="")  # ends lines at LF, CR and CR LF, and leaves them as they are
    if tabs:
        reader = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE, strict=True)
    else:
        reader = csv.reader(lines, strict=True)
    records = _one_line_records(reader, path)
    _, header = next(records, (1, []))
    if len(set(header)) < len(header):
        raise UserError(f"manifest.schema: {path}:1: column '{_first_twice(header)}' stands twice: rename one")
    if len(header) == 1 and (other := re.search("[;,|]" if tabs else "[;\t|]", header[0])):
        kind = "tabs" if tabs else "commas"
        raise UserError(
            f"manifest.schema: {path}:1: the cells stand between {other.group()!r}, not {kind}; save it with {kind}"
        )
    return tuple(header), _counted(records, header, text, path)


def _counted(records: Iterator[tuple[int, list[str]]], header: list[str], text: str, path: Path) -> Rows:
    """Rows under the header, counted at the end against the lines of the text that are not blank."""
    count, width = (1 if header else 0), len(header)
    for line, cells in records:
        if len(cells) != width:
            advice = "quote cells that hold a comma, and close every row with all its cells"
            found = f"{len(cells)} cells under {width} columns"
            raise UserError(f"manifest.length_mismatch: {path}:{line}: {found}; {advice}")
        count += 1
        yield line, dict(zip(header, cells, strict=True))
    expected = sum(map(bool, re.split("\r\n|\r|\n", text)))
    if count != expected:
        advice = "check the quotation marks"
        raise UserError(f"manifest.row_count: {path}: {expected} lines, but {count} rows with the header; {advice}")


def _one_line_records(reader: "_csv.Reader", path: Path) -> Iterator[tuple[int, list[str]]]:
    """The records that are not blank; one that spans lines is refused, since an unclosed quote looks the same."""
    line = 0
    try:
        for cells in reader:
            first, lines, line = line + 1, reader.line_num - line, reader.line_num
            if lines > 1:
                raise UserError(
                    f"manifest.row_count: {path}:{first}: a quotation mark opens here and closes {lines - 1} lines "
                    "below; close it, double it, or write line breaks in a JSON-lines manifest"
                )
            if cells:
                yield first, cells
    except csv.Error as error:
        raise UserError(f"manifest.row_count: {path}:{line + 1}: {error}; check the quotation marks") from error
