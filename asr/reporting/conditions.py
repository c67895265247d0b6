"""The fourth figure of a run: how the model does under noise, and how far its confidence can be believed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from asr.reporting.panels import PERCENT
from asr.reporting.style import BLUE, GREEN, LINE, MUTED, ORANGE, VERMILION, new_figure, no_data
from asr.reporting.tables import read_columns, read_numbers

CLEAN = "clean"
COLORS = (BLUE, ORANGE, GREEN, VERMILION)
MARKERS = "osD^"
"""Lines differ by more than colour."""


@dataclass(frozen=True)
class NoiseRow:
    """WER of the same clips in one kind of noise."""

    kind: str
    snr_db: float
    wer: float


@dataclass(frozen=True)
class ConfidenceRow:
    """The words of one range of confidence."""

    confidence: float
    """Mean."""
    accuracy: float
    words: float


def read_noise(path: Path) -> list[NoiseRow]:
    """From `plots/evaluate/noise.tsv`.

    Raises:
        UserError: the table or a column is missing, or a value is no number.
    """
    kinds, ratios, rates = read_columns(path, ("kind", "snr_db", "wer"))
    numbers = zip(kinds, read_numbers(path, ratios), read_numbers(path, rates), strict=True)
    return [NoiseRow(*row) for row in numbers]


def read_calibration(path: Path) -> list[ConfidenceRow]:
    """From `plots/evaluate/calibration.tsv`.

    Raises:
        UserError: the table or a column is missing, or a value is no number.
    """
    columns = [read_numbers(path, cells) for cells in read_columns(path, ("confidence", "accuracy", "words"))]
    return [ConfidenceRow(*row) for row in zip(*columns, strict=True)]


def conditions_figure(noise: Sequence[NoiseRow], calibration: Sequence[ConfidenceRow]) -> Figure:
    """WER over the signal-to-noise ratio, and accuracy over confidence."""
    figure = new_figure(11, 4.2, "Beyond clean clips, beyond one rate")
    left, right = figure.subplots(1, 2, width_ratios=[1.2, 1])
    _draw_noise(left, noise)
    _draw_calibration(right, calibration)
    return figure


def _draw_noise(axes: Axes, rows: Sequence[NoiseRow]) -> None:
    axes.set_title("WER under noise")
    if not rows:
        no_data(axes, "no clips were put to the test")
        return
    kinds = [kind for kind in dict.fromkeys(row.kind for row in rows) if kind != CLEAN]
    for number, kind in enumerate(kinds):
        curve = sorted((row.snr_db, row.wer) for row in rows if row.kind == kind)
        color, marker = COLORS[number % len(COLORS)], MARKERS[number % len(MARKERS)]
        axes.plot(*zip(*curve, strict=True), label=kind, color=color, marker=marker)
    for row in rows:
        if row.kind == CLEAN:
            axes.axhline(row.wer, color=MUTED, linestyle="--", linewidth=1, label=CLEAN)
            break
    axes.yaxis.set_major_formatter(PERCENT)
    axes.set_ylim(bottom=0)
    axes.set_xticks(sorted({row.snr_db for row in rows}))
    axes.set_xlabel("signal to noise, dB")
    axes.legend()


def _draw_calibration(axes: Axes, rows: Sequence[ConfidenceRow]) -> None:
    axes.set_title("Right words by confidence")
    if not rows:
        no_data(axes, "no words were written")
        return
    axes.plot([0, 1], [0, 1], color=LINE, linewidth=1.2)
    axes.plot([row.confidence for row in rows], [row.accuracy for row in rows], "o-", color=BLUE)
    for number, row in enumerate(rows):
        place, above = (row.confidence, row.accuracy), 7 if number % 2 else -15  # neighbours may stand close
        axes.annotate(f"{row.words:,.0f}", place, (0, above), textcoords="offset points", ha="center", color=MUTED)
    axes.set(xlim=(0, 1.03), ylim=(0, 1.12), xlabel="mean confidence\nnumbers: words; line: as right as sure")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PERCENT)
