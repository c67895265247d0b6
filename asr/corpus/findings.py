"""What can be said of a clip, and the corpus by column that the rules of validation look at."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from asr.corpus.codes import ACTIONS, Action
from asr.corpus.index import Index
from asr.text import Cleaned, Numbers, clean, lower, normalize

_PUNCTUATION = ".,!?"
_ORDINARY = re.compile(rf"[A-Za-zÇçƏəĞğİıÖöŞşÜü {_PUNCTUATION}]*")
"""Composed letters, and marks that cleaning leaves alone and scoring turns into spaces where no digit is near."""


@dataclass(frozen=True)
class Finding:
    """Why a clip is not kept, or what is odd about one that is."""

    code: str
    """One of `asr.corpus.codes.ACTIONS`."""
    message: str
    value: float | None = None
    """What was measured, in the unit of `limit`; absent where the rule measures nothing."""
    limit: float | None = None

    @property
    def rejects(self) -> bool:
        """Whether the clip leaves the corpus."""
        return ACTIONS[self.code] is Action.REJECT


@dataclass(frozen=True)
class Corpus:
    """The index with its transcripts repaired; every sequence has an entry a clip, in the order of the ids."""

    index: Index
    texts: Sequence[str]
    """As `data.numbers` says after `asr.text.clean`; empty for a clip that is to be heard as silence."""
    repairs: Sequence[tuple[str, ...]]
    """Codes of what that changed."""
    keys: Sequence[str]
    """`texts` normalised for scoring: what makes two transcripts the same."""
    language: str = "az"
    """Which rules look at the transcripts."""

    def __len__(self) -> int:
        return len(self.texts)


Findings = dict[int, list[Finding]]
"""Findings by place in a `Corpus`."""


def corpus_of(index: Index, language: str, numbers: Numbers = "keep") -> Corpus:
    """The index with its transcripts cleaned, numbers spelt out if asked for, and normalised."""
    cleaned = [cleaned_text(text) for text in index.texts["text"]]
    if numbers == "words":
        cleaned = [spelt_out(label, language) for label in cleaned]
    keys = [key_of(label.text, language) for label in cleaned]
    return Corpus(index, [label.text for label in cleaned], [label.repairs for label in cleaned], keys, language)


def cleaned_text(text: str) -> Cleaned:
    """`asr.text.clean`, in a quarter of its time for the texts that need no repair: nearly all of a good corpus."""
    if _ORDINARY.fullmatch(text) and "  " not in text and text == text.strip():
        return Cleaned(text, ())
    return clean(text)


def spelt_out(label: Cleaned, language: str) -> Cleaned:
    """The label with its numbers as words, and `text.numbers` among its repairs if there were any."""
    from asr.numbers import spell_numbers  # needs num2words, which only this option takes the time to import

    text = spell_numbers(label.text, language)
    return label if text == label.text else Cleaned(text, (*label.repairs, "text.numbers"))


def key_of(text: str, language: str) -> str:
    """`asr.text.normalize`, in a third of its time for texts of Azerbaijani letters and plain punctuation."""
    if language != "az" or not _ORDINARY.fullmatch(text):
        return normalize(text, language)
    text = lower(text, language)
    for mark in _PUNCTUATION:
        text = text.replace(mark, " ")
    return " ".join(text.split())


def collect(findings: Iterable[tuple[int, Finding]]) -> Findings:
    """Findings gathered by clip, in the order given."""
    collected: Findings = {}
    for place, finding in findings:
        collected.setdefault(place, []).append(finding)
    return collected
