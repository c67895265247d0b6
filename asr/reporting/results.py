"""What the earlier stages measured, read back and checked for the figures and the summary."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args

from asr.errors import UserError
from asr.files import read_json
from asr.reporting.sections import (
    BaselineResult,
    CalibrationResult,
    LoopResult,
    SentenceResult,
    Slices,
)
from asr.reporting.tables import Bars

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
    basic: Rates | None = None
    """Under Whisper's own normaliser."""
    length_ratio: float | None = None
    """Words written over words said."""
    sentences: SentenceResult | None = None
    baseline: BaselineResult | None = None
    calibration: CalibrationResult | None = None
    loops: LoopResult | None = None
    noise: Mapping[str, Mapping[str, Any]] | None = None
    """By kind of noise: rates by ratio, such as `snr_10_db`, or `skipped`; `clean` holds rates itself."""
    slices: Slices | None = None

    @property
    def by_duration(self) -> tuple["Bars", "Bars"]:
        """WER and clips by length in seconds; both empty where the file does not say."""
        found = (self.slices and self.slices.duration) or {}
        parts = sorted(found.items(), key=lambda part: _first_number(part[0]))
        labels = tuple(label for label, _ in parts)
        rates, clips = ([content[key] for _, content in parts] for key in ("wer", "clips"))
        return Bars(labels, tuple(rates)), Bars(labels, tuple(clips))


@dataclass(frozen=True)
class Results:
    """All numbers of one run."""

    corpus: CorpusResult
    train: TrainResult
    validation: SplitResult
    test: SplitResult


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


def _picked(cls: type[T], content: Mapping[str, Any], where: str) -> T:
    """An instance of the dataclass `cls` from the keys it names; other keys are passed over."""
    values = {}
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]  # T is a dataclass
        if field.name not in content:
            if field.default is dataclasses.MISSING:
                raise UserError(f"{where}{field.name} is missing; run the stage that writes it again")
            continue
        value, nested = content[field.name], _dataclass_in(field.type)
        values[field.name] = _picked(nested, value, f"{where}{field.name}.") if nested else value
    return cls(**values)


def _dataclass_in(kind: Any) -> type | None:
    """The type itself, or its part before `| None`, if that is a dataclass."""
    found = (part for part in (kind, *get_args(kind)) if isinstance(part, type) and dataclasses.is_dataclass(part))
    return next(found, None)


def _first_number(label: str) -> float:
    """By which labels such as `10-30` and `30+` are sorted."""
    return float(label.rstrip("+").split("-")[0])
