"""The splits of an earlier release: its clips keep their side, whatever came in since.

A model that was trained on the earlier release may be tested on the new one, and a score of then be compared with one
of now, only if no clip has changed between training and test.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr.corpus.clips import SPLITS, Utterance
from asr.corpus.findings import Corpus
from asr.errors import UserError

NEW = -1
"""The earlier side of a clip that the record does not hold, and of a key without clips of the record."""
SEVERAL = -2
"""The earlier side of a key whose clips the record has on several sides."""

COLUMNS = frozenset(field.name for field in fields(Utterance))
_AGAIN = "copy the file from the release again"

Record = Mapping[str, int]
"""Position in `SPLITS` by the id of each clip of an earlier release; empty where there was none."""


@dataclass(frozen=True)
class Followed:
    """What became of the clips of an earlier release; the first three counts add up to it."""

    kept: int
    """In the split in which they were."""
    rejected: int
    """In the index, and rejected now."""
    gone: int
    """Not in the index any more."""
    overruled: int
    """Those in the index for which the source states another split now, in vain."""

    def __str__(self) -> str:
        vain = f", {self.overruled} of them against the split that the source states now" if self.overruled else ""
        return f"{self.kept} clips keep their side{vain}; {self.rejected} are rejected and {self.gone} gone"


def split_files(folder: Path) -> tuple[Path, ...]:
    """The files of a record in `folder`, in the order of `SPLITS`."""
    return tuple(folder / f"{name}.jsonl" for name in SPLITS)


def read_earlier(folder: Path) -> Record:
    """The sides of all clips of the release whose split files were copied to `folder`.

    No record is a folder that is missing or holds no `.jsonl` file, or an empty path.

    Args:
        folder: with `train.jsonl`, `validation.jsonl` and `test.jsonl` as validate wrote them.

    Raises:
        UserError: one of the three is missing, empty or damaged, has unknown columns, or holds a clip a second time.
    """
    # An empty path would be the working directory.
    if folder == Path() or not folder.exists():
        return {}
    if not folder.is_dir():
        raise UserError(f"validate.earlier: {folder} is a file; name the folder that holds the split files")
    if not any(folder.rglob("*.jsonl")):
        return {}
    sides: dict[str, int] = {}
    for side, path in enumerate(split_files(folder)):
        for number, id in _ids(path):
            if id in sides:
                raise UserError(
                    f"{path}:{number}: the clip '{id}' stands in {SPLITS[sides[id]]}.jsonl already; "
                    "copy all three files from one release"
                )
            sides[id] = side
    return sides


def earlier_sides(corpus: Corpus, record: Record) -> NDArray[np.int8]:
    """Position in `SPLITS` of each clip's earlier split, `NEW` for clips that the record lacks, shape = (clips,)."""
    if not record:
        return no_earlier(corpus)
    return np.array([record.get(id, NEW) for id in corpus.index.texts["id"]], np.int8)


def no_earlier(corpus: Corpus) -> NDArray[np.int8]:
    """The earlier sides where there is no record, shape = (clips,)."""
    return np.full(len(corpus), NEW, np.int8)


def sides_by_key(numbers: NDArray[np.int64], earlier: NDArray[np.int8]) -> NDArray[np.int8]:
    """The side on which the record has the clips of each key, shape = (keys,); `NEW` for none, or `SEVERAL`.

    Args:
        numbers: of the key of each clip, shape = (clips,).
        earlier: sides that clips had, shape = (clips,).
    """
    known = np.flatnonzero(earlier >= 0)
    keys = int(numbers.max(initial=-1)) + 1
    lowest, highest = np.full(keys, len(SPLITS), np.int8), np.full(keys, NEW, np.int8)
    np.minimum.at(lowest, numbers[known], earlier[known])
    np.maximum.at(highest, numbers[known], earlier[known])
    return np.where(lowest < highest, np.int8(SEVERAL), highest)


def followed(corpus: Corpus, record: Record, splits: Mapping[str, Sequence[Utterance]]) -> Followed:
    """Accounts for all clips of the record.

    Args:
        corpus: all clips.
        record: of the earlier release.
        splits: the finished ones, by name. Invariant, checked here: no clip of the record is in another than its own.
    """
    kept = 0
    for side, name in enumerate(SPLITS):
        known = [utterance.id for utterance in splits[name] if utterance.id in record]
        moved = [id for id in known if record[id] != side]
        if moved:
            raise AssertionError(f"split.unstable: {len(moved)} clips of the earlier release moved, such as {moved[0]}")
        kept += len(known)
    ids, stated = corpus.index.texts["id"], corpus.index.texts["split"]
    present = [(SPLITS[record[id]], split) for id, split in zip(ids, stated, strict=True) if id in record]
    overruled = sum(split not in ("", side) for side, split in present)
    return Followed(kept, len(present) - kept, len(record) - len(present), overruled)


def account(earlier: Followed | None) -> dict[str, Any]:
    """The entry `earlier` of `metrics/validate.json`; nothing where there is no record."""
    return {"earlier": asdict(earlier)} if earlier else {}


def _ids(path: Path) -> Iterator[tuple[int, str]]:
    """Number and id of each line of a split file that is not blank."""
    if not path.is_file():
        names = ", ".join(each.name for each in split_files(path.parent))
        raise UserError(f"{path}: missing; a record has the files {names}, all from one release")
    # A release may have no validation clips, but it has clips of the other two splits.
    if not path.stat().st_size and path.stem != "validation":
        raise UserError(f"{path}: empty; {_AGAIN}")
    # As bytes, a file is split at LF only: U+2028 and others may stand inside a transcript.
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield number, _id(line, f"{path}:{number}")


def _id(line: bytes, where: str) -> str:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise UserError(f"{where}: not JSON in UTF-8 ({error}); {_AGAIN}") from error
    if not isinstance(row, dict):
        raise UserError(f"{where}: {type(row).__name__} where an object is expected; {_AGAIN}")
    if unknown := row.keys() - COLUMNS:
        names = ", ".join(map(repr, sorted(unknown)))
        raise UserError(f"{where}: {names} is no column of a split file ({', '.join(sorted(COLUMNS))}); {_AGAIN}")
    id = row.get("id")
    if not isinstance(id, str) or not id:
        raise UserError(f"{where}: the id is {json.dumps(id)}, not the name of a clip; {_AGAIN}")
    return id
