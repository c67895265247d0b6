"""The clips of the error browser: texts, word alignments, and what they can be filtered and sorted by."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asr.errors import UserError
from asr.scoring.alignment import AlignedWord, align
from asr.text import Numbers, normalize


@dataclass(frozen=True)
class BrowsedClip:
    """One decoded clip of the test split."""

    id: str
    reference: str
    """Orthographic, as the corpus has it."""
    hypothesis: str
    """As decoded."""
    group: str
    duration: float
    """Seconds."""
    source: str
    snr_db: float | None
    capped: bool
    """The text was ended because it had become too long."""
    confidence: float | None
    """From 0 to 1."""
    alignment: tuple[AlignedWord, ...]
    """Of the normalised texts."""

    @property
    def words(self) -> int:
        """Of the normalised reference."""
        return sum(step.kind != "insertion" for step in self.alignment)

    @property
    def errors(self) -> int:
        """Words that differ."""
        return sum(step.kind != "hit" for step in self.alignment)

    def as_plain(self) -> dict[str, Any]:
        """For the page; a word that was recognised is a text, an error the two sides of it."""
        words = [s.reference if s.kind == "hit" else [s.reference, s.hypothesis] for s in self.alignment]
        return {
            "id": self.id,
            "reference": self.reference,
            "hypothesis": self.hypothesis,
            "group": self.group,
            "duration": round(self.duration, 3),
            "source": self.source,
            "snr": self.snr_db,
            "capped": self.capped,
            "confidence": self.confidence,
            "words": words,
        }


def browsed(rows: Iterable[Mapping[str, Any]], language: str, numbers: Numbers) -> list[BrowsedClip]:
    """The rows of a predictions file, most errors first, then shortest.

    Raises:
        UserError: a row lacks a key, or the language is unknown.
    """
    clips = [_clip(row, language, numbers) for row in rows]
    return sorted(clips, key=lambda clip: (-clip.errors, clip.words, clip.id))


def check_counts(clips: Sequence[BrowsedClip], test: Mapping[str, Any]) -> None:
    """The page must show the errors that the metrics count.

    Raises:
        UserError: predictions and metrics are not of one run, or not of one normaliser.
    """
    spoken = [clip for clip in clips if clip.words]
    counted = (len(spoken), sum(clip.words for clip in spoken), sum(clip.errors for clip in spoken))
    errors = sum(test.get(key, 0) for key in ("substitutions", "deletions", "insertions"))
    recorded = (test.get("clips"), test.get("words"), errors)
    if counted != recorded:
        raise UserError(
            f"data/predictions has (clips, words, errors) = {counted}, metrics/evaluate.json {recorded}: "
            "they are of different runs; run evaluate again"
        )


def _clip(row: Mapping[str, Any], language: str, numbers: Numbers) -> BrowsedClip:
    try:
        said, heard = (normalize(row[key], language, numbers) for key in ("reference", "hypothesis"))
        return BrowsedClip(
            id=row["id"],
            reference=row["reference"],
            hypothesis=row["hypothesis"],
            group=row["group"],
            duration=row["duration"],
            source=row.get("source", ""),
            snr_db=row.get("snr_db"),
            capped=row.get("capped", False),
            confidence=row.get("confidence"),
            alignment=align(said, heard),
        )
    except KeyError as error:
        raise UserError(f"data/predictions: a row without {error}; run evaluate again") from error
