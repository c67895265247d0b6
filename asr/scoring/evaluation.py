"""The whole result of one split: rates, interval, slices, silence, and the normaliser that they rest on."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from asr.scoring.intervals import Interval, bootstrap_interval
from asr.scoring.slices import Slice, as_plain, by_duration
from asr.scoring.wer import CorpusScores, Pair, score
from asr.text import NORMALIZER_VERSION, normalizer_hash


@dataclass(frozen=True)
class Evaluation:
    """What `metrics/evaluate.json` says of one split."""

    scores: CorpusScores
    interval: Interval
    """Of the normalised WER."""
    slices: tuple[Slice, ...]
    """By duration."""
    language: str

    def as_plain(self) -> dict[str, Any]:
        """Nested mappings for a metrics file; rates are fractions."""
        return {
            **self.scores.normalized.as_plain(),
            "wer_low": self.interval.low,
            "wer_high": self.interval.high,
            "groups": self.interval.groups,
            "orthographic": self.scores.orthographic.as_plain(),
            "silence": asdict(self.scores.silence),
            "slices": {"duration": as_plain(self.slices)},
            "normalizer": {"language": self.language, "version": NORMALIZER_VERSION, "hash": normalizer_hash()},
        }


def evaluate_pairs(pairs: Sequence[Pair], language: str) -> Evaluation:
    """Scores one split.

    Raises:
        UserError: no pairs, or no reference words.
    """
    scores = score([pair.reference for pair in pairs], [pair.hypothesis for pair in pairs], language)
    spoken = [(pair, counts) for pair, counts in zip(pairs, scores.utterances, strict=True) if counts.words]
    interval = bootstrap_interval(
        [counts.errors for _, counts in spoken],
        [counts.words for _, counts in spoken],
        [pair.group for pair, _ in spoken],
    )
    slices = by_duration([pair.duration for pair in pairs], scores.utterances)
    return Evaluation(scores, interval, tuple(slices), language)
