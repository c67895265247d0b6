"""The result in a few lines of text."""

from asr.reporting.results import Results, SplitResult


def summary(results: Results) -> str:
    """What a reader needs to judge the result: rates, interval, counts, data, normaliser."""
    corpus, train, normalizer = results.corpus, results.train, results.test.normalizer
    rejected = ", ".join(f"{code} {clips}" for code, clips in sorted(corpus.rejected.items()))
    return "\n".join(
        [
            *_split_lines("test", results.test),
            *_split_lines("validation", results.validation),
            f"training    {train.steps:,} steps, {train.seconds_of_audio / 3600:,.2f} h heard; best after step "
            f"{train.best_step:,} (validation WER {_percent(train.best_validation_wer)})",
            f"corpus      {corpus.clips_kept:,} of {corpus.clips_in:,} clips, {corpus.hours_kept:,.2f} h; "
            f"rejected: {rejected or 'none'}",
            f"normaliser  {normalizer.language}, {normalizer.version}, {normalizer.hash}",
        ]
    )


def _split_lines(name: str, split: SplitResult) -> list[str]:
    interval = f"[{100 * split.wer_low:.2f}, {100 * split.wer_high:.2f}]"
    lines = [
        f"{name:<11} WER {_percent(split.wer)} {interval} (95 %, {split.groups:,} groups)  CER {_percent(split.cer)}  "
        f"{split.clips:,} clips, {split.words:,} words",
        f"{'':<11} {split.substitutions:,} substitutions, {split.deletions:,} deletions, {split.insertions:,} "
        f"insertions; with case and punctuation WER {_percent(split.orthographic.wer)}",
    ]
    if split.silence.clips:
        lines.append(
            f"{'':<11} {split.silence.clips_with_output:,} of {split.silence.clips:,} clips without speech "
            f"have output, {split.silence.words_emitted:,} words"
        )
    return lines


def _percent(rate: float) -> str:
    return f"{100 * rate:.2f} %"
