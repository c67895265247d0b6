"""Letter case of the languages that the repository knows: which small letter belongs to which capital.

Python's own `lower` and `upper` follow English: they turn I into i and İ into two code points, so that
`İstanbul` falls apart and `IŞIQ` becomes another word.
"""

import re
import unicodedata
from typing import Literal, get_args

from asr.errors import UserError

Language = Literal["az", "tr", "kk", "uz", "ky", "tk"]
"""Azerbaijani, Turkish, Kazakh, Uzbek, Kyrgyz, Turkmen (ISO 639-1)."""

LANGUAGES: tuple[Language, ...] = get_args(Language)
TWO_I_LANGUAGES = frozenset({"az", "tr", "kk"})
"""Languages that write I/ı and İ/i; Kazakh in its Latin alphabet of 2021, while Cyrillic І/і needs no rule."""
CASE_PAIRS = (("I", "ı"), ("İ", "i"))
"""Their capital and small letters that Python pairs otherwise."""

DOT_ABOVE = "\u0307"
"""Python's `"İ".lower()` leaves this combining mark behind; no normal form removes it."""
STRAY_DOTS = re.compile(f"[iı]{DOT_ABOVE}+")
_KNOWN = frozenset(LANGUAGES)


def check_language(language: str) -> None:
    """Nothing, for a language that has rules.

    Raises:
        UserError: the language has none.
    """
    if language not in _KNOWN:
        raise UserError(f"language {language!r} has no normaliser: choose one of {', '.join(LANGUAGES)}")


def lower(text: str, language: str = "az") -> str:
    """Lower case as `language` has it, composed (NFC).

    Composed before as well: in decomposed text the dot of İ stands apart from its I.

    Raises:
        UserError: the language has no rules.
    """
    check_language(language)
    text = unicodedata.normalize("NFC", text)
    if language in TWO_I_LANGUAGES:
        for capital, small in CASE_PAIRS:
            text = text.replace(capital, small)
    return undotted(text.lower())


def upper(text: str, language: str = "az") -> str:
    """Upper case as `language` has it, composed (NFC).

    Raises:
        UserError: the language has no rules.
    """
    check_language(language)
    text = unicodedata.normalize("NFC", text)
    if language in TWO_I_LANGUAGES:
        for capital, small in CASE_PAIRS:
            text = text.replace(small, capital)
    return text.upper()


def undotted(text: str) -> str:
    """Composed text without stray dots above i; a letter freed of its dot may combine with the mark after it."""
    return unicodedata.normalize("NFC", STRAY_DOTS.sub("i", text) if DOT_ABOVE in text else text)
