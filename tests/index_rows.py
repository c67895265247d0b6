"""Index rows and limits for the tests of validation."""

from dataclasses import replace
from typing import Any

from asr.corpus.index import IndexRow
from asr.corpus.rules import Candidate
from asr.params import ValidateParams
from asr.text import clean, normalize

LIMITS = ValidateParams(
    min_duration=0.1,
    max_duration=10.0,
    min_characters_per_second=1.0,
    max_characters_per_second=25.0,
    max_label_characters=100,
    silence_dbfs=-60.0,
    max_rejected=1.0,
    validation_share=0.2,
    test_share=0.2,
    overlap_min_characters=15,
    seed=0,
)


def limits(**changes: Any) -> ValidateParams:
    return replace(LIMITS, **changes)


def index_row(number: int = 0, **changes: Any) -> IndexRow:
    """A sound clip; its id, samples and text differ from those of other numbers."""
    row = IndexRow(
        id=f"id{number:06d}",
        row=number,
        name=f"clip{number}.wav",
        text=f"Bu, {number} nömrəli cümlədir.",
        group="",
        source="test",
        split="",
        duration=2.0,
        sha256=f"{number:064x}",
        peak=0.5,
        rms_dbfs=-20.0,
        clipped=0.0,
        dc_offset=0.0,
        code="",
        message="",
    )
    return replace(row, **changes)


def candidate(number: int = 0, **changes: Any) -> Candidate:
    row = index_row(number, **changes)
    cleaned = clean(row.text)
    return Candidate(row, cleaned.text, cleaned.repairs, normalize(cleaned.text, "az"))
