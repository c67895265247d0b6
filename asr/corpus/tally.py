"""Sums over a validated corpus: by part, by reason, by source, by group; and the numbers of its spoken clips.

Everything runs over columns, so that 351,019 clips take a fraction of a second. Lengths are whole samples, so that
sums are exact in any order and parts add up to the whole.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from itertools import compress

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from asr.corpus.clips import SPLITS
from asr.corpus.ledger import Total, by_any_code, by_code, total
from asr.corpus.splitting.leakage import Leakage
from asr.corpus.validate import Validated
from asr.pcm import SAMPLE_RATE

Numbers = NDArray[np.float64]
"""A number a clip, shape = (clips,)."""

MOST = 20
"""Sources and licences listed by name; the others are added up."""
OTHERS, UNSTATED = "(others)", "(not stated)"
ROUNDING = 1e-3
"""Seconds a clip by which its stored length may differ from whole samples."""


@dataclass(frozen=True)
class Part:
    """A part of the corpus, with its length taken twice: in whole samples, and as rows x mean."""

    total: Total
    mean_duration: float
    """Seconds, from the column `duration`; 0 where there is no clip."""

    @property
    def hours_from_mean(self) -> float:
        """Rows x mean."""
        return self.total.clips * self.mean_duration / 3600


@dataclass(frozen=True)
class Shares:
    """Kept and rejected clips of one source or licence."""

    kept: Total
    rejected: Total


@dataclass(frozen=True)
class GroupSizes:
    """How the kept clips spread over speakers, recordings or blocks; clips without one are `ungrouped`."""

    groups: tuple[Total, ...]
    """Every group, the largest first. Names are left out: they can be those of people."""
    ungrouped: int


@dataclass(frozen=True)
class Spoken:
    """Numbers of the kept clips that have a text, each of shape = (clips,)."""

    duration: Numbers
    """Seconds."""
    characters_per_second: Numbers
    words_per_second: Numbers
    snr_db: Numbers


def parts(validated: Validated) -> dict[str, Part]:
    """The whole, what is kept, what is rejected, and every split; rows x mean is checked against the samples.

    Raises:
        AssertionError: the two ways to compute the hours of a part differ.
    """
    durations, kept, sides = _durations(validated), validated.kept, validated.sides
    masks = {"in": np.ones(len(kept), np.bool_), "kept": kept, "rejected": ~kept}
    masks |= {name: kept & (sides == side) for side, name in enumerate(SPLITS)}
    return {name: _part(name, durations[mask]) for name, mask in masks.items()}


def rejected(validated: Validated) -> dict[str, Total]:
    """Clips and their length by first reason, most frequent first."""
    durations: dict[str, list[float]] = {code: [] for code in by_code(validated.rejections)}
    for row in validated.rejections:
        durations[row.code].append(row.duration)
    return {code: total(found) for code, found in durations.items()}


def warned(validated: Validated) -> dict[str, int]:
    """Kept clips with each warning, most frequent first, those without a stated licence included."""
    counts = by_any_code(validated.warnings)
    if validated.unlicensed:
        counts["manifest.licence"] = validated.unlicensed
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def leak_counts(leakage: Leakage) -> dict[str, int]:
    """The counts that a leak-free split has at zero, by name."""
    return {field.name: getattr(leakage, field.name) for field in fields(leakage) if field.type is int}


def by_column(validated: Validated, column: str) -> dict[str, Shares]:
    """Kept and rejected clips by a column of words, the largest first; beyond `MOST` values they are added up."""
    numbers, names = _numbered(validated.corpus.index.texts[column])
    durations, kept = _durations(validated), validated.kept
    both = [_totals(numbers[mask], durations[mask], len(names)) for mask in (kept, ~kept)]
    ranked = sorted(zip(names, *both, strict=True), key=lambda row: (-row[1].clips, row[0]))
    found = {name or UNSTATED: Shares(*shares) for name, *shares in ranked[:MOST]}
    if len(ranked) > MOST:
        found[OTHERS] = Shares(*(_sum(row[side] for row in ranked[MOST:]) for side in (1, 2)))
    return found


def group_sizes(validated: Validated) -> GroupSizes:
    """The kept clips by group."""
    names = validated.groups
    grouped = validated.kept & np.fromiter(map(bool, names), np.bool_, len(names))
    numbers, found = _numbered(list(compress(names, grouped.tolist())))
    totals = _totals(numbers, _durations(validated)[grouped], len(found))
    totals.sort(key=lambda each: (-each.clips, -each.samples))
    return GroupSizes(tuple(totals), int(validated.kept.sum() - grouped.sum()))


def spoken(validated: Validated) -> Spoken:
    """The numbers of the kept clips with a text: rates and levels mean nothing for silence."""
    texts, numbers = validated.corpus.texts, validated.corpus.index.numbers
    characters = _column(map(len, texts), len(texts))
    # Cleaned texts have single spaces between words and none at the ends.
    words = _column((text.count(" ") + 1 for text in texts), len(texts))
    chosen = validated.kept & (characters > 0) & (numbers["duration"] > 0)
    duration = numbers["duration"][chosen]
    return Spoken(duration, characters[chosen] / duration, words[chosen] / duration, numbers["snr_db"][chosen])


def text_lengths(validated: Validated) -> Numbers:
    """Characters of every kept transcript, 0 for a clip without speech."""
    return _column(map(len, validated.corpus.texts), len(validated.corpus.texts))[validated.kept]


def kept_durations(validated: Validated) -> Numbers:
    """Seconds of every kept clip."""
    found: Numbers = _durations(validated)[validated.kept]
    return found


def _part(name: str, durations: Numbers) -> Part:
    seconds = math.fsum(durations.tolist())  # rounded once, so the same on every machine
    part = Part(total(durations), seconds / len(durations) if len(durations) else 0.0)
    if abs(part.total.samples / SAMPLE_RATE - part.total.clips * part.mean_duration) > ROUNDING * len(durations):
        raise AssertionError(f"{name}: {part.total} is not {part.total.clips} x {part.mean_duration} s")
    return part


def _durations(validated: Validated) -> Numbers:
    durations: Numbers = validated.corpus.index.numbers["duration"]
    return durations


def _samples(durations: Numbers) -> Numbers:
    """Whole samples, as floats for `bincount`, which adds them exactly below 2^53."""
    return np.rint(durations * SAMPLE_RATE)


def _column(values: Iterable[float], count: int) -> Numbers:
    return np.fromiter(values, np.float64, count)


def _numbered(labels: Sequence[str]) -> tuple[NDArray[np.int64], list[str]]:
    """A number for every label, shape = (labels,), and the label of every number."""
    encoded = pa.array(labels, pa.string()).dictionary_encode()
    return encoded.indices.to_numpy().astype(np.int64), encoded.dictionary.to_pylist()


def _totals(numbers: NDArray[np.int64], durations: Numbers, count: int) -> list[Total]:
    """Clips and samples of every number from 0 to `count`."""
    clips = np.bincount(numbers, minlength=count).tolist()
    samples = np.bincount(numbers, weights=_samples(durations), minlength=count).tolist()
    return [Total(n, int(length)) for n, length in zip(clips, samples, strict=True)]


def _sum(totals: Iterable[Total]) -> Total:
    both = list(totals)
    return Total(sum(each.clips for each in both), sum(each.samples for each in both))
