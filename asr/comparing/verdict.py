"""One line on which of two systems is better, and how sure that is."""

from dataclasses import dataclass
from typing import Literal

from asr.comparing.comparison import Comparison
from asr.scoring.paired import PairedTest

LEVEL = 0.05
"""Of MAPSSWE, beside the interval's 95 %."""
FEW_GROUPS = 20
"""Below, an interval over groups is itself uncertain."""


@dataclass(frozen=True)
class Verdict:
    """What a comparison comes to."""

    better: Literal["A", "B"] | None
    """None where the interval of the difference holds zero, or cannot be had."""
    line: str


def verdict(found: Comparison) -> Verdict:
    """The system with fewer word errors, if the 95 % interval of the difference excludes zero."""
    better = _better(found.wer.test)
    opening = {None: "no difference shown", "A": "A is better", "B": "B is better"}[better]
    if not found.changed:
        return Verdict(
            better, f"{opening}: both wrote the same words for all {found.clips} clips, {_rates(found, better)}"
        )
    return Verdict(better, f"{opening}: {_rates(found, better)}, {_evidence(found)}{_remarks(found, better)}")


def percent(rate: float) -> str:
    """A rate as people read it, such as `4.21 %`."""
    return f"{100 * rate:.2f} %"


def points(difference: float) -> str:
    """A difference of rates in percentage points, with its sign; no sign where it rounds to zero."""
    shown = f"{100 * difference:+.2f}"
    return shown if shown.strip("+-0.") else "0.00"


def bounds(test: PairedTest) -> str:
    """The interval of a difference in points, such as `[-1.10, -0.53]`."""
    return f"[{points(test.low)}, {points(test.high)}]"


def chance(p: float) -> str:
    """How a probability under the null hypothesis is written: `p < 0.001` or `p = 0.012`."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _better(test: PairedTest) -> Literal["A", "B"] | None:
    if test.groups < 2:  # one group cannot be resampled: its interval has no width and means nothing
        return None
    if test.high < 0:
        return "B"
    return "A" if test.low > 0 else None


def _rates(found: Comparison, better: str | None) -> str:
    a, b = percent(found.wer.a), percent(found.wer.b)
    if better is None:
        return f"WER A {a}, B {b}"
    return f"WER {b} against {a}" if better == "B" else f"WER {a} against {b}"


def _evidence(found: Comparison) -> str:
    test = found.wer.test
    return (
        f"difference {points(test.difference)} {bounds(test)} points (95 %, {test.groups} groups), "
        f"probability of improvement {100 * test.improvement:.1f} %, MAPSSWE {chance(found.mapsswe.p)}"
    )


def _remarks(found: Comparison, better: str | None) -> str:
    """What a reader must know beside: power, few groups, tests at odds; each led in by a semicolon."""
    test = found.wer.test
    if test.groups < 2:
        return "; one group cannot be resampled, so there is no interval: name speakers or recordings as groups"
    remarks = []
    half_width = (test.high - test.low) / 2
    if better is None and half_width:
        remarks.append(f"a difference of about {points(half_width).lstrip('+')} points would have shown")
    if test.groups < FEW_GROUPS:
        remarks.append(f"with fewer than {FEW_GROUPS} groups the interval is rough")
    if (found.mapsswe.p < LEVEL) != (better is not None):
        remarks.append("the two tests disagree, and the verdict follows the interval")
    return "".join(f"; {remark}" for remark in remarks)
