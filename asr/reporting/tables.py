"""The tables of the earlier stages, read back and checked for the figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from asr.errors import UserError
from asr.files import read_jsonl
from asr.scoring.word_errors import word_errors
from asr.text import Numbers, normalize

MOST_LETTERS = 16
"""Of a word in a picture."""


@dataclass(frozen=True)
class Bars:
    """A table of counts or rates by label."""

    labels: tuple[str, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class CorpusTables:
    """The tables under `plots/validate`, of clips where nothing else is said."""

    durations: Bars
    text_lengths: Bars
    characters_per_second: Bars
    snr: Bars
    groups: Bars
    """Groups by their number of clips."""
    sources: Bars
    """Kept hours by source."""
    rejected: Bars
    warned: Bars


@dataclass(frozen=True)
class Curve:
    """A value over optimizer steps; both run in the same order."""

    steps: tuple[float, ...]
    values: tuple[float, ...]


def read_bars(path: Path, label: str, value: str) -> Bars:
    """Two columns of a table, the first of words.

    Raises:
        UserError: the table or a column is missing, or a value is no number.
    """
    labels, values = read_columns(path, (label, value))
    return Bars(tuple(labels), read_numbers(path, values))


def read_corpus_tables(folder: Path) -> CorpusTables:
    """What validate wrote for people.

    Raises:
        UserError: a table or a column is missing, or a value is no number.
    """
    return CorpusTables(
        durations=read_bars(folder / "durations.tsv", "seconds", "clips"),
        text_lengths=read_bars(folder / "text_lengths.tsv", "characters", "clips"),
        characters_per_second=read_bars(folder / "characters_per_second.tsv", "characters_per_second", "clips"),
        snr=read_bars(folder / "snr.tsv", "snr_db", "clips"),
        groups=read_bars(folder / "groups.tsv", "clips_per_group", "groups"),
        sources=read_bars(folder / "sources.tsv", "source", "hours_kept"),
        rejected=read_bars(folder / "rejected.tsv", "code", "clips"),
        warned=read_bars(folder / "warned.tsv", "code", "clips"),
    )


def read_curve(path: Path, value: str) -> Curve:
    """The columns `step` and `value` of a table.

    Raises:
        UserError: the table or a column is missing, or a value is no number.
    """
    steps, values = read_columns(path, ("step", value))
    return Curve(read_numbers(path, steps), read_numbers(path, values))


def read_confusions(path: Path, language: str, most: int, numbers: Numbers = "keep") -> Bars:
    """The most frequent word confusions of a predictions file, as `said → written`.

    Raises:
        UserError: the file is missing or a row lacks a text.
    """
    rows = list(read_jsonl(path))
    try:
        references = [normalize(row["reference"], language, numbers) for row in rows]
        hypotheses = [normalize(row["hypothesis"], language, numbers) for row in rows]
    except KeyError as error:
        raise UserError(f"{path}: a row without {error}; run evaluate again") from error
    ranked = word_errors(references, hypotheses).confusions[:most]
    labels = (f"{_brief(pair.said)} → {_brief(pair.written)}" for pair in ranked)
    return Bars(tuple(labels), tuple(pair.count for pair in ranked))


def _brief(word: str) -> str:
    """A word that fits beside a bar: a model that loops writes words without end."""
    return word if len(word) <= MOST_LETTERS else f"{word[: MOST_LETTERS - 1]}…"


def read_columns(path: Path, names: Sequence[str]) -> list[list[str]]:
    """Columns of a table as they are written.

    Raises:
        UserError: the table or a column is missing, or a row is cut.
    """
    if not path.is_file():
        raise UserError(f"{path}: missing; run the stage that writes it (`dvc repro`)")
    header, *rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()] or [[]]
    for name in names:
        if name not in header:
            raise UserError(f"{path}: no column '{name}' among {header}; run its stage again")
    for number, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise UserError(f"{path}: line {number} has {len(row)} cells instead of {len(header)}; run its stage again")
    return [[row[header.index(name)] for row in rows] for name in names]


def read_numbers(path: Path, cells: Sequence[str]) -> tuple[float, ...]:
    """The cells of a column as numbers.

    Raises:
        UserError: one is none.
    """
    try:
        return tuple(map(float, cells))
    except ValueError as error:
        raise UserError(f"{path}: {error}; run its stage again") from error
