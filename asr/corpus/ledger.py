"""What becomes of every clip: nothing leaves the corpus, and nothing is changed, without a row that says so."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr.corpus.codes import ACTIONS, Action
from asr.corpus.findings import Corpus, Finding, Findings
from asr.errors import UserError
from asr.pcm import SAMPLE_RATE

TOP_REASONS = 3
"""Codes named when too many clips are rejected."""


@dataclass(frozen=True)
class Rejection:
    """One row of `data/splits/rejected.jsonl`."""

    id: str
    name: str
    row: int
    duration: float
    """Seconds, 0 where nothing could be decoded."""
    code: str
    """The first reason."""
    codes: tuple[str, ...]
    """All reasons."""
    value: float | None
    limit: float | None
    message: str


@dataclass(frozen=True)
class Repair:
    """One row of `data/splits/repaired.jsonl`: one change to a kept clip.

    All changes of a transcript are one row, with the transcript before and after; every other repair is a row of
    its own.
    """

    id: str
    before: str
    after: str
    codes: tuple[str, ...]


@dataclass(frozen=True)
class Warned:
    """One row of `data/splits/warned.jsonl`: a kept clip at which something is odd.

    The four tuples run side by side, one entry a warning.
    """

    id: str
    name: str
    row: int
    codes: tuple[str, ...]
    messages: tuple[str, ...]
    values: tuple[float | None, ...]
    limits: tuple[float | None, ...]


@dataclass(frozen=True)
class Total:
    """Clips and their length."""

    clips: int
    samples: int
    """At `SAMPLE_RATE`; whole numbers, so that sums are exact in any order."""

    @property
    def hours(self) -> float:
        """Length in hours."""
        return self.samples / SAMPLE_RATE / 3600


def total(durations: Iterable[float] | NDArray[np.float64]) -> Total:
    """The sum over clips of the given lengths in seconds."""
    seconds = durations if isinstance(durations, np.ndarray) else np.fromiter(durations, np.float64)
    return Total(len(seconds), int(np.rint(seconds * SAMPLE_RATE).astype(np.int64).sum()))


def rejections(corpus: Corpus, kept: NDArray[np.bool_], findings: Findings) -> tuple[Rejection, ...]:
    """A row for every clip that is not kept, by id."""
    return tuple(
        _rejection(corpus, place, [finding for finding in findings[place] if finding.rejects])
        for place in np.flatnonzero(~kept).tolist()
    )


def warnings(corpus: Corpus, kept: NDArray[np.bool_], findings: Findings) -> tuple[Warned, ...]:
    """A row for every kept clip with a warning, by id."""
    places = (place for place in sorted(findings) if kept[place])
    return tuple(_warned(corpus, place, findings[place]) for place in places)


def repairs(corpus: Corpus, kept: NDArray[np.bool_]) -> tuple[Repair, ...]:
    """What cleaning changed in the transcripts of kept clips, and what prepare mended, by id."""
    index = corpus.index
    rows = zip(index.texts["id"], index.texts["text"], corpus.texts, corpus.repairs, index.texts["notes"], strict=True)
    found: list[Repair] = []
    for place, (name, before, after, codes, notes) in enumerate(rows):
        if (codes or notes) and kept[place]:
            if codes:
                found.append(Repair(name, before, after, codes))
            found += [Repair(name, *_change(corpus, place, code), (code,)) for code in _repair_codes(notes)]
    return tuple(found)


def by_code(rejections: Iterable[Rejection]) -> dict[str, int]:
    """Clips of each first reason, most frequent first."""
    return _ranked(rejection.code for rejection in rejections)


def by_any_code(rows: Iterable[Repair | Warned]) -> dict[str, int]:
    """Rows with each code, most frequent first; a row with two codes counts under both."""
    return _ranked(code for row in rows for code in row.codes)


def check_share(rejections: Sequence[Rejection], clips_in: int, limit: float) -> None:
    """Stops when so much is rejected that the fault lies in the corpus or in the limits.

    Raises:
        UserError: there are no clips, or the rejected share exceeds `validate.max_rejected`.
    """
    if not clips_in:
        raise UserError("manifest.empty: the index holds no clip: check data.source, data.split and data.max_clips")
    share = len(rejections) / clips_in
    if share > limit:
        counts = list(by_code(rejections).items())[:TOP_REASONS]
        reasons = ", ".join(f"{code} {count}" for code, count in counts)
        first = next(row for row in rejections if row.code == counts[0][0])
        nothing_left = "manifest.empty: " if len(rejections) == clips_in else ""
        raise UserError(
            f"{nothing_left}{len(rejections)} of {clips_in} clips ({share:.1%}) are rejected, "
            f"validate.max_rejected = {limit:g}: {reasons}; "
            f"e.g. clip {first.id} ({first.name or f'row {first.row}'}): {first.message}; "
            "mend the corpus, the limit named, or max_rejected"
        )


def check_totals(all_in: Total, kept: Total, rejected: Total) -> None:
    """Invariant: every clip and every sample is either kept or rejected, and none is both."""
    if (all_in.clips, all_in.samples) != (kept.clips + rejected.clips, kept.samples + rejected.samples):
        raise AssertionError(f"clips were lost or doubled: {all_in} != {kept} + {rejected}")


def _rejection(corpus: Corpus, place: int, found: Sequence[Finding]) -> Rejection:
    first, (texts, numbers) = found[0], (corpus.index.texts, corpus.index.numbers)
    return Rejection(
        id=texts["id"][place],
        name=texts["name"][place],
        row=numbers["row"][place].item(),
        duration=numbers["duration"][place].item(),
        code=first.code,
        codes=tuple(finding.code for finding in found),
        value=first.value,
        limit=first.limit,
        message=first.message,
    )


def _warned(corpus: Corpus, place: int, found: Sequence[Finding]) -> Warned:
    return Warned(
        id=corpus.index.texts["id"][place],
        name=corpus.index.texts["name"][place],
        row=corpus.index.numbers["row"][place].item(),
        codes=tuple(finding.code for finding in found),
        messages=tuple(finding.message for finding in found),
        values=tuple(finding.value for finding in found),
        limits=tuple(finding.limit for finding in found),
    )


_CHANGES: dict[str, tuple[str, Callable[[Any], str], str]] = {
    "signal.resampled": ("rate", lambda hertz: f"{hertz} Hz", f"{SAMPLE_RATE} Hz"),
    "signal.dc_offset": ("dc_offset", lambda mean: f"mean sample {mean:.4g}", "high-passed"),
    "audio.header_open_size": ("encoding", lambda encoding: f"{encoding}, length left open", "read to the end"),
    "text.bom": ("name", lambda _: "byte-order mark", "none"),
    "manifest.order": ("row", lambda row: f"row {row}", "sorted by id"),
}
"""Of each repair that prepare makes: the column of the index that shows it, and how before and after read."""


def _change(corpus: Corpus, place: int, code: str) -> tuple[str, str]:
    """Before and after of a repair that prepare noted."""
    column, before, after = _CHANGES.get(code, ("notes", str, "mended by prepare"))
    index = corpus.index
    values = index.texts[column] if column in index.texts else index.numbers[column]
    return before(values[place]), after


def _repair_codes(notes: str) -> Iterator[str]:
    return (code for code in notes.split() if ACTIONS[code] is Action.REPAIR)


def _ranked(codes: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(codes).items(), key=lambda item: (-item[1], item[0])))
