"""The whole result of one split: rates, intervals, parts of the corpus, words, silence, and the normaliser beneath."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from asr.scoring.alignment import CompoundSplits, align, compound_splits
from asr.scoring.groups import GroupScore, as_table, by_group, spread
from asr.scoring.intervals import Interval, bootstrap_interval
from asr.scoring.sentences import Sentences, count_sentences
from asr.scoring.slices import Slices, cut
from asr.scoring.table import Table
from asr.scoring.wer import CorpusScores, Pair, Score, TextForm, score
from asr.scoring.word_errors import WordErrors, word_errors
from asr.text import NORMALIZER_VERSION, Numbers, normalizer_hash


@dataclass(frozen=True)
class Evaluation:
    """What `metrics/evaluate.json` and the tables beside it say of one split."""

    scores: CorpusScores
    interval: Interval
    """Of the normalised WER."""
    slices: Slices
    groups: tuple[GroupScore, ...]
    """Highest WER first."""
    language: str
    numbers: Numbers

    @property
    def sentences(self) -> Sentences:
        """Utterances with errors."""
        return count_sentences(self.scores.utterances)

    @cached_property
    def word_errors(self) -> WordErrors:
        """Of the clips with reference words, so that the lists add up to the counts."""
        return word_errors(*self._spoken_texts())

    @property
    def compound_splits(self) -> CompoundSplits:
        """Of the same clips."""
        pairs = zip(*self._spoken_texts(), strict=True)
        return compound_splits(align(said, heard) for said, heard in pairs if said != heard)

    def as_plain(self) -> dict[str, Any]:
        """Nested mappings for a metrics file; rates are fractions."""
        total, published = self.scores.normalized, self.scores.published
        return {
            **total.as_plain(),
            "hits": total.hits,
            "hypothesis_words": total.hypothesis_words,
            "length_ratio": total.hypothesis_words / total.words,
            "wer_low": self.interval.low,
            "wer_high": self.interval.high,
            "groups": self.interval.groups,
            "by_group": asdict(spread(self.groups)),
            "sentences": self.sentences.as_plain(),
            "compound_splits": asdict(self.compound_splits),
            "orthographic": self.scores.orthographic.as_plain(),
            **({"basic": published.as_plain()} if published else {}),
            "silence": asdict(self.scores.silence),
            "slices": self.slices.as_plain(),
            "normalizer": self.normalizer(),
        }

    def normalizer(self) -> dict[str, str]:
        """What the rates rest on: WERs with other values here are not comparable."""
        return {
            "language": self.language,
            "numbers": self.numbers,
            "version": NORMALIZER_VERSION,
            "hash": normalizer_hash(),
        }

    def tables(self) -> Mapping[str, Table]:
        """For `plots/evaluate`, by name; the same names for every corpus."""
        return {**self.slices.tables(), "wer_by_group": as_table(self.groups), **self.word_errors.tables()}

    def _spoken_texts(self) -> tuple[list[str], list[str]]:
        """Normalised references and hypotheses of the clips with reference words."""
        spoken = self.scores.spoken
        return [self.scores.references[i] for i in spoken], [self.scores.hypotheses[i] for i in spoken]


def evaluate_pairs(
    pairs: Sequence[Pair], language: str, numbers: Numbers = "keep", published: TextForm | None = None
) -> Evaluation:
    """Scores one split.

    Args:
        pairs: all utterances of the split, those without speech included.
        language: of the normaliser.
        numbers: of the normaliser.
        published: Whisper's `BasicTextNormalizer`, with which most published figures are computed: adds `basic`.

    Raises:
        UserError: no pairs, or no reference words.
    """
    references, hypotheses = [pair.reference for pair in pairs], [pair.hypothesis for pair in pairs]
    scores = score(references, hypotheses, language, numbers, published)
    utterances = scores.utterances
    return Evaluation(
        scores, _interval(pairs, utterances), cut(pairs, utterances), by_group(pairs, utterances), language, numbers
    )


def _interval(pairs: Sequence[Pair], utterances: Sequence[Score]) -> Interval:
    spoken = [(pair, counts) for pair, counts in zip(pairs, utterances, strict=True) if counts.words]
    return bootstrap_interval(
        [counts.errors for _, counts in spoken],
        [counts.words for _, counts in spoken],
        [pair.group for pair, _ in spoken],
    )
