"""Whether words given with 90 % confidence are right nine times in ten.

A word of the hypothesis is right if the alignment that is scored has it as a hit. Confidences belong to words as
decoded, hits to normalised words, so each decoded word is normalised by itself: it may become none (a lone dash) or
several (`5%`), which share its confidence. Where the words normalised one by one are not those of the whole text
normalised, because a rule looked at neighbours, nobody can say which confidence is whose: such clips are left out and
counted.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr.scoring.alignment import align
from asr.scoring.wer import Pair
from asr.text import Numbers, normalize

BINS = 10
"""Of equal width; a confidence on a border belongs to the lower bin."""

TSV_COLUMNS = ("confidence", "accuracy", "words")

Words = Callable[[str], tuple[str, ...]]
"""From text to its normalised words."""


@dataclass(frozen=True)
class Bin:
    """The words of one range of confidence."""

    confidence: float
    """Mean."""
    accuracy: float
    """Share of words that are right."""
    words: int

    def as_row(self) -> tuple[float, float, int]:
        """A row of `plots/evaluate/calibration.tsv`, in the order of `TSV_COLUMNS`."""
        return self.confidence, self.accuracy, self.words


@dataclass(frozen=True)
class Calibration:
    """How far confidences can be believed; figures that need words, or right and wrong ones, are None without."""

    words: int
    """Normalised words of the hypotheses."""
    accuracy: float | None
    """Share of them that are right; deleted words are not seen here."""
    mean_confidence: float | None
    expected_calibration_error: float | None
    """Mean gap between confidence and accuracy over bins, by words (Guo et al. 2017)."""
    brier: float | None
    """Mean square of confidence minus right (1) or wrong (0) (Brier 1950)."""
    auroc: float | None
    """Chance that a right word has more confidence than a wrong one, ties half (Hanley & McNeil 1982)."""
    clips_left_out: int
    """Clips whose words cannot be matched with their confidences."""
    bins: tuple[Bin, ...]
    """From low to high; empty bins are left out."""

    def as_plain(self) -> dict[str, Any]:
        """For a metrics file; the bins have a table of their own."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "bins"}


def calibration(
    pairs: Sequence[Pair], word_confidences: Sequence[Sequence[float]], language: str, numbers: Numbers = "keep"
) -> Calibration:
    """Compares confidences with what is right.

    Args:
        pairs: the clips; those without speech count too, all their words are wrong.
        word_confidences: of the words of `hypothesis.split()` of each clip, 0 to 1.
        language: of the normaliser.
        numbers: whether digits are spelt out.
    """

    @lru_cache(maxsize=1 << 16)  # words come again and again
    def words_of(text: str) -> tuple[str, ...]:
        return tuple(normalize(text, language, numbers).split())

    confidences: list[float] = []
    right: list[bool] = []
    left_out = 0
    for pair, sure in zip(pairs, word_confidences, strict=True):
        judged = _judged(pair, sure, words_of)
        if judged is None:
            left_out += 1
        else:
            confidences += judged[0]
            right += judged[1]
    return _calibration(np.array(confidences, np.float64), np.array(right, np.bool_), left_out)


def _judged(pair: Pair, sure: Sequence[float], words_of: Words) -> tuple[list[float], list[bool]] | None:
    """Confidence of each normalised word of the hypothesis and whether it is right; None if they cannot be matched."""
    decoded = pair.hypothesis.split()
    parts = [words_of(word) for word in decoded]
    heard = words_of(pair.hypothesis)
    if tuple(word for part in parts for word in part) != heard:
        return None
    steps = align(" ".join(words_of(pair.reference)), " ".join(heard))
    confidences = [value for part, value in zip(parts, sure, strict=True) for _ in part]
    return confidences, [step.kind == "hit" for step in steps if step.hypothesis]


def _calibration(confidences: NDArray[np.float64], right: NDArray[np.bool_], left_out: int) -> Calibration:
    assert len(confidences) == len(right), "a confidence a word"
    assert np.all((confidences >= 0) & (confidences <= 1)), "confidences are probabilities"
    if not len(right):
        return Calibration(0, None, None, None, None, None, left_out, ())
    bins = tuple(_bins(confidences, right))
    gaps = sum(part.words * abs(part.accuracy - part.confidence) for part in bins)
    return Calibration(
        words=len(right),
        accuracy=float(right.mean()),
        mean_confidence=float(confidences.mean()),
        expected_calibration_error=gaps / len(right),
        brier=float(np.square(confidences - right).mean()),
        auroc=_auroc(confidences, right),
        clips_left_out=left_out,
        bins=bins,
    )


def _bins(confidences: NDArray[np.float64], right: NDArray[np.bool_]) -> Iterator[Bin]:
    inner = np.arange(1, BINS) / BINS
    places = np.searchsorted(inner, confidences, side="left")
    for place in range(BINS):
        inside = places == place
        if inside.any():
            yield Bin(float(confidences[inside].mean()), float(right[inside].mean()), int(inside.sum()))


def _auroc(confidences: NDArray[np.float64], right: NDArray[np.bool_]) -> float | None:
    """By counting: exact sums of halves; None unless there are right and wrong words."""
    wrong = np.sort(confidences[~right])
    pairs = int(right.sum()) * len(wrong)
    if not pairs:
        return None
    below = np.searchsorted(wrong, confidences[right], side="left").sum()
    not_above = np.searchsorted(wrong, confidences[right], side="right").sum()
    return float(below + not_above) / (2 * pairs)
