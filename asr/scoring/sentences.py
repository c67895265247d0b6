"""How many utterances have an error at all, and of which kinds."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from asr.scoring.wer import Score


@dataclass(frozen=True)
class Sentences:
    """Counts of utterances with reference words; one utterance may have errors of every kind."""

    count: int
    with_errors: int
    with_substitutions: int
    with_deletions: int
    with_insertions: int

    @property
    def ser(self) -> float:
        """Sentence error rate: the share of utterances with an error; 0 without utterances."""
        return self.with_errors / self.count if self.count else 0.0

    def as_plain(self) -> dict[str, Any]:
        """Counts and rate for a metrics file."""
        return {**asdict(self), "ser": self.ser}


def count_sentences(utterances: Sequence[Score]) -> Sentences:
    """Counts over the utterances with reference words; the others have no sentence to get wrong."""
    spoken = [utterance for utterance in utterances if utterance.words]
    return Sentences(
        count=len(spoken),
        with_errors=sum(utterance.errors > 0 for utterance in spoken),
        with_substitutions=sum(utterance.substitutions > 0 for utterance in spoken),
        with_deletions=sum(utterance.deletions > 0 for utterance in spoken),
        with_insertions=sum(utterance.insertions > 0 for utterance in spoken),
    )
