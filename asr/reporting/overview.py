"""The result on one page: what a table of results would quote, and the curves behind it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from asr.reporting.panels import (
    PERCENT,
    THOUSANDS,
    draw_curve,
    draw_error_kinds,
    draw_validation,
    draw_wer_by_duration,
    percent,
)
from asr.reporting.results import Results, SplitResult
from asr.reporting.style import BLUE, GREEN, INK, MUTED, ORANGE, VERMILION, new_figure, no_data
from asr.reporting.tables import Curve


@dataclass(frozen=True)
class Headline:
    """One number, its name, and what it rests on."""

    value: str
    name: str
    remark: str
    color: str = INK


def summary_figure(results: Results, loss: Curve, validation: Curve) -> Figure:
    """Headline numbers, error rates with intervals, kinds of errors, and how training went.

    Args:
        results: all numbers of the run.
        loss: of training, over optimizer steps.
        validation: WER over optimizer steps.
    """
    figure = new_figure(12, 8.8, "Result")
    # Layouts of their own: the long names in the middle would else push the panels below apart.
    (above,), (middle,), (below,) = figure.subfigures(3, 1, squeeze=False, height_ratios=[1, 1.6, 1.6])
    _cards(above.subplots(), _headlines(results))
    rates, kinds = middle.subplots(1, 2, width_ratios=[2, 1])
    _rates(rates, results)
    draw_error_kinds(kinds, results.test)
    kinds.set_title("Errors by kind, test")
    lengths, losses, validations = below.subplots(1, 3)
    _lengths(lengths, results.test)
    draw_curve(losses, loss, "Training loss", "nats a token", BLUE)
    draw_validation(validations, validation, results.train)
    for axes in (losses, validations):
        axes.set_xlabel("optimizer step")
        axes.set_xlim(left=0)
        axes.xaxis.set_major_formatter(THOUSANDS)
        axes.xaxis.set_major_locator(MaxNLocator(5))
    return figure


def _headlines(results: Results) -> list[Headline]:
    test, corpus, train = results.test, results.corpus, results.train
    errors = test.substitutions + test.deletions + test.insertions
    interval = f"95 % interval {100 * test.wer_low:.1f} to {percent(test.wer_high)}"
    groups = f"{corpus.clips_kept:,} clips kept of {corpus.clips_in:,}"
    return [
        Headline(percent(test.wer), "test WER", interval, BLUE),
        Headline(percent(test.cer), "test CER", f"{errors:,} word errors in {test.words:,}", BLUE),
        _before(test) or Headline(f"{test.clips:,}", "test clips", f"{test.groups:,} speakers or recordings"),
        Headline(f"{train.steps:,}", "training steps", f"{train.seconds_of_audio / 3600:,.1f} h heard"),
        Headline(f"{corpus.hours_kept:,.2f} h", "speech", groups),
    ]


def _before(test: SplitResult) -> Headline | None:
    """The base model, where it was scored."""
    if test.baseline is None or test.baseline.wer is None:
        return None
    return Headline(percent(test.baseline.wer), "WER before training", "the base model, same clips")


def _cards(axes: Axes, headlines: Sequence[Headline]) -> None:
    axes.set_axis_off()
    for index, headline in enumerate(headlines):
        x = index / len(headlines)
        axes.text(x, 0.72, headline.value, fontsize=22, fontweight="bold", color=headline.color, va="center")
        axes.text(x, 0.34, headline.name, fontsize=10.5, va="center")
        axes.text(x, 0.1, headline.remark, fontsize=8.5, color=MUTED, va="center")
    axes.set(xlim=(0, 1), ylim=(0, 1))


def _rates(axes: Axes, results: Results) -> None:
    """A mark a rate, each kind on a level of its own so that equal rates stay apart; the WER with its interval."""
    rows = [("validation", results.validation), ("test", results.test)]
    splits = [split for _, split in rows]
    for y, split in enumerate(splits):
        spread = [[split.wer - split.wer_low], [split.wer_high - split.wer]]
        axes.errorbar([split.wer], [y + 0.27], xerr=spread, fmt="none", ecolor=BLUE, capsize=4)
    _marks(axes, splits, 0.27, lambda split: split.wer, "o", BLUE, "WER, 95 % interval")
    _marks(axes, splits, 0.09, lambda split: split.orthographic.wer, "D", ORANGE, "WER with case and punctuation")
    if all(split.basic for split in splits):
        _marks(axes, splits, -0.09, _basic, "^", VERMILION, "WER under Whisper's normaliser")
    _marks(axes, splits, -0.27, lambda split: split.cer, "s", GREEN, "CER")
    axes.set_yticks(
        range(len(rows)), [f"{name}\n{split.clips:,} clips\n{split.groups:,} groups" for name, split in rows]
    )
    axes.set(ylim=(-0.6, len(rows) - 0.4))
    axes.set_xlim(left=0)
    axes.grid(visible=True, axis="x")
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_formatter(PERCENT)
    axes.set_title("Error rates")
    axes.legend(loc="upper left", bbox_to_anchor=(0, -0.09), ncols=4, fontsize=8, columnspacing=1, handletextpad=0.2)


def _marks(
    axes: Axes,
    splits: Sequence[SplitResult],
    level: float,
    rate: Callable[[SplitResult], float],
    shape: str,
    color: str,
    label: str,
) -> None:
    places = [y + level for y in range(len(splits))]
    axes.plot([rate(split) for split in splits], places, shape, color=color, label=label)


def _basic(split: SplitResult) -> float:
    assert split.basic is not None
    return split.basic.wer


def _lengths(axes: Axes, test: SplitResult) -> None:
    rates, clips = test.by_duration
    if not rates.labels:
        axes.set_title("WER by clip length")
        no_data(axes, "not measured")
        return
    draw_wer_by_duration(axes, rates, clips, test.wer)
