"""Panels that several figures share."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from asr.reporting.results import SplitResult, TrainResult
from asr.reporting.style import BLUE, INK, MUTED, ORANGE, VERMILION, no_data
from asr.reporting.tables import Bars, Curve

PERCENT = FuncFormatter(lambda value, _: f"{100 * value:g} %")
THOUSANDS = FuncFormatter(lambda value, _: f"{value:,.0f}")
FEWEST_ROWS = 6
"""A ranking has room for at least so many, so that a single bar is not a block."""


def count(value: float) -> str:
    """A number of things."""
    return f"{value:,.0f}"


def draw_ranking(
    axes: Axes,
    table: Bars,
    title: str,
    color: str | Sequence[str],
    empty: str,
    rows: int = FEWEST_ROWS,
    written: Callable[[float], str] = count,
) -> None:
    """Horizontal bars from the top down, each with its value and as high as if there were `rows` of them."""
    axes.set_title(title)
    if not table.labels:
        no_data(axes, empty)
        return
    places = np.arange(len(table.labels))
    bars = axes.barh(places, table.values, color=color, height=0.7)
    axes.bar_label(bars, list(map(written, table.values)), padding=3, color=INK)
    axes.set_yticks(places, table.labels)
    axes.set(xlim=(0, (max(table.values) or 1) * 1.3), ylim=(max(rows, len(places)) - 0.4, -0.6))
    axes.spines["left"].set_bounds(-0.5, len(places) - 0.5)
    _only_bars(axes)


def _only_bars(axes: Axes) -> None:
    """No value axis where every bar carries its value."""
    axes.grid(visible=False)
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(bottom=False, labelbottom=False, left=False)


def draw_curve(axes: Axes, curve: Curve, title: str, unit: str, color: str) -> None:
    """A value over optimizer steps, from 0."""
    axes.set_title(title)
    axes.plot(curve.steps, curve.values, color=color)
    axes.set_ylabel(unit)
    axes.set_ylim(bottom=0)


def draw_validation(axes: Axes, curve: Curve, train: TrainResult) -> None:
    """The validation WER over steps, with the best one marked."""
    draw_curve(axes, curve, "Validation WER", "", BLUE)
    axes.lines[0].set_marker("o")
    axes.yaxis.set_major_formatter(PERCENT)
    axes.plot([train.best_step], [train.best_validation_wer], "o", color=VERMILION, zorder=3)
    note = f"best: {percent(train.best_validation_wer)} after step {train.best_step:,}"
    axes.annotate(note, (1, 1), xycoords="axes fraction", ha="right", va="bottom", color=VERMILION)


def draw_wer_by_duration(axes: Axes, table: Bars, clips: Bars, overall: float) -> None:
    """WER by clip length beside that of all clips; `clips` are written on the bars."""
    draw_rates(axes, "WER by clip length", table, clips.values, BLUE)
    axes.axhline(overall, color=VERMILION, linewidth=1, linestyle="--")
    axes.set_xlabel("seconds\nnumbers: clips; dashed line: all clips")


def draw_error_kinds(axes: Axes, split: SplitResult) -> None:
    """Shares of substituted, deleted and inserted words."""
    counts = (split.substitutions, split.deletions, split.insertions)
    shares = Bars(("substituted", "deleted", "inserted"), tuple(count / split.words for count in counts))
    draw_rates(axes, "Errors by kind", shares, counts, ORANGE)
    axes.set_xlabel("share of reference words\nnumbers: words")


def draw_rates(axes: Axes, title: str, rates: Bars, counts: Sequence[float], color: str) -> None:
    """Upright bars of rates, on each the count that it rests on."""
    axes.set_title(title)
    places = np.arange(len(rates.labels))
    bars = axes.bar(places, rates.values, color=color, width=0.66)
    axes.bar_label(bars, [f"{count:,.0f}" for count in counts], padding=2, fontsize=8, color=MUTED)
    axes.set_xticks(places, rates.labels)
    axes.margins(y=0.1)
    axes.yaxis.set_major_formatter(PERCENT)


def percent(rate: float) -> str:
    """A fraction in words."""
    return f"{100 * rate:.1f} %"
