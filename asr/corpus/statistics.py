"""What people look at after validate: `metrics/validate.json` and the tables for its plots."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np

from asr.corpus.clips import SPLITS
from asr.corpus.ledger import Total, by_any_code, by_code
from asr.corpus.splitting.leakage import Leakage
from asr.corpus.tally import (
    Numbers,
    Part,
    by_column,
    group_sizes,
    kept_durations,
    leak_counts,
    parts,
    spoken,
    text_lengths,
    warned,
)
from asr.corpus.validate import Validated
from asr.files import write_tsv
from asr.text import NORMALIZER_VERSION, normalizer_hash

PERCENTILES = (1, 5, 50, 95, 99)
GROUP_EDGES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
"""Smallest number of clips of each kind of group; the last is open."""


@dataclass(frozen=True)
class Scale:
    """Bins of equal width from 0 on, the last of which is open: a long tail stays one row.

    Labels are padded with zeros, because DVC's page sorts bars by name: 100 would stand before 20.
    """

    width: float
    last: float
    """Where the open bin begins, a multiple of `width`."""
    decimals: int
    whole: bool = False
    """Whether values are whole numbers, so that a bin ends one before the next begins."""

    def label(self, place: int) -> str:
        """Of the bin with this number, such as `02.0-02.5`, `010-019` or `300+`."""
        low, high = place * self.width, (place + 1) * self.width - self.whole
        return f"{self._padded(low)}+" if low >= self.last else f"{self._padded(low)}-{self._padded(high)}"

    def rows(self, values: Numbers) -> Iterator[tuple[str, int]]:
        """Label and count of every bin up to that of the largest value."""
        places = np.clip(values // self.width, 0, self.last / self.width).astype(np.int64)
        return ((self.label(place), count) for place, count in enumerate(np.bincount(places).tolist()))

    def _padded(self, value: float) -> str:
        return f"{value:0{len(f'{self.last:.{self.decimals}f}')}.{self.decimals}f}"


DURATIONS = Scale(0.5, 30.0, 1)
"""Seconds; Whisper's window ends at 30."""
CHARACTERS = Scale(10, 300, 0, whole=True)
CHARACTERS_PER_SECOND = Scale(1, 30, 0)
SNR = Scale(5, 60, 0)
"""dB."""


def metrics(validated: Validated) -> dict[str, Any]:
    """The content of `metrics/validate.json`, without provenance."""
    found, everything = parts(validated), validated.all_in
    kept = found["kept"].total
    return {
        "clips_in": everything.clips,
        "clips_kept": kept.clips,
        "hours_in": everything.hours,
        "hours_kept": kept.hours,
        "mean_duration": kept.hours * 3600 / kept.clips,
        "negatives": sum(not text for text in compress(validated.corpus.texts, validated.kept.tolist())),
        "rejected": by_code(validated.rejections),
        "rejected_share": found["rejected"].total.clips / everything.clips,
        "repaired": by_any_code(validated.repairs),
        "warned": warned(validated),
        "leakage": _leakage(validated.leakage),
        "grouping": asdict(validated.grouping),
        "groups": _groups(validated),
        "sources": _kept_by(validated, "source"),
        "licences": _kept_by(validated, "licence"),
        "splits": _splits(validated, found),
        "quantiles": _quantiles(validated),
        "reconciliation": {name: _reconciled(part) for name, part in found.items()},
        "normalizer": {"version": NORMALIZER_VERSION, "hash": normalizer_hash()},
    }


def write_tables(folder: Path, validated: Validated) -> None:
    """Distributions of the kept clips, sources and groups, and the reasons of what was rejected or warned of."""
    numbers = spoken(validated)
    write_tsv(folder / "durations.tsv", ("seconds", "clips"), DURATIONS.rows(kept_durations(validated)))
    write_tsv(folder / "text_lengths.tsv", ("characters", "clips"), CHARACTERS.rows(text_lengths(validated)))
    write_tsv(
        folder / "characters_per_second.tsv",
        ("characters_per_second", "clips"),
        CHARACTERS_PER_SECOND.rows(numbers.characters_per_second),
    )
    write_tsv(folder / "snr.tsv", ("snr_db", "clips"), SNR.rows(numbers.snr_db))
    write_tsv(folder / "groups.tsv", ("clips_per_group", "groups", "hours"), group_rows(group_sizes(validated).groups))
    write_tsv(
        folder / "sources.tsv",
        ("source", "clips_kept", "hours_kept", "clips_rejected", "hours_rejected"),
        _source_rows(validated),
    )
    write_tsv(folder / "rejected.tsv", ("code", "clips"), by_code(validated.rejections).items())
    write_tsv(folder / "warned.tsv", ("code", "clips"), warned(validated).items())


def group_rows(groups: Sequence[Total]) -> list[tuple[str, int, float]]:
    """How many groups have how many clips, and how long these are together; labels padded as in `Scale`."""
    places = np.searchsorted(GROUP_EDGES, [group.clips for group in groups], side="right") - 1
    rows = []
    for place, low in enumerate(GROUP_EDGES[: int(places.max(initial=-1)) + 1]):
        same = [group for group, found in zip(groups, places.tolist(), strict=True) if found == place]
        hours = Total(len(same), sum(group.samples for group in same)).hours
        rows.append((_group_label(place, low), len(same), round(hours, 4)))
    return rows


def _group_label(place: int, low: int) -> str:
    width = len(str(GROUP_EDGES[-1]))
    if low == GROUP_EDGES[-1]:
        return f"{low}+"
    high = GROUP_EDGES[place + 1] - 1
    return f"{low:0{width}d}" if high == low else f"{low:0{width}d}-{high:0{width}d}"


def _source_rows(validated: Validated) -> Iterator[tuple[str, int, float, int, float]]:
    for name, shares in by_column(validated, "source").items():
        kept, lost = shares.kept, shares.rejected
        yield " ".join(name.split()), kept.clips, round(kept.hours, 4), lost.clips, round(lost.hours, 4)


def _kept_by(validated: Validated, column: str) -> dict[str, Any]:
    return {name: _clips_and_hours(shares.kept) for name, shares in by_column(validated, column).items()}


def _groups(validated: Validated) -> dict[str, Any]:
    sizes = group_sizes(validated)
    largest = sizes.groups[0] if sizes.groups else Total(0, 0)
    return {"count": len(sizes.groups), "ungrouped_clips": sizes.ungrouped, "largest": _clips_and_hours(largest)}


def _leakage(leakage: Leakage) -> dict[str, Any]:
    """Without the shared values themselves: these are transcripts and names of people, and the file is in Git."""
    return {
        **leak_counts(leakage),
        "shared": {
            name: {"clips": shared.clips, "hours": shared.hours, "examples": [each.clips for each in shared.examples]}
            for name, shared in leakage.shared.items()
        },
        "external": {
            name: {split: asdict(found) for split, found in splits.items()} for name, splits in leakage.external.items()
        },
        "proxy": leakage.proxy,
    }


def _splits(validated: Validated, found: dict[str, Part]) -> dict[str, Any]:
    names = {name: {clip.group for clip in validated.splits[name]} - {""} for name in SPLITS}
    return {name: {**_clips_and_hours(found[name].total), "groups": len(names[name])} for name in SPLITS}


def _quantiles(validated: Validated) -> dict[str, dict[str, float]]:
    """Of the clips with a text, rounded to what a person reads; empty where there is none."""
    columns = vars(spoken(validated))
    return {name: _percentiles(values) for name, values in columns.items() if len(values)}


def _percentiles(values: Numbers) -> dict[str, float]:
    return {f"p{p}": round(float(np.percentile(values, p)), 4) for p in PERCENTILES}


def _reconciled(part: Part) -> dict[str, float]:
    return {**_clips_and_hours(part.total), "mean_duration": part.mean_duration}


def _clips_and_hours(part: Total) -> dict[str, Any]:
    return {"clips": part.clips, "hours": part.hours}
