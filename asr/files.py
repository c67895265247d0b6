"""Writers whose bytes depend on the content alone, and on nothing else.

JSON with sorted keys, LF line ends, shortest-round-trip floats and no NaN; every file appears whole
or not at all.
"""

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from asr.errors import UserError

_IN_CELLS = str.maketrans({"\t": "\\t", "\n": "\\n", "\r": "\\r"})


def write_text(path: Path, text: str) -> None:
    """Replaces `path` by `text` in UTF-8 with LF line ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.partial")
    try:
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        error.filename = str(path)  # a full disk does not say for which file it was too small
        raise


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """One JSON object, indented, for metrics that people and `dvc metrics diff` read."""
    write_text(path, json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n")


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """One JSON object a line, keys sorted."""
    encode = json.JSONEncoder(sort_keys=True, ensure_ascii=False, allow_nan=False).encode
    lines = map(encode, rows)
    write_text(path, "".join(f"{line}\n" for line in lines))


def write_tsv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table for `dvc plots`; tabs and line ends inside a cell are written with a backslash."""
    lines = ["\t".join(columns)] + ["\t".join(str(cell).translate(_IN_CELLS) for cell in row) for row in rows]
    write_text(path, "".join(f"{line}\n" for line in lines))


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        UserError: the file is absent or no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: missing; run the stage that writes it (`dvc repro`)") from error
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error}); run the stage that writes it again") from error


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a JSON-lines file, split at LF only: U+2028 may stand inside a transcript.

    Raises:
        UserError: the file is absent or a line is no JSON.
    """
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            for number, line in enumerate(file, 1):
                try:
                    yield json.loads(line)
                except ValueError as error:
                    raise UserError(f"{path}:{number}: not JSON ({error}); run its stage again") from error
    except FileNotFoundError as error:
        raise UserError(f"{path}: missing; run the stage that writes it (`dvc repro`)") from error


@contextmanager
def replaced_folder(path: Path) -> Iterator[Path]:
    """An empty folder that takes the place of `path` when the block ends well; else `path` stays as it was."""
    partial = path.with_name(f".{path.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    if path.exists():
        shutil.rmtree(path)
    os.replace(partial, path)
