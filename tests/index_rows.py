"""Index rows and limits for the tests of validation."""

from dataclasses import replace
from typing import Any

from asr.corpus.index import IndexRow
from asr.corpus.verdict import DEFAULTS
from asr.params import ValidateParams

LIMITS = replace(
    DEFAULTS,
    max_duration=10.0,
    max_label_tokens=100,
    near_text_share=0.1,
    external="",
    earlier="",
    max_rejected=1.0,
    validation_share=0.2,
    test_share=0.2,
    overlap_min_characters=15,
    block_clips=None,
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
        licence="CC0-1.0",
        declared=None,
        encoding="WAV PCM_16",
        rate=16_000,
        channels=1,
        channel_correlation=1.0,
        channel_gap_db=0.0,
        duration=2.0,
        sha256=f"{number:064x}",
        peak=0.5,
        rms_dbfs=-20.0,
        clipped=0.0,
        dc_offset=0.0,
        snr_db=30.0,
        speech_share=None,
        lead_silence=0.1,
        tail_silence=0.1,
        silence=0.1,
        bandwidth=7000.0,
        tone_share=0.1,
        edge_db=-40.0,
        zero_run=0.0,
        fingerprint="",
        notes="",
        code="",
        message="",
    )
    return replace(row, **changes)
