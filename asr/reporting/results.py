"""What the earlier stages measured, read back and checked for the figures and the summary."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from asr.errors import UserError
from asr.files import read_json, read_jsonl
from asr.scoring.wer import confusions
from asr.text import normalize

T = TypeVar("T")


@dataclass(frozen=True)
class SplitSize:
    """Kept clips of one split."""

    clips: int
    hours: float
    groups: int


@dataclass(frozen=True)
class SplitSizes:
    """Kept clips of every split."""

    train: SplitSize
    validation: SplitSize
    test: SplitSize


@dataclass(frozen=True)
class CorpusResult:
    """From `metrics/validate.json`."""

    clips_in: int
    clips_kept: int
    hours_kept: float
    rejected: Mapping[str, int]
    """Clips by reason code."""
    quantiles: Mapping[str, Mapping[str, float]]
    """Percentiles, such as `p50`, of what is measured of spoken clips; empty where there is none."""
    splits: SplitSizes


@dataclass(frozen=True)
class TrainResult:
    """From `metrics/train.json`."""

    steps: int
    best_step: int
    best_validation_wer: float
    seconds_of_audio: float
    """Heard in training, repetitions included."""


@dataclass(frozen=True)
class Rates:
    """Error rates and counts on one form of the texts."""

    wer: float
    cer: float


@dataclass(frozen=True)
class SilenceResult:
    """Output on clips without speech."""

    clips: int
    clips_with_output: int
    words_emitted: int


@dataclass(frozen=True)
class Normalizer:
    """What the rates rest on."""

    language: str
    version: str
    hash: str


@dataclass(frozen=True)
class SplitResult:
    """One split of `metrics/evaluate.json`; rates are fractions on normalised texts."""

    wer: float
    wer_low: float
    wer_high: float
    cer: float
    clips: int
    groups: int
    words: int
    substitutions: int
    deletions: int
    insertions: int
    orthographic: Rates
    silence: SilenceResult
    normalizer: Normalizer


@dataclass(frozen=True)
class Results:
    """All numbers of one run."""

    corpus: CorpusResult
    train: TrainResult
    validation: SplitResult
    test: SplitResult


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


def read_results(validate: Path, train: Path, evaluate: Path) -> Results:
    """The three metrics files.

    Raises:
        UserError: a file or a key is missing.
    """
    splits = read_json(evaluate)
    return Results(
        corpus=_picked(CorpusResult, read_json(validate), f"{validate}: "),
        train=_picked(TrainResult, read_json(train), f"{train}: "),
        validation=_picked(SplitResult, splits.get("validation", {}), f"{evaluate}: validation."),
        test=_picked(SplitResult, splits.get("test", {}), f"{evaluate}: test."),
    )


def read_bars(path: Path, label: str, value: str) -> Bars:
    """Two columns of a table, the first of words.

    Raises:
        UserError: the table or a column is missing, or a value is no number.
    """
    labels, values = _columns(path, (label, value))
    return Bars(tuple(labels), _numbers(path, values))


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
    steps, values = _columns(path, ("step", value))
    return Curve(_numbers(path, steps), _numbers(path, values))


def read_confusions(path: Path, language: str, most: int) -> Bars:
    """The most frequent word confusions of a predictions file, as `said → written`.

    Raises:
        UserError: the file is missing or a row lacks a text.
    """
    rows = list(read_jsonl(path))
    try:
        references = [normalize(row["reference"], language) for row in rows]
        hypotheses = [normalize(row["hypothesis"], language) for row in rows]
    except KeyError as error:
        raise UserError(f"{path}: a row without {error}; run evaluate again") from error
    ranked = _ranked(confusions(references, hypotheses))[:most]
    return Bars(tuple(f"{said} → {written}" for (said, written), _ in ranked), tuple(n for _, n in ranked))


def _ranked(counts: Counter[tuple[str, str]]) -> list[tuple[tuple[str, str], int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _picked(cls: type[T], content: Mapping[str, Any], where: str) -> T:
    """An instance of the dataclass `cls` from the keys it names; other keys are passed over."""
    values = {}
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]  # T is a dataclass
        if field.name not in content:
            raise UserError(f"{where}{field.name} is missing; run the stage that writes it again")
        value = content[field.name]
        nested = isinstance(field.type, type) and dataclasses.is_dataclass(field.type)
        values[field.name] = _picked(field.type, value, f"{where}{field.name}.") if nested else value  # type: ignore[arg-type]  # a class
    return cls(**values)


def _columns(path: Path, names: Sequence[str]) -> list[list[str]]:
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


def _numbers(path: Path, cells: Sequence[str]) -> tuple[float, ...]:
    try:
        return tuple(map(float, cells))
    except ValueError as error:
        raise UserError(f"{path}: {error}; run its stage again") from error
