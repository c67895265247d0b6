"""The clips that are put to the test, and how what is heard in them is judged.

The same clips serve every condition, so that two conditions differ by nothing but the condition.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from asr.corpus.clips import Clips, Utterance
from asr.decoding.generate import Hypothesis
from asr.errors import UserError
from asr.pcm import Pcm16
from asr.robustness.drawing import rank
from asr.scoring.paired import paired_bootstrap
from asr.scoring.wer import Score, corpus_score, score_utterances
from asr.text import Numbers, normalize


class Recogniser(Protocol):
    """What hears clips; `asr.decoding.generate.Transcriber` is one."""

    def transcribe(self, clips: Sequence[Pcm16], title: str, /) -> Sequence[Hypothesis]:
        """One hypothesis a clip, in order; the title names the progress bar."""


@dataclass(frozen=True)
class Heard:
    """The chosen clips as recognised in one condition."""

    scores: tuple[Score, ...]
    """One a clip."""

    @cached_property
    def total(self) -> Score:
        """Over all clips."""
        return corpus_score(self.scores)


@dataclass(frozen=True)
class Material:
    """Clips of a split that have words, with what was said."""

    items: tuple[Utterance, ...]
    clips: tuple[Pcm16, ...]
    references: tuple[str, ...]
    """Normalised."""
    language: str
    numbers: Numbers

    def normalized(self, text: str) -> str:
        """A text as it is compared."""
        return normalize(text, self.language, self.numbers)

    def heard(self, hypotheses: Sequence[Hypothesis]) -> Heard:
        """The hypotheses of all clips, in order, judged."""
        texts = [self.normalized(hypothesis.text) for hypothesis in hypotheses]
        return Heard(tuple(score_utterances(self.references, texts)))

    def as_plain(self, heard: Heard, clean: Heard) -> dict[str, Any]:
        """Rates and counts in one condition, and how far the WER lies from that of the untouched clips."""
        test = paired_bootstrap(
            [score.errors for score in heard.scores],
            [score.errors for score in clean.scores],
            [score.words for score in heard.scores],
            [item.group for item in self.items],
        )
        return {
            **heard.total.as_plain(),
            "wer_difference": test.difference,
            "wer_difference_low": test.low,
            "wer_difference_high": test.high,
        }


def choose(utterances: Sequence[Utterance], clips: Clips, count: int, language: str, numbers: Numbers) -> Material:
    """At most `count` clips with words, in an order that follows from the ids: more clips add to fewer.

    Raises:
        UserError: no clip has a word.
    """
    spoken = [(item, text) for item in utterances if (text := normalize(item.text, language, numbers))]
    if not spoken:
        raise UserError(f"{len(utterances)} clips without a single reference word: nothing to put to the test")
    chosen = sorted(spoken, key=lambda pair: rank("choose", pair[0].id))[:count]
    items, references = zip(*chosen, strict=True)
    return Material(items, tuple(clips[item.id] for item in items), references, language, numbers)
