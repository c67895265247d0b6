"""Contract: the summary at the end of a run says what was measured, a line each, and nothing of what was not."""

from pathlib import Path
from typing import Any

import pytest

from asr.reporting.results import (
    CorpusResult,
    Normalizer,
    Rates,
    Results,
    SilenceResult,
    SplitResult,
    SplitSize,
    SplitSizes,
    TrainResult,
)
from asr.reporting.sections import BaselineResult, CalibrationResult, LoopResult, SentenceResult
from asr.reporting.summary import summary

BASELINE = BaselineResult(0.8, 0.75, 0.85, -0.7, -0.72, -0.68)
NOISE = {
    "clean": {"wer": 0.1},
    "white": {"snr_0_db": {"wer": 0.9}, "snr_10_db": {"wer": 0.25}},
    "hum": {"snr_10_db": {"wer": 0.125}},
    "babble": {"skipped": "too few voices"},
}
SECTIONS: dict[str, Any] = {
    "length_ratio": 0.98765,
    "sentences": SentenceResult(320, 31, 31 / 320),
    "baseline": BASELINE,
    "noise": NOISE,
    "calibration": CalibrationResult(0.031, 0.912),
    "loops": LoopResult(330, 3, 2),
}
LINES = {
    "sentences": "            31 of 320 sentences have an error (SER 9.69 %); words written / said 0.988",
    "baseline": "base model  WER 80.00 % [75.00, 85.00]; training changed it by -70.00 [-72.00, -68.00] points",
    "noise": "noise       WER 10.00 % clean; at 10 dB: hum 12.50 %, white 25.00 %",
    "calibration": "confidence  calibration error 3.10 %; AUROC 0.912",
    "loops": "loops       3 of 330 texts repeat themselves; 2 have more errors than words",
}


def results(rejected: dict[str, int] | None = None, **sections: Any) -> Results:
    """A run of 320 test clips with these sections."""
    rates, silence = Rates(0.2, 0.1), SilenceResult(10, 1, 4)
    numbers = (0.1, 0.05, 0.15, 0.04, 320, 10, 1655, 100, 50, 15)
    split = SplitResult(*numbers, rates, silence, Normalizer("az", "az-1", "ab"))
    test = SplitResult(*numbers, rates, silence, Normalizer("az", "az-1", "ab"), **sections)
    sizes = SplitSizes(*(SplitSize(10, 1.0, 2) for _ in range(3)))
    corpus = CorpusResult(4305, 4278, 2.55, rejected or {}, {}, sizes)
    return Results(corpus, TrainResult(4400, 4200, 0.026, 76_000.0), split, test)


@pytest.mark.parametrize("left_out", [None, *LINES])
def test_each_section_that_was_measured_has_its_line(left_out: str | None) -> None:
    sections = {name: content for name, content in SECTIONS.items() if name != left_out}
    lines = summary(results(**sections)).splitlines()
    assert [name for name, line in LINES.items() if line not in lines] == ([left_out] if left_out else [])


def test_a_run_of_an_older_release_has_the_lines_that_it_can_have() -> None:
    lines = summary(results()).splitlines()
    assert [line.split(" ")[0] for line in lines] == [
        *("test", "", "", "validation", "", "", "training", "corpus", "normaliser"),
    ]


def test_everything_fits_a_terminal() -> None:
    rejected = {f"signal.reason_{n}": n for n in range(20)}
    lines = summary(results(rejected, **SECTIONS), Path("plots/report.html")).splitlines()
    assert len(lines) <= 16
    assert max(map(len, lines)) <= 120
    assert all(line[11] == " " and line[12] != " " for line in lines)
    assert lines[-1] == "report      plots/report.html"


def test_the_most_frequent_reasons_are_named_and_the_others_added_up() -> None:
    said = summary(results({"a.b": 1, "c.d": 2, "e.f": 7, "g.h": 1, "i.j": 5}))
    assert "rejected: e.f 7, i.j 5, 4 for other reasons" in said
    assert "rejected: none" in summary(results())


def test_a_base_model_that_was_not_scored_is_named_with_the_reason() -> None:
    assert "base model  not scored: from scratch" in summary(results(baseline=BaselineResult(skipped="from scratch")))


def test_confidence_without_right_and_wrong_words_has_no_ranking() -> None:
    assert summary(results(calibration=CalibrationResult(0.5, None))).count("AUROC") == 0
    assert "confidence" not in summary(results(calibration=CalibrationResult()))
