"""Both systems' texts for the same clips, normalised anew and counted."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress

from asr.comparing.systems import Normalizer
from asr.scoring.wer import Pair, Score, score_utterances
from asr.text import clean, normalize


@dataclass(frozen=True)
class Counted:
    """One system; the tuples run over the clips with speech."""

    texts: tuple[str, ...]
    """Normalised."""
    scores: tuple[Score, ...]
    orthographic: tuple[Score, ...]
    words_on_silence: int
    """Words written for the other clips, in which nothing is said."""


@dataclass(frozen=True)
class Scored:
    """The clips with a word in their normalised reference, and what both systems made of them."""

    clips: tuple[Pair, ...]
    references: tuple[str, ...]
    """Normalised."""
    a: Counted
    b: Counted


def scored(pairs: Sequence[tuple[Pair, Pair]], normalizer: Normalizer) -> Scored:
    """Scores both systems on their matched clips."""
    references = [_normalized(pair.reference, normalizer) for pair, _ in pairs]
    speech = [bool(reference) for reference in references]
    spoken = list(compress(references, speech))
    return Scored(
        tuple(pair for pair, _ in compress(pairs, speech)),
        tuple(spoken),
        _counted([a for a, _ in pairs], spoken, speech, normalizer),
        _counted([b for _, b in pairs], spoken, speech, normalizer),
    )


def _counted(pairs: Sequence[Pair], references: Sequence[str], speech: Sequence[bool], of: Normalizer) -> Counted:
    heard = [_normalized(pair.hypothesis, of) for pair in pairs]
    texts = list(compress(heard, speech))
    spoken = list(compress(pairs, speech))
    as_written = [[clean(text).text for text in (pair.reference, pair.hypothesis)] for pair in spoken]
    return Counted(
        tuple(texts),
        tuple(score_utterances(references, texts)),
        tuple(score_utterances([said for said, _ in as_written], [wrote for _, wrote in as_written])),
        sum(len(text.split()) for text, is_speech in zip(heard, speech, strict=True) if not is_speech),
    )


def _normalized(text: str, normalizer: Normalizer) -> str:
    return normalize(text, normalizer.language, normalizer.numbers)
