"""A transcript as the rules over texts see it, and how their messages quote it."""

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from asr.corpus.findings import Finding
from asr.text import lower

_WORD = re.compile(r"\w[\w'-]*")
_QUOTED = 40


class Transcript(NamedTuple):
    """One transcript in the three forms that rules look at."""

    raw: str
    """As the source gives it."""
    text: str
    """Cleaned by `asr.text.clean`."""
    words: list[str]
    """Of `text` in lower case; hyphens and apostrophes after its first letter belong to a word."""


Rule = Callable[[Transcript], Finding | None]


def transcript(raw: str, text: str, language: str = "az") -> Transcript:
    """The transcript with its words."""
    return Transcript(raw, text, _WORD.findall(lower(text, language)))


def word_list(block: str) -> frozenset[str]:
    """The words of a block of text, so that long lists stay readable."""
    return frozenset(block.split())


def excerpt(text: str) -> str:
    """The first 40 characters in quotes, unprintable ones as escapes: safe in a line of a log."""
    shown = "".join(character if character.isprintable() else _escaped(character) for character in text[:_QUOTED])
    return f"'{shown}{'...' if len(text) > _QUOTED else ''}'"


def code_points(characters: Iterable[str], most: int = 6) -> str:
    """Different characters with their code points, sorted: `w (U+0077), é (U+00E9)`."""
    found = sorted(set(characters))
    listed = ", ".join(
        f"{character} (U+{ord(character):04X})" if character.isprintable() else f"U+{ord(character):04X}"
        for character in found[:most]
    )
    return f"{listed} and {len(found) - most} more" if len(found) > most else listed


def _escaped(character: str) -> str:
    return f"\\u{ord(character):04x}"
