"""Contract: the closing line of `make repro` says whether the numbers are the committed ones, and if not, why."""

import pytest

from asr.reporting.verify import Result, comparison

PROVENANCE = {"params": "p", "data": "d", "code": "c", "device": "cpu-avx512-2-threads", "versions": {}}
COMMITTED = Result(0.03, 0.02, 0.04, 400, PROVENANCE)


def test_equal_results_and_lock_are_the_same_bytes() -> None:
    assert comparison(COMMITTED, COMMITTED, same_lock=True).startswith("Same bytes as the committed results")


@pytest.mark.parametrize(
    ("wer", "changes", "same_lock", "said"),
    [
        (0.031, {"device": "cpu-avx2-2-threads"}, False, "other bits: test WER 0.0310 here, 0.0300 committed"),
        (0.030, {}, False, "Same code and parameters, other bits"),
        (0.035, {"params": "q"}, False, "Other params than committed: test WER 0.0350 here, 0.0300 committed"),
        (0.035, {"params": "q", "code": "k"}, False, "Other params and code than committed"),
    ],
)
def test_other_results_are_explained(wer: float, changes: dict[str, str], same_lock: bool, said: str) -> None:
    here = Result(wer, 0.02, 0.04, 400, {**PROVENANCE, **changes})
    line = comparison(here, COMMITTED, same_lock)
    assert said in line
    assert "\n" not in line


def test_both_devices_are_named_when_only_the_machine_differs() -> None:
    here = Result(0.031, 0.02, 0.04, 400, {**PROVENANCE, "device": "cpu-avx2-2-threads"})
    line = comparison(here, COMMITTED, same_lock=False)
    assert "cpu-avx2-2-threads here, cpu-avx512-2-threads committed" in line
