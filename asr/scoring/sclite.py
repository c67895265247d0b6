"""A report for reading, with what the reports of NIST's sclite hold: counts, groups, words, every error in its line.

The texts are those that were counted: normalised. Sorted and without dates, so that two reports can be compared line
by line.
"""

import statistics
from collections.abc import Iterator, Sequence

from asr.scoring.alignment import AlignedWord, align
from asr.scoring.evaluation import Evaluation
from asr.scoring.groups import NO_GROUP, named
from asr.scoring.sentences import Sentences
from asr.scoring.wer import CorpusScores, Pair, Score
from asr.scoring.word_errors import Confusion, WordCount, WordErrors

MOST = 50
"""Rows of each list of words."""
_MARKS = {"hit": "", "substitution": "S", "deletion": "D", "insertion": "I"}
Numbers = list[float]
_COLUMNS = ("Clips", "Words", "Corr", "Sub", "Del", "Ins", "Err", "S.Err")


def report(pairs: Sequence[Pair], evaluation: Evaluation) -> Iterator[str]:
    """The lines of the report, without line ends.

    Args:
        pairs: the utterances that were evaluated, in the same order.
        evaluation: of `pairs`.
    """
    yield from _summary(evaluation)
    yield from _groups(evaluation)
    yield from _lists(evaluation.word_errors)
    scores = evaluation.scores
    wrong = [i for i, counts in enumerate(scores.utterances) if counts.errors]
    yield from _aligned("Utterances with errors", pairs, scores, [i for i in wrong if scores.utterances[i].words])
    silent = [i for i in wrong if not scores.utterances[i].words]
    yield from _aligned("Clips without speech that got words", pairs, scores, silent)


def _title(text: str) -> Iterator[str]:
    yield from ("", text, "=" * len(text), "")


def _summary(evaluation: Evaluation) -> Iterator[str]:
    total, sentences, silence = evaluation.scores.normalized, evaluation.sentences, evaluation.scores.silence
    title = "Word error rate report"
    yield from (title, "=" * len(title), "")
    yield "Normaliser: " + ", ".join(f"{name} {value}" for name, value in evaluation.normalizer().items())
    yield ""
    yield from _sentence_lines(sentences)
    yield from _word_lines(total, evaluation)
    yield ""
    yield _line("Characters", total.characters)
    yield _line("  errors (CER)", total.character_errors, total.cer)
    yield ""
    yield _line("Clips without speech", silence.clips)
    yield _line("  that got words", silence.clips_with_output)
    yield _line("  words emitted", silence.words_emitted)


def _sentence_lines(sentences: Sentences) -> Iterator[str]:
    yield _line("Sentences", sentences.count)
    for name in ("with_errors", "with_substitutions", "with_deletions", "with_insertions"):
        count = getattr(sentences, name)
        yield _line(f"  {name.replace('_', ' ')}", count, count / sentences.count)
    yield ""


def _word_lines(total: Score, evaluation: Evaluation) -> Iterator[str]:
    compounds, interval = evaluation.compound_splits, evaluation.interval
    yield _line("Reference words", total.words)
    yield _line("  correct", total.hits, total.hits / total.words)
    yield _line("  substitutions", total.substitutions, total.substitutions / total.words)
    yield _line("  deletions", total.deletions, total.deletions / total.words)
    yield _line("  insertions", total.insertions, total.insertions / total.words)
    yield _line("  errors (WER)", total.errors, total.wer)
    yield f"  95 % interval of WER  {_percent(interval.low)} to {_percent(interval.high)} % ({interval.groups} groups)"
    yield _line("  word accuracy", total.words - total.errors, 1 - total.wer)
    yield _line("Hypothesis words", total.hypothesis_words, total.hypothesis_words / total.words)
    yield _line("Aligned words", total.words + total.insertions)
    yield _line("Words written as one", compounds.merged)
    yield _line("Words written apart", compounds.split)


def _line(name: str, count: int, share: float | None = None) -> str:
    return f"{name:<24}{count:>10}" + (f"{_percent(share):>10} %" if share is not None else "")


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"


def _groups(evaluation: Evaluation) -> Iterator[str]:
    """Percent of reference words, and of sentences in the last column."""
    rows = [(group.name, _numbers(group.score, group.sentences)) for group in evaluation.groups]
    sums = _sum_rows(evaluation)
    width = max(len(name) for name, _ in (*rows, *sums))
    yield from _title("By group, in percent")
    yield f"{'Group':<{width}}" + "".join(f"{column:>9}" for column in _COLUMNS)
    yield from (_row(name, numbers, width) for name, numbers in rows)
    yield "-" * (width + 9 * len(_COLUMNS))
    yield from (_row(name, numbers, width) for name, numbers in sums)


def _sum_rows(evaluation: Evaluation) -> list[tuple[str, Numbers]]:
    """The corpus, and over named groups what can be said of as many as there are."""
    rows: list[tuple[str, Numbers]] = [("Sum/Avg", _numbers(evaluation.scores.normalized, evaluation.sentences))]
    found = [_numbers(group.score, group.sentences) for group in named(evaluation.groups)]
    columns = list(zip(*found, strict=True))
    if found:
        rows.append(("Mean", [statistics.fmean(column) for column in columns]))
    if len(found) > 1:
        rows.append(("S.D.", [statistics.stdev(column) for column in columns]))
    if found:
        rows.append(("Median", [statistics.median(column) for column in columns]))
    return rows


def _numbers(score: Score, sentences: Sentences) -> Numbers:
    """In the order of `_COLUMNS`."""
    counts = (score.hits, score.substitutions, score.deletions, score.insertions, score.errors)
    return [score.clips, score.words, *(100 * count / score.words for count in counts), 100 * sentences.ser]


def _row(name: str, numbers: Numbers, width: int) -> str:
    cells = (f"{number:>9}" if isinstance(number, int) else f"{number:>9.1f}" for number in numbers)
    return f"{name:<{width}}" + "".join(cells)


def _lists(errors: WordErrors) -> Iterator[str]:
    yield from _list("Confusion pairs", errors.confusions)
    yield from _list("Inserted words", errors.inserted)
    yield from _list("Deleted words", errors.deleted)
    yield from _list("Substituted words", errors.substituted)
    yield from _list("Falsely recognised words", errors.falsely_recognized)


def _list(title: str, rows: Sequence[Confusion] | Sequence[WordCount]) -> Iterator[str]:
    count = sum(row.count for row in rows)
    yield from _title(f"{title}: {count}, of which {len(rows)} different")
    for row in rows[:MOST]:
        text = f"{row.said} -> {row.written}" if isinstance(row, Confusion) else f"{row.word} (of {row.occurrences})"
        yield f"{row.count:>6}  {text}"
    if len(rows) > MOST:
        yield f"        and {len(rows) - MOST} more"


def _aligned(title: str, pairs: Sequence[Pair], scores: CorpusScores, chosen: Sequence[int]) -> Iterator[str]:
    """The chosen utterances in their order, each with its counts and its words side by side."""
    yield from _title(f"{title}: {len(chosen)}")
    for i in chosen:
        counts = scores.utterances[i]
        kinds = (counts.hits, counts.substitutions, counts.deletions, counts.insertions)
        yield f"{pairs[i].id}  group {pairs[i].group or NO_GROUP}"
        yield "Scores (C S D I): " + " ".join(map(str, kinds))
        yield from _columns(align(scores.references[i], scores.hypotheses[i]))
        yield ""


def _columns(steps: Sequence[AlignedWord]) -> Iterator[str]:
    """Three lines: what was said, what was written, the kind of each error; asterisks stand for a missing word."""
    widths = [max(len(step.reference), len(step.hypothesis)) for step in steps]
    lines = {
        "REF": [step.reference or "*" * len(step.hypothesis) for step in steps],
        "HYP": [step.hypothesis or "*" * len(step.reference) for step in steps],
        "Eval": [_MARKS[step.kind] for step in steps],
    }
    for name, words in lines.items():
        cells = (f"{word:<{width}}" for word, width in zip(words, widths, strict=True))
        yield f"{name + ':':<6}{' '.join(cells)}".rstrip()
