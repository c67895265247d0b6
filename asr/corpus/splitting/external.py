"""Texts of outside test sets, such as FLEURS or Common Voice: training must not hear them."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asr.corpus.clips import SPLITS
from asr.corpus.findings import Corpus, Finding, Findings, collect
from asr.corpus.splitting.relations import distinctive
from asr.errors import UserError
from asr.text import Numbers, normalize

COLUMNS = ("text", "sentence", "transcription")
"""Names of the column of transcripts, the preferred one first."""


@dataclass(frozen=True)
class Reference:
    """The texts of one outside test set."""

    name: str
    """Path of its file in the folder of references."""
    keys: frozenset[str]
    """Normalised as transcripts are, none of them empty."""


def read_references(folder: Path, language: str, numbers: Numbers = "keep") -> tuple[Reference, ...]:
    """The outside test sets in `folder` and the folders below it, by name.

    A `.txt` file holds a transcript a line; `.csv`, `.tsv` and `.jsonl` files have one of `COLUMNS`. Other
    files are ignored. A missing folder, or an empty path, means that there are none.

    Args:
        folder: of the files.
        language: decides how texts are normalised.
        numbers: the same as for the corpus.

    Raises:
        UserError: a file is not UTF-8, has no such column, breaks its format or holds no text.
    """
    # An empty path would be the working directory.
    if folder == Path() or not folder.exists():
        return ()
    if not folder.is_dir():
        raise UserError(f"validate.external: {folder} is a file; name the folder that holds it")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in READERS and path.is_file())
    return tuple(_reference(path, path.relative_to(folder).as_posix(), language, numbers) for path in paths)


def overlaps(
    corpus: Corpus,
    sides: NDArray[np.int8],
    kept: NDArray[np.bool_],
    references: Sequence[Reference],
    min_characters: int,
) -> Findings:
    """Findings for kept training clips whose text an outside test set holds.

    Such clips of the other splits stay: they harm no result, and the leakage report counts them.

    Args:
        corpus: all clips.
        sides: position in `SPLITS` of each clip's split, shape = (clips,).
        kept: the clips that are still in, shape = (clips,).
        references: outside test sets.
        min_characters: shorter texts, such as single words, recur by nature.
    """
    names = {key: reference.name for reference in reversed(references) for key in reference.keys}
    train = kept & (sides == SPLITS.index("train")) & distinctive(corpus, min_characters)
    return collect(
        (place, Finding("split.external_overlap", f"the outside test set {names[corpus.keys[place]]} holds this text"))
        for place in np.flatnonzero(train).tolist()
        if corpus.keys[place] in names
    )


def _reference(path: Path, name: str, language: str, numbers: Numbers) -> Reference:
    keys = frozenset(normalize(text, language, numbers) for text in READERS[path.suffix.lower()](path)) - {""}
    if not keys:
        raise UserError(f"{path}: holds no transcript; fill the file or remove it")
    return Reference(name, keys)


def _content(path: Path) -> str:
    """The file as text with LF line ends, without a byte-order mark."""
    try:
        content = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8") from error
    if "\0" in content:
        raise UserError(f"{path}: holds a NUL character, so it is not UTF-8 text; save it as UTF-8")
    return content.replace("\r\n", "\n")


def _lines(path: Path) -> Iterator[str]:
    # Not splitlines(), which also splits at U+2028 and others that may stand inside a transcript.
    yield from _content(path).split("\n")


def _tsv(path: Path) -> Iterator[str]:
    """Common Voice writes its tables without quoting: a quote is a character like others."""
    return _table(path, csv.reader(io.StringIO(_content(path)), delimiter="\t", quoting=csv.QUOTE_NONE))


def _csv(path: Path) -> Iterator[str]:
    return _table(path, csv.reader(io.StringIO(_content(path), newline=""), strict=True))


def _table(path: Path, rows: Iterator[list[str]]) -> Iterator[str]:
    try:
        header = next(rows, [])
        column = header.index(_column(header, str(path)))
        for number, row in enumerate(rows, 2):
            if row and len(row) != len(header):
                raise UserError(f"{path}: row {number} has {len(row)} cells and the header {len(header)}; mend the row")
            if row and "\n" in row[column]:
                raise UserError(f"{path}: the transcript of row {number} holds a line break; is a quote left open?")
            yield row[column] if row else ""
    except csv.Error as error:
        raise UserError(f"{path}: {error}; mend the quotes of the table") from error


def _jsonl(path: Path) -> Iterator[str]:
    for number, line in enumerate(_lines(path), 1):
        if line.strip():
            where = f"{path}:{number}"
            try:
                row = json.loads(line)
            except ValueError as error:
                raise UserError(f"{where}: not JSON ({error}); write one object a line") from error
            if not isinstance(row, dict):
                raise UserError(f"{where}: {type(row).__name__} where an object is expected; write one object a line")
            text = row[_column(row, where)]
            if not isinstance(text, str):
                raise UserError(f"{where}: the transcript is {text!r}; write it as a string")
            yield text


def _column(names: Sequence[str] | dict[str, object], where: str) -> str:
    for column in COLUMNS:
        if column in names:
            return column
    raise UserError(f"{where}: none of the columns {', '.join(COLUMNS)} among {', '.join(names)[:200] or 'none'}")


READERS = {".txt": _lines, ".csv": _csv, ".tsv": _tsv, ".jsonl": _jsonl}
"""By the ending of the file's name."""
