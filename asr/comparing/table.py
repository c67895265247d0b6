"""A comparison as text for a terminal, at most `WIDTH` columns wide behind the verdict line."""

import textwrap
from collections.abc import Iterator

from asr.comparing.comparison import Change, Comparison, Measure, Part, Totals
from asr.comparing.verdict import bounds, chance, percent, points, verdict

WIDTH = 120
_NAME = 30
_CELL = 12


def render(found: Comparison) -> str:
    """The verdict on the first line, then the figures, the clips that changed, and LF at the end of each line."""
    parts = (
        [verdict(found).line],
        _head(found),
        _rates(found),
        _counts(found.a_totals, found.b_totals),
        _slices(found.slices),
        _tests(found),
        _changes(found),
    )
    return "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"


def _head(found: Comparison) -> list[str]:
    of = found.normalizer
    return [
        _cut(f"A: {found.a}"),
        _cut(f"B: {found.b}"),
        f"{found.clips} clips with speech, {found.words} words, {found.wer.test.groups} groups; "
        f"{found.silent_clips} clips without speech",
        _cut(f"normaliser {of.version} ({of.hash}), language {of.language}, numbers {of.numbers}"),
    ]


def _rates(found: Comparison) -> list[str]:
    measures = {
        "WER": found.wer,
        "CER": found.cer,
        "WER, case and punctuation kept": found.orthographic,
        "SER, clips with an error": found.ser,
    }
    return [f"{'':{_NAME}}{_HEADINGS}", *(f"{name:{_NAME}}{_cells(measure)}" for name, measure in measures.items())]


_HEADINGS = f"{'A':>{_CELL}}{'B':>{_CELL}}{'B - A':>{_CELL}}{'95 % interval':>20}{'B has fewer':>14}"


def _cells(measure: Measure) -> str:
    test = measure.test
    return (
        f"{percent(measure.a):>{_CELL}}{percent(measure.b):>{_CELL}}{points(test.difference):>{_CELL}}"
        f"{bounds(test) if test.groups > 1 else 'one group':>20}{f'{100 * test.improvement:.1f} %':>14}"
    )


def _counts(a: Totals, b: Totals) -> list[str]:
    rows = {
        "substitutions": (a.substitutions, b.substitutions),
        "deletions": (a.deletions, b.deletions),
        "insertions": (a.insertions, b.insertions),
        "words written without speech": (a.words_on_silence, b.words_on_silence),
    }
    counts = [f"{name:{_NAME}}{x:>{_CELL}}{y:>{_CELL}}{_signed(y - x):>{_CELL}}" for name, (x, y) in rows.items()]
    x, y = a.length_ratio, b.length_ratio
    return [*counts, f"{'words written for a word said':{_NAME}}{x:>{_CELL}.3f}{y:>{_CELL}.3f}{y - x:>+{_CELL}.3f}"]


def _signed(difference: int) -> str:
    return f"{difference:+}" if difference else "0"


def _slices(slices: tuple[Part, ...]) -> list[str]:
    heading = f"{'WER by seconds':<16}{'clips':>6}{'words':>8}{_HEADINGS}"
    return [heading, *(f"{part.seconds:<16}{part.clips:>6}{part.words:>8}{_cells(part.wer)}" for part in slices)]


def _tests(found: Comparison) -> list[str]:
    alone, pairs = found.sentences, found.mapsswe
    return [
        f"Clips right in one system alone: {alone.fixed} in B (fixed), {alone.broken} in A (broken); "
        f"McNemar {chance(alone.p)}",
        f"MAPSSWE over {pairs.segments} segments in which either errs: {chance(pairs.p)}",
    ]


def _changes(found: Comparison) -> list[str]:
    shown = found.most_changed
    head = f"Clips with other words: {found.changed}"
    if found.changed > len(shown):
        head += f"; the {len(shown)} whose errors differ most"
    return [head, *(line for change in shown for line in _change(change))]


def _change(change: Change) -> Iterator[str]:
    yield _cut(f"  {change.a_errors} -> {change.b_errors} errors in {change.words} words: {change.id}")
    for name, text in (("said", change.reference), ("A", change.a), ("B", change.b)):
        yield from textwrap.wrap(text or "(nothing)", WIDTH, initial_indent=f"    {name:6}", subsequent_indent=" " * 10)


def _cut(line: str) -> str:
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"
