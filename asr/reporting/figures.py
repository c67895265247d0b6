"""The four figures of a run: corpus, training, evaluation, summary."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from asr.reporting.results import Bars, CorpusResult, Curve, Results, SplitResult, TrainResult
from asr.reporting.style import BLUE, GREEN, INK, MUTED, ORANGE, VERMILION, new_figure, no_data

_PERCENT = FuncFormatter(lambda value, _: f"{100 * value:g} %")
_THOUSANDS = FuncFormatter(lambda value, _: f"{value:,.0f}")
_SHORT = FuncFormatter(lambda value, _: f"{value:g}")


def corpus_figure(corpus: CorpusResult, durations: Bars, lengths: Bars, rejected: Bars) -> Figure:
    """Distributions of the kept clips, and why the others were rejected."""
    title = f"Corpus: {corpus.clips_kept:,} clips kept of {corpus.clips_in:,}, {corpus.hours_kept:,.2f} h"
    figure = new_figure(11, 4.2, title)
    left, middle, right = figure.subplots(1, 3, width_ratios=[1, 1, 1.15])
    _histogram(left, durations, "Clip length", "seconds")
    _histogram(middle, lengths, "Transcript length", "characters")
    _ranking(right, rejected, "Rejected clips by reason", VERMILION, "nothing was rejected")
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


def _histogram(axes: Axes, table: Bars, title: str, unit: str) -> None:
    """Bars between the borders in labels such as `2.0-2.5`."""
    axes.set_title(title)
    lows = [float(label.split("-")[0]) for label in table.labels]
    width = lows[1] - lows[0] if len(lows) > 1 else 1.0
    axes.bar(lows, table.values, width=width * 0.92, align="edge", color=BLUE)
    axes.set(xlabel=unit, ylabel="clips")
    axes.yaxis.set_major_formatter(_THOUSANDS)
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))


def _ranking(axes: Axes, table: Bars, title: str, color: str, empty: str) -> None:
    """Horizontal bars, the largest on top, each with its count."""
    axes.set_title(title)
    if not table.labels:
        no_data(axes, empty)
        return
    places = np.arange(len(table.labels))
    bars = axes.barh(places, table.values, color=color, height=0.7)
    axes.bar_label(bars, [f"{value:,.0f}" for value in table.values], padding=3, color=INK)
    axes.set_yticks(places, table.labels)
    axes.invert_yaxis()
    _only_bars(axes)
    axes.margins(x=0.12)


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
