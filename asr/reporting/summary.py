"""The result in a few lines of text."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from asr.reporting.results import Results, SplitResult

NOISE = "snr_10_db"
"""The one ratio that is quoted: speech is well above the noise, and weak models fail already."""


MOST_REASONS = 2
"""Of rejection; `metrics/validate.json` has them all."""


def summary(results: Results, page: Path | None = None) -> str:
    """What a reader needs to judge the result: rates, interval, counts, data, normaliser.

    Args:
        results: all numbers of the run; sections that it lacks are passed over.
        page: where the report stands; None where none was written.
    """
    corpus, train, normalizer = results.corpus, results.train, results.test.normalizer
    return "\n".join(
        [
            *_split_lines("test", results.test),
            *_sentences(results.test),
            *_split_lines("validation", results.validation),
            *_beyond(results.test),
            _line(
                "training",
                f"{train.steps:,} steps, {train.seconds_of_audio / 3600:,.2f} h heard; best after step "
                f"{train.best_step:,} (validation WER {_percent(train.best_validation_wer)})",
            ),
            _line(
                "corpus",
                f"{corpus.clips_kept:,} of {corpus.clips_in:,} clips, {corpus.hours_kept:,.2f} h; "
                f"rejected: {_reasons(corpus.rejected)}",
            ),
            _line("normaliser", f"{normalizer.language}, {normalizer.version}, {normalizer.hash}"),
            *([_line("report", page.as_posix())] if page else []),
        ]
    )


def _reasons(rejected: Mapping[str, int]) -> str:
    """The most frequent ones with their clips, and what the others add up to."""
    ranked = sorted(rejected.items(), key=lambda item: (-item[1], item[0]))
    others = sum(clips for _, clips in ranked[MOST_REASONS:])
    said = [f"{code} {clips:,}" for code, clips in ranked[:MOST_REASONS]]
    return ", ".join([*said, *([f"{others:,} for other reasons"] if others else [])]) or "none"


def _split_lines(name: str, split: SplitResult) -> list[str]:
    lines = [
        _line(
            name,
            f"WER {_percent(split.wer)} {_interval(split.wer_low, split.wer_high)} (95 %, {split.groups:,} groups)  "
            f"CER {_percent(split.cer)}  {split.clips:,} clips, {split.words:,} words",
        ),
        _line(
            "",
            f"{split.substitutions:,} substitutions, {split.deletions:,} deletions, {split.insertions:,} "
            f"insertions; with case and punctuation WER {_percent(split.orthographic.wer)}",
        ),
    ]
    if split.silence.clips:
        lines.append(
            _line(
                "",
                f"{split.silence.clips_with_output:,} of {split.silence.clips:,} clips without speech "
                f"have output, {split.silence.words_emitted:,} words",
            )
        )
    return lines


def _sentences(split: SplitResult) -> Iterator[str]:
    if split.sentences and split.length_ratio is not None:
        yield _line(
            "",
            f"{split.sentences.with_errors:,} of {split.sentences.count:,} sentences have an error "
            f"(SER {_percent(split.sentences.ser)}); words written / said {split.length_ratio:.3f}",
        )


def _beyond(test: SplitResult) -> Iterator[str]:
    """A line for each section that was measured."""
    baseline, sure, loops = test.baseline, test.calibration, test.loops
    if baseline and baseline.skipped:
        yield _line("base model", f"not scored: {baseline.skipped}")
    elif baseline and baseline.wer is not None:
        yield _line("base model", _gain(test))
    if test.noise and "skipped" not in test.noise:
        yield _line("noise", _noise(test.noise))
    if sure and sure.expected_calibration_error is not None:
        ranked = "" if sure.auroc is None else f"; AUROC {sure.auroc:.3f}"
        yield _line("confidence", f"calibration error {_percent(sure.expected_calibration_error)}{ranked}")
    if loops:
        yield _line(
            "loops",
            f"{loops.looping:,} of {loops.clips:,} texts repeat themselves; "
            f"{loops.wer_above_1:,} have more errors than words",
        )


def _gain(test: SplitResult) -> str:
    """The base model's rate, and how far the trained one lies from it."""
    baseline = test.baseline
    assert baseline is not None
    said = f"WER {_percent(baseline.wer or 0)}"
    if baseline.wer_low is not None and baseline.wer_high is not None:
        said += f" {_interval(baseline.wer_low, baseline.wer_high)}"
    if baseline.wer_difference is None or baseline.wer_difference_low is None or baseline.wer_difference_high is None:
        return said
    low, high = 100 * baseline.wer_difference_low, 100 * baseline.wer_difference_high
    return f"{said}; training changed it by {100 * baseline.wer_difference:+.2f} [{low:+.2f}, {high:+.2f}] points"


def _noise(noise: Mapping[str, Mapping[str, Any]]) -> str:
    """The rate without noise and at one ratio of each kind."""
    kinds = [f"{kind} {_percent(found[NOISE]['wer'])}" for kind, found in sorted(noise.items()) if NOISE in found]
    clean = f"{_percent(noise['clean']['wer'])} clean; " if "clean" in noise else ""
    return f"WER {clean}at 10 dB: {', '.join(kinds) or 'not measured'}"


def _line(name: str, content: str) -> str:
    return f"{name:<11} {content}"


def _interval(low: float, high: float) -> str:
    return f"[{100 * low:.2f}, {100 * high:.2f}]"


def _percent(rate: float) -> str:
    return f"{100 * rate:.2f} %"
