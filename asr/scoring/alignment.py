"""Which word of the reference became which word of the hypothesis.

The alignment that `asr.scoring.wer` counts: rapidfuzz's, as jiwer asks for it, with unit costs.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, zip_longest
from typing import Literal

from rapidfuzz.distance import Levenshtein

Kind = Literal["hit", "substitution", "deletion", "insertion"]

_KINDS: dict[str, Kind] = {
    "equal": "hit",
    "replace": "substitution",
    "delete": "deletion",
    "insert": "insertion",
}


@dataclass(frozen=True, slots=True)
class AlignedWord:
    """One step of an alignment."""

    kind: Kind
    reference: str
    """The word that was said; empty for an insertion."""
    hypothesis: str
    """The word that was written; empty for a deletion."""


@dataclass(frozen=True)
class CompoundSplits:
    """Runs of errors that vanish when spaces are ignored: one misplaced space costs up to two word errors.

    A run lies between two hits or ends of the text. Where the number of words stays and only the border
    moved, a run counts for neither.
    """

    merged: int
    """Words written as fewer: `hər gün` as `hərgün`."""
    split: int
    """Words written as more: `hərgün` as `hər gün`."""


def align(reference: str, hypothesis: str) -> tuple[AlignedWord, ...]:
    """The words of two texts, side by side, in order.

    Args:
        reference: what was said, normalised as it is to be counted; words are split at white space.
        hypothesis: what was written, the same.
    """
    said, heard = reference.split(), hypothesis.split()
    steps = []
    for block in Levenshtein.opcodes(said, heard):
        left, right = said[block.src_start : block.src_end], heard[block.dest_start : block.dest_end]
        # Only one side of a block may be empty: that of an insertion or a deletion.
        pairs = zip_longest(left, right, fillvalue="")
        steps += [AlignedWord(_KINDS[block.tag], *words) for words in pairs]
    return tuple(steps)


def compound_splits(alignments: Iterable[tuple[AlignedWord, ...]]) -> CompoundSplits:
    """Counts over the utterances of a corpus."""
    changes = [more for alignment in alignments for more in _words_gained_by_spaces(alignment)]
    return CompoundSplits(merged=sum(more < 0 for more in changes), split=sum(more > 0 for more in changes))


def _words_gained_by_spaces(alignment: tuple[AlignedWord, ...]) -> Iterator[int]:
    """Of each run of errors whose letters are right, how many words more were written than said."""
    for hit, run in groupby(alignment, key=lambda step: step.kind == "hit"):
        steps = [] if hit else list(run)
        said, heard = [s.reference for s in steps if s.reference], [s.hypothesis for s in steps if s.hypothesis]
        if "".join(said) == "".join(heard):
            yield len(heard) - len(said)
