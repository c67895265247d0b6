"""The four figures of a run: corpus, training, evaluation, summary."""

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from asr.reporting.results import Bars, CorpusResult, CorpusTables, Curve, Results, SplitResult, TrainResult
from asr.reporting.style import BLUE, GREEN, INK, MUTED, ORANGE, VERMILION, new_figure, no_data

_PERCENT = FuncFormatter(lambda value, _: f"{100 * value:g} %")
_THOUSANDS = FuncFormatter(lambda value, _: f"{value:,.0f}")
_SHORT = FuncFormatter(lambda value, _: f"{value:g}")
MOST_REASONS = 13
"""Rows of a ranking; more would not be read."""
FEWEST_ROWS = 6
"""A ranking has room for at least so many, so that a single bar is not a block."""
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
    _ranking(panels[0], hours, lengths, colors, "", rows, _length)
    _ranking(panels[1], _readable(tables.groups), "Groups by their clips", GREEN, "no groups", rows)
    _ranking(panels[2], rejected, "Rejected clips by reason", VERMILION, "nothing was rejected", rows)
    _ranking(panels[3], warned, "Kept with a warning", ORANGE, "nothing was warned of", rows)
    return figure


def training_figure(
    train: TrainResult, loss: Curve, ctc_loss: Curve, rate: Curve, norm: Curve, validation: Curve
) -> Figure:
    """What happened over the optimizer steps."""
    figure = new_figure(11, 6.4, f"Training: {train.steps:,} steps on {train.seconds_of_audio / 3600:,.1f} h of audio")
    (top_left, top_right), (bottom_left, bottom_right) = figure.subplots(2, 2, sharex=True)
    _curve(top_left, loss, "Loss", "nats a token", BLUE)
    top_left.lines[0].set_label("cross-entropy")
    if any(ctc_loss.values):
        top_left.plot(ctc_loss.steps, ctc_loss.values, color=ORANGE, label="CTC")
        top_left.legend()
    _validation(top_right, validation, train)
    _curve(bottom_left, rate, "Learning rate", "", GREEN)
    bottom_left.yaxis.set_major_formatter(_SHORT)
    bottom_left.yaxis.set_major_locator(MaxNLocator(5))
    _curve(bottom_right, norm, "Gradient norm before clipping", "", MUTED)
    for axes in (bottom_left, bottom_right):
        axes.set_xlabel("optimizer step")
        axes.xaxis.set_major_formatter(_THOUSANDS)
    return figure


def evaluation_figure(test: SplitResult, by_duration: Bars, clips: Bars, confusions: Bars) -> Figure:
    """Where the errors of the test split lie."""
    figure = new_figure(11, 4.2, f"Test: {_percent(test.wer)} WER over {test.words:,} words in {test.clips:,} clips")
    left, middle, right = figure.subplots(1, 3, width_ratios=[1.15, 0.9, 1.15])
    _wer_bars(left, by_duration, clips, test.wer)
    _error_kinds(middle, test)
    _ranking(right, confusions, "Most frequent word confusions", ORANGE, "no word was taken for another")
    return figure


def summary_figure(results: Results) -> Figure:
    """The result on one page: the numbers that a table of results would quote."""
    figure = new_figure(11, 4.6, "Result")
    cards, rates = figure.subplots(2, 1, height_ratios=[1, 1.5])
    _cards(cards, _headlines(results))
    _rates(rates, results)
    return figure


def _headlines(results: Results) -> list[tuple[str, str, str]]:
    """Value, name and remark of each headline number."""
    test, corpus, train = results.test, results.corpus, results.train
    errors = test.substitutions + test.deletions + test.insertions
    return [
        (_percent(test.wer), "test WER", f"95 % interval {100 * test.wer_low:.1f} to {_percent(test.wer_high)}"),
        (_percent(test.cer), "test CER", f"{errors:,} word errors in {test.words:,} words"),
        (f"{train.steps:,}", "training steps", f"best on validation after {train.best_step:,}"),
        (
            f"{corpus.hours_kept:,.2f} h",
            "speech",
            f"{corpus.clips_kept:,} clips kept of {corpus.clips_in:,}",
        ),
    ]


def _cards(axes: Axes, headlines: Sequence[tuple[str, str, str]]) -> None:
    axes.set_axis_off()
    for index, (value, name, remark) in enumerate(headlines):
        x = index / len(headlines)
        axes.text(x, 0.72, value, fontsize=22, fontweight="bold", color=BLUE if index < 2 else INK, va="center")
        axes.text(x, 0.34, name, fontsize=10.5, va="center")
        axes.text(x, 0.1, remark, fontsize=8.5, color=MUTED, va="center")
    axes.set(xlim=(0, 1), ylim=(0, 1))


def _rates(axes: Axes, results: Results) -> None:
    """A dot a rate; the WER on normalised texts with its interval."""
    rows = [("validation", results.validation), ("test", results.test)]
    for y, (_, split) in enumerate(rows):
        spread = [[split.wer - split.wer_low], [split.wer_high - split.wer]]
        axes.errorbar([split.wer], [y], xerr=spread, fmt="none", ecolor=BLUE, capsize=4)
    places = range(len(rows))
    axes.plot([split.wer for _, split in rows], places, "o", color=BLUE, label="WER, 95 % interval")
    orthographic = [split.orthographic.wer for _, split in rows]
    axes.plot(orthographic, places, "D", mfc="none", ms=8, color=ORANGE, label="WER with case and punctuation")
    axes.plot([split.cer for _, split in rows], places, "s", color=GREEN, label="CER")
    axes.set_yticks(places, [f"{name}\n{split.clips:,} clips, {split.groups:,} groups" for name, split in rows])
    axes.set(ylim=(-0.6, len(rows) - 0.4), xlabel="error rate")
    axes.set_xlim(left=0)
    axes.grid(visible=True, axis="both")
    axes.xaxis.set_major_formatter(_PERCENT)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3)


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
    axes.yaxis.set_major_formatter(_THOUSANDS)
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


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _ranking(
    axes: Axes,
    table: Bars,
    title: str,
    color: str | Sequence[str],
    empty: str,
    rows: int = FEWEST_ROWS,
    written: Callable[[float], str] = _count,
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


def _curve(axes: Axes, curve: Curve, title: str, unit: str, color: str) -> None:
    axes.set_title(title)
    axes.plot(curve.steps, curve.values, color=color)
    axes.set_ylabel(unit)
    axes.set_ylim(bottom=0)


def _validation(axes: Axes, curve: Curve, train: TrainResult) -> None:
    _curve(axes, curve, "Validation WER", "", BLUE)
    axes.lines[0].set_marker("o")
    axes.yaxis.set_major_formatter(_PERCENT)
    axes.plot([train.best_step], [train.best_validation_wer], "o", color=VERMILION, zorder=3)
    note = f"best: {_percent(train.best_validation_wer)} after step {train.best_step:,}"
    axes.annotate(note, (1, 1), xycoords="axes fraction", ha="right", va="bottom", color=VERMILION)


def _wer_bars(axes: Axes, table: Bars, clips: Bars, overall: float) -> None:
    _rate_bars(axes, "WER by clip length", table, clips.values, BLUE)
    axes.axhline(overall, color=VERMILION, linewidth=1, linestyle="--")
    axes.set_xlabel("seconds\nnumbers: clips; dashed line: all clips")


def _error_kinds(axes: Axes, split: SplitResult) -> None:
    counts = (split.substitutions, split.deletions, split.insertions)
    shares = Bars(("substituted", "deleted", "inserted"), tuple(count / split.words for count in counts))
    _rate_bars(axes, "Errors by kind", shares, counts, ORANGE)
    axes.set_xlabel("share of reference words\nnumbers: words")


def _rate_bars(axes: Axes, title: str, rates: Bars, counts: Sequence[float], color: str) -> None:
    axes.set_title(title)
    places = np.arange(len(rates.labels))
    bars = axes.bar(places, rates.values, color=color, width=0.66)
    axes.bar_label(bars, [f"{count:,.0f}" for count in counts], padding=2, fontsize=8, color=MUTED)
    axes.set_xticks(places, rates.labels)
    axes.margins(y=0.1)
    axes.yaxis.set_major_formatter(_PERCENT)


def _percent(rate: float) -> str:
    return f"{100 * rate:.1f} %"
