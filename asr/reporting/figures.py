"""Three figures of a run: corpus, training, evaluation; `asr.reporting.overview` draws the fourth, the summary."""

import re
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from asr.reporting.panels import (
    FEWEST_ROWS,
    THOUSANDS,
    draw_curve,
    draw_error_kinds,
    draw_ranking,
    draw_validation,
    draw_wer_by_duration,
    percent,
)
from asr.reporting.results import CorpusResult, SplitResult, TrainResult
from asr.reporting.style import BLUE, GREEN, MUTED, ORANGE, VERMILION, new_figure, no_data
from asr.reporting.tables import Bars, CorpusTables, Curve

_SHORT = FuncFormatter(lambda value, _: f"{value:g}")
MOST_REASONS = 13
"""Rows of a ranking; more would not be read."""
MOST_SOURCES = 8
MOST_LETTERS = 22
"""Of a source's name."""


def corpus_figure(corpus: CorpusResult, tables: CorpusTables) -> Figure:
    """Above, distributions of the kept clips; below, how they divide, and why clips were rejected or warned of."""
    title = f"Corpus: {corpus.clips_kept:,} clips kept of {corpus.clips_in:,}, {corpus.hours_kept:,.2f} h"
    hours = _hours(corpus, tables.sources)
    rejected, warned = _most(tables.rejected, MOST_REASONS), _most(tables.warned, MOST_REASONS)
    # Bars are equally thick in all panels below, however many there are.
    rows = max(FEWEST_ROWS, *(len(table.labels) for table in (hours, tables.groups, rejected, warned)))
    heights = (3.8, 0.9 + 0.28 * rows)
    figure = new_figure(15, sum(heights), title)
    # Two layouts: the long names below would else push the panels above apart.
    (above,), (below,) = figure.subfigures(2, 1, squeeze=False, height_ratios=heights)
    _distributions(above.subplots(1, 4), corpus.quantiles, tables)
    panels = below.subplots(1, 4)
    colors = [BLUE if label in vars(corpus.splits) else GREEN for label in hours.labels]
    lengths = f"Length by split{' and source' if GREEN in colors else ''}"
    draw_ranking(panels[0], hours, lengths, colors, "", rows, _length)
    draw_ranking(panels[1], _readable(tables.groups), "Groups by their clips", GREEN, "no groups", rows)
    draw_ranking(panels[2], rejected, "Rejected clips by reason", VERMILION, "nothing was rejected", rows)
    draw_ranking(panels[3], warned, "Kept with a warning", ORANGE, "nothing was warned of", rows)
    return figure


def training_figure(
    train: TrainResult, loss: Curve, ctc_loss: Curve, rate: Curve, norm: Curve, validation: Curve
) -> Figure:
    """What happened over the optimizer steps."""
    figure = new_figure(11, 6.4, f"Training: {train.steps:,} steps on {train.seconds_of_audio / 3600:,.1f} h of audio")
    (top_left, top_right), (bottom_left, bottom_right) = figure.subplots(2, 2, sharex=True)
    draw_curve(top_left, loss, "Loss", "nats a token", BLUE)
    top_left.lines[0].set_label("cross-entropy")
    if any(ctc_loss.values):
        top_left.plot(ctc_loss.steps, ctc_loss.values, color=ORANGE, label="CTC")
        top_left.legend()
    draw_validation(top_right, validation, train)
    draw_curve(bottom_left, rate, "Learning rate", "", GREEN)
    bottom_left.yaxis.set_major_formatter(_SHORT)
    bottom_left.yaxis.set_major_locator(MaxNLocator(5))
    draw_curve(bottom_right, norm, "Gradient norm before clipping", "", MUTED)
    for axes in (bottom_left, bottom_right):
        axes.set_xlabel("optimizer step")
        axes.xaxis.set_major_formatter(THOUSANDS)
    return figure


def evaluation_figure(test: SplitResult, by_duration: Bars, clips: Bars, confusions: Bars) -> Figure:
    """Where the errors of the test split lie."""
    figure = new_figure(11, 4.2, f"Test: {percent(test.wer)} WER over {test.words:,} words in {test.clips:,} clips")
    left, middle, right = figure.subplots(1, 3, width_ratios=[1.15, 0.9, 1.15])
    draw_wer_by_duration(left, by_duration, clips, test.wer)
    draw_error_kinds(middle, test)
    draw_ranking(right, confusions, "Most frequent word confusions", ORANGE, "no word was taken for another")
    return figure


def _distributions(panels: Sequence[Axes], quantiles: Mapping[str, Mapping[str, float]], tables: CorpusTables) -> None:
    rates = tables.characters_per_second
    _histogram(panels[0], tables.durations, "Clip length", "seconds", quantiles.get("duration"))
    _histogram(panels[1], tables.text_lengths, "Transcript length", "characters")
    _histogram(panels[2], rates, "Speaking rate", "characters a second", quantiles.get("characters_per_second"))
    _histogram(panels[3], tables.snr, "Signal to noise", "dB", quantiles.get("snr_db"))


def _histogram(axes: Axes, table: Bars, title: str, unit: str, quantiles: Mapping[str, float] | None = None) -> None:
    """Bars between the borders in labels such as `02.0-02.5`; a label such as `30+` is an open end, drawn grey."""
    axes.set_title(title)
    if not any(table.values):
        no_data(axes, "no clip with a text")
        return
    borders = [[float(border) for border in label.rstrip("+").split("-")] for label in table.labels]
    lows = [border[0] for border in borders]
    width = lows[1] - lows[0] if len(lows) > 1 else borders[0][-1] - lows[0]
    colors = [MUTED if label.endswith("+") else BLUE for label in table.labels]
    axes.bar(lows, table.values, width=width * 0.92, align="edge", color=colors)
    remarks = [unit]
    if quantiles:
        remarks.append(f"median {quantiles['p50']:.1f}; 98 % within {quantiles['p1']:.1f} to {quantiles['p99']:.1f}")
    if MUTED in colors:
        remarks.append(f"grey: {lows[-1]:g} and more")
    axes.set(xlabel="\n".join(remarks), ylabel="clips")
    axes.yaxis.set_major_formatter(THOUSANDS)
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))


def _hours(corpus: CorpusResult, sources: Bars) -> Bars:
    """Hours of the splits, and of the sources where there are several."""
    shown = _most(sources, MOST_SOURCES) if len(sources.labels) > 1 else Bars((), ())
    splits = {name: size.hours for name, size in vars(corpus.splits).items()}
    return Bars((*splits, *map(_shortened, shown.labels)), (*splits.values(), *shown.values))


def _readable(groups: Bars) -> Bars:
    """Labels such as `00010-00019` without the zeros that they need to be sorted by name."""
    labels = (re.sub(r"\b0+(?=\d)", "", label).replace("-", " to ") for label in groups.labels)
    return Bars(tuple(labels), groups.values)


def _most(table: Bars, most: int) -> Bars:
    """The first rows of a long ranking, and the others as one."""
    if len(table.labels) <= most:
        return table
    shown = most - 1
    others = f"{len(table.labels) - shown} others"
    return Bars((*table.labels[:shown], others), (*table.values[:shown], sum(table.values[shown:])))


def _shortened(name: str) -> str:
    """A name that fits beside a bar; its end tells data sets of one owner apart."""
    return name if len(name) <= MOST_LETTERS else f"{name[:7]}…{name[8 - MOST_LETTERS :]}"


def _length(hours: float) -> str:
    return f"{hours:,.2f} h" if hours >= 0.1 else f"{hours * 60:.1f} min"
