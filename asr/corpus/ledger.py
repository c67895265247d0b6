"""What becomes of every clip: nothing leaves the corpus without a row that says why."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from asr.corpus.index import IndexRow
from asr.corpus.rules import Candidate, Finding
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
    """One row of `data/splits/repaired.jsonl`: a kept clip whose transcript was changed."""

    id: str
    before: str
    after: str
    codes: tuple[str, ...]


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


def total(durations: Iterable[float]) -> Total:
    """The sum over clips of the given lengths in seconds."""
    samples = [round(duration * SAMPLE_RATE) for duration in durations]
    return Total(len(samples), sum(samples))


def rejection(row: IndexRow, findings: Sequence[Finding]) -> Rejection:
    """The ledger row of a clip with at least one finding."""
    first = findings[0]
    codes = tuple(finding.code for finding in findings)
    return Rejection(
        row.id, row.name, row.row, row.duration, first.code, codes, first.value, first.limit, first.message
    )


def repair(candidate: Candidate) -> Repair:
    """The ledger row of a clip whose transcript was changed."""
    return Repair(candidate.row.id, candidate.row.text, candidate.text, candidate.repairs)


def by_code(rejections: Iterable[Rejection]) -> dict[str, int]:
    """Clips of each first reason, most frequent first."""
    counts = Counter(rejection.code for rejection in rejections)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def check_share(rejections: Sequence[Rejection], clips_in: int, limit: float) -> None:
    """Stops when so much is rejected that the fault lies in the corpus or in the limits.

    Raises:
        UserError: there are no clips, or the rejected share exceeds `validate.max_rejected`.
    """
    if not clips_in:
        raise UserError("the index holds no clip: check data.source, data.split and data.max_clips")
    share = len(rejections) / clips_in
    if share > limit:
        counts = list(by_code(rejections).items())[:TOP_REASONS]
        reasons = ", ".join(f"{code} {count}" for code, count in counts)
        first = next(row for row in rejections if row.code == counts[0][0])
        raise UserError(
            f"{len(rejections)} of {clips_in} clips ({share:.1%}) are rejected, validate.max_rejected = {limit:g}: "
            f"{reasons}; e.g. clip {first.id} ({first.name or f'row {first.row}'}): {first.message}; "
            "mend the corpus, the limit named, or max_rejected"
        )


def check_totals(all_in: Total, kept: Total, rejected: Total) -> None:
    """Invariant: every clip and every sample is either kept or rejected, and none is both."""
    if (all_in.clips, all_in.samples) != (kept.clips + rejected.clips, kept.samples + rejected.samples):
        raise AssertionError(f"clips were lost or doubled: {all_in} != {kept} + {rejected}")
