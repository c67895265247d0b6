"""Which words and letters are got wrong: the lists that a report of NIST's sclite ends with.

Every list is ranked by count and then by the alphabet of code points, so that it is the same everywhere.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

from asr.scoring.alignment import AlignedWord, align
from asr.scoring.table import Table


@dataclass(frozen=True, slots=True)
class Confusion:
    """One word, or one letter, taken for another."""

    said: str
    written: str
    count: int


@dataclass(frozen=True, slots=True)
class WordCount:
    """How often one word was got wrong in one way."""

    word: str
    count: int
    occurrences: int
    """Of the word on the side where it was counted: in all references, or for inserted and falsely recognised words
    in all hypotheses."""

    @property
    def share(self) -> float:
        """Of its occurrences."""
        return self.count / self.occurrences


@dataclass(frozen=True)
class WordErrors:
    """All word errors of a corpus, most frequent first."""

    confusions: tuple[Confusion, ...]
    """Pairs of words that stand for each other."""
    inserted: tuple[WordCount, ...]
    """Words of hypotheses with no word of the reference beside them."""
    deleted: tuple[WordCount, ...]
    """Words of references that are missing."""
    substituted: tuple[WordCount, ...]
    """Words of references that another word stands for."""
    falsely_recognized: tuple[WordCount, ...]
    """Words of hypotheses that stand for another word."""
    letters: tuple[Confusion, ...]
    """Letters that stand for each other in substituted words that are alike."""

    def tables(self) -> Mapping[str, Table]:
        """The lists by the name of their table, all rows."""
        return {
            "confusions": _confusion_table(self.confusions),
            "inserted": _count_table(self.inserted),
            "deleted": _count_table(self.deleted),
            "substituted": _count_table(self.substituted),
            "letters": _confusion_table(self.letters),
        }


def word_errors(references: Sequence[str], hypotheses: Sequence[str]) -> WordErrors:
    """Aligns every pair of texts and counts what went wrong.

    Args:
        references: what was said, normalised as it is to be counted.
        hypotheses: what was written of the same clips, the same.
    """
    steps = list(_errors(references, hypotheses))
    said, written = (Counter(word for text in texts for word in text.split()) for texts in (references, hypotheses))
    confused = Counter((step.reference, step.hypothesis) for step in steps if step.kind == "substitution")
    return WordErrors(
        confusions=_ranked_pairs(confused),
        inserted=_ranked_words((step.hypothesis for step in steps if step.kind == "insertion"), written),
        deleted=_ranked_words((step.reference for step in steps if step.kind == "deletion"), said),
        substituted=_ranked_words((step.reference for step in steps if step.kind == "substitution"), said),
        falsely_recognized=_ranked_words((step.hypothesis for step in steps if step.kind == "substitution"), written),
        letters=_ranked_pairs(_letters(confused)),
    )


def _errors(references: Sequence[str], hypotheses: Sequence[str]) -> Iterator[AlignedWord]:
    for reference, hypothesis in zip(references, hypotheses, strict=True):
        if reference != hypothesis:
            yield from (step for step in align(reference, hypothesis) if step.kind != "hit")


def _letters(confused: Mapping[tuple[str, str], int]) -> Counter[tuple[str, str]]:
    """Letters in the place of other letters.

    Only words that are alike in half of their letters or more: in `gün` for `dəniz` nothing was misheard letter by
    letter, and chance would pair what is frequent.
    """
    found: Counter[tuple[str, str]] = Counter()
    for (said, written), count in confused.items():
        edits = Levenshtein.editops(said, written)
        if 2 * len(edits) <= max(len(said), len(written)):
            for edit in edits:
                if edit.tag == "replace":
                    found[said[edit.src_pos], written[edit.dest_pos]] += count
    return found


def _ranked_pairs(counts: Mapping[tuple[str, str], int]) -> tuple[Confusion, ...]:
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Confusion(*pair, count) for pair, count in ranked)


def _ranked_words(words: Iterable[str], occurrences: Mapping[str, int]) -> tuple[WordCount, ...]:
    ranked = sorted(Counter(words).items(), key=lambda item: (-item[1], item[0]))
    return tuple(WordCount(word, count, occurrences[word]) for word, count in ranked)


def _confusion_table(confusions: Sequence[Confusion]) -> Table:
    return Table(("said", "written", "count"), tuple((row.said, row.written, row.count) for row in confusions))


def _count_table(words: Sequence[WordCount]) -> Table:
    rows = tuple((row.word, row.count, row.occurrences, row.share) for row in words)
    return Table(("word", "count", "occurrences", "share"), rows)
