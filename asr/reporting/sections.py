"""Sections of `metrics/evaluate.json` that not every run has, and their fields that not every release wrote.

A section that could not be measured holds `skipped`, the reason, and nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class SentenceResult:
    """Clips with at least one wrong word."""

    count: int
    with_errors: int
    ser: float


@dataclass(frozen=True)
class BaselineResult:
    """The base model on the same clips; rates are fractions."""

    wer: float | None = None
    wer_low: float | None = None
    wer_high: float | None = None
    wer_difference: float | None = None
    """Of the trained model to the base: negative is a gain."""
    wer_difference_low: float | None = None
    wer_difference_high: float | None = None
    skipped: str | None = None


@dataclass(frozen=True)
class CalibrationResult:
    """Whether words are right as often as their confidence says; None where there are no words to tell from."""

    expected_calibration_error: float | None = None
    auroc: float | None = None


@dataclass(frozen=True)
class LoopResult:
    """Signs of invented text."""

    clips: int
    looping: int
    """Texts with a repetition that was not said."""
    wer_above_1: int


@dataclass(frozen=True)
class Slices:
    """Parts of a split."""

    duration: Mapping[str, Mapping[str, Any]] | None = None
    """Rates and counts by seconds, such as `2-3`."""
