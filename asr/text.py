"""Turkic orthography: the one module that repairs labels and normalises text for scoring.

`clean` keeps the orthography and mends how it is typed; `normalize` also removes what scoring must
not count. Both are idempotent. `docs/normaliser.md` shows every rule with an example.

Rules of `normalize`, each of them one choice among several (numbers are in the tests):

* case: as the language has it (`asr.casing`); Azerbaijani I -> ı, İ -> i;
* apostrophes are dropped and the parts join (`Bakı'da` -> `bakıda`, `mə'na` -> `məna`), because today's
  orthography writes such words without one and both habits occur; in Uzbek they stay, since oʻ and gʻ are
  letters and the tutuq belongs to the word (`sanʼat`);
* a hyphen between two characters stays (`2021-ci`, `ilk-dəfə`): a space would make two words, and
  joining would make 35 of 3-5; other hyphens and dashes become a space;
* `, . : /` between two digits stay (`3,5`, `14:30`);
* signs that are read aloud (`%`, `₼`, ...) stay as words of their own (`5%` -> `5 %`);
* all other punctuation, symbols and brackets become a space; the words inside brackets stay;
* `numbers="words"` spells out digits and signs first (`asr.numbers`): `5%` -> `beş faiz`.
"""

import hashlib
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from asr import numbers as number_rules
from asr.casing import CASE_PAIRS, STRAY_DOTS, TWO_I_LANGUAGES, Language, check_language, lower, undotted, upper

__all__ = [
    "NORMALIZER_VERSION",
    "Cleaned",
    "Language",
    "Numbers",
    "clean",
    "lower",
    "normalize",
    "normalizer_hash",
    "upper",
]

Numbers = Literal["keep", "words"]
"""What becomes of digits and of signs such as %: kept, or spelt out as words."""

NORMALIZER_VERSION = "turkic-2"
"""Raised whenever a rule changes what `normalize` returns: WERs of two versions are not comparable."""

_SCHWAS = {"\u04d9": "ə", "\u04d8": "Ə", "\u01dd": "ə", "\u018e": "Ə"}
"""Cyrillic schwa and Latin turned e, each small and capital: they look like ə and never equal it."""
_PUNCTUATION_FORMS = {
    **dict.fromkeys("\u2018\u2019\u201b\u02bb\u02bc\uff07`\u00b4", "'"),
    **dict.fromkeys("\u2010\u2011", "-"),
}
_SPOKEN_SIGNS = "%‰₼$€£₽₺+=°№&@"
_DIGIT_SIGNS = ",.:/"

_WORD = re.compile(r"(?:[^\W\d_]|['\u0300-\u036f])+")
"""Letters, their marks and apostrophes: what is still one word when scoring has dropped the apostrophes."""
_ODD_PUNCTUATION = re.compile(f"[{''.join(_PUNCTUATION_FORMS)}]")
_LOOSE_DIGIT_SIGN = re.compile(rf"[{_DIGIT_SIGNS}](?:(?!\d)|(?<!\d.))")
_LOOSE_APOSTROPHE = re.compile(r"(?<![oOgG])'(?:(?<![^\W\d_]')|(?![^\W\d_]))")
"""In Uzbek: neither part of oʻ or gʻ nor between two letters."""
_LOOK_ALIKE = re.compile(f"[{''.join(_SCHWAS)}]")
_LOOSE_HYPHEN = re.compile(r"(?<!\S)-+|-+(?!\S)|--+")


@dataclass(frozen=True)
class Cleaned:
    """A label after repair, and the codes of the repairs (`docs/bad-data.md`) in a fixed order."""

    text: str
    repairs: tuple[str, ...]


class _Table(dict[int, str]):
    """A table for `str.translate` that is filled as characters turn up."""

    def __init__(self, replacement: Callable[[str], str]) -> None:
        super().__init__()
        self._replacement = replacement

    def __missing__(self, code_point: int) -> str:
        self[code_point] = self._replacement(chr(code_point))
        return self[code_point]


def _visible(character: str) -> str:
    """Empty for format characters: zero-width space, soft hyphen, byte-order and direction marks."""
    return "" if unicodedata.category(character) == "Cf" else character


def _scored(character: str) -> str:
    """What scoring sees of one character of cleaned text.

    `-` and `, . : /` are judged by their neighbours; an apostrophe that has come this far is Uzbek.
    """
    if character in _SPOKEN_SIGNS:
        return f" {character} "
    if character in "-'" or character in _DIGIT_SIGNS or unicodedata.category(character)[0] in "LMN":
        return character
    return " "


_VISIBLE = _Table(_visible)
_SCORED = _Table(_scored)


def clean(text: str) -> Cleaned:
    """`text` in one way of typing: same words, same case, same punctuation.

    Composed letters (NFC), no stray dot above i, no invisible characters, ə for its look-alikes in
    Latin words, one apostrophe and one hyphen, single spaces.
    """
    repairs = []
    for code, repair in _REPAIRS:
        repaired = repair(text)
        if repaired != text:
            repairs.append(code)
            text = repaired
    return Cleaned(text, tuple(repairs))


def normalize(text: str, language: str, numbers: Numbers = "keep") -> str:
    """`text` as scoring compares it, by the rules at the top of this module.

    Args:
        text: as it was typed; it need not be cleaned.
        language: one of `asr.casing.LANGUAGES`.
        numbers: whether digits and signs stay or are spelt out.

    Raises:
        UserError: the language has no rules, or none to spell out numbers.
    """
    check_language(language)
    text = clean(text).text
    if numbers == "words":
        text = number_rules.spell_numbers(text, language)
    # Apostrophes go first: without them a base letter and its combining mark may meet.
    text = _LOOSE_APOSTROPHE.sub("", text) if language == "uz" else text.replace("'", "")
    text = _LOOSE_DIGIT_SIGN.sub(" ", lower(text, language).translate(_SCORED))
    if "-" in text:
        text = _LOOSE_HYPHEN.sub(" ", text)
    return " ".join(text.split())


def normalizer_hash() -> str:
    """Hash of all tables and patterns, those of case and numbers too: tells two normalisers of one version apart."""
    tables = [CASE_PAIRS, sorted(TWO_I_LANGUAGES), _SCHWAS, _PUNCTUATION_FORMS, _SPOKEN_SIGNS, _DIGIT_SIGNS]
    compiled = (STRAY_DOTS, _WORD, _LOOSE_APOSTROPHE, _LOOSE_DIGIT_SIGN, _LOOSE_HYPHEN)
    patterns = [pattern.pattern for pattern in compiled]
    content = repr([NORMALIZER_VERSION, tables, patterns, number_rules.tables()])
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _without_invisible(text: str) -> str:
    # Every format character is unprintable: the quick test spares nearly all texts the table.
    return text if text.isprintable() else text.translate(_VISIBLE)


def _with_schwas(text: str) -> str:
    if not _LOOK_ALIKE.search(text):
        return text
    return _WORD.sub(lambda word: _latin_word(word.group()), text)


def _latin_word(word: str) -> str:
    """`word` with ə for look-alikes, if its other letters are Latin and there is at least one."""
    others = [character for character in word if character.isalpha() and character not in _SCHWAS]
    if not others or not all(map(_is_latin, others)):
        return word
    return "".join(_SCHWAS.get(character, character) for character in word)


@lru_cache(maxsize=4096)
def _is_latin(character: str) -> bool:
    return unicodedata.name(character, "").startswith("LATIN ")


# In this order: an invisible character may stand between a letter and its combining mark.
_REPAIRS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("text.invisible", _without_invisible),
    ("text.not_nfc", lambda text: unicodedata.normalize("NFC", text)),
    ("text.casing", undotted),
    ("text.punct_form", lambda text: _ODD_PUNCTUATION.sub(lambda odd: _PUNCTUATION_FORMS[odd.group()], text)),
    ("text.spaces", lambda text: " ".join(text.split())),
    ("text.lookalike", _with_schwas),
)
