"""Rules over the characters of a transcript: whether it is text at all, and in Azerbaijani letters."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

from asr.corpus.findings import Finding
from asr.corpus.transcripts.transcript import Transcript, code_points, excerpt

ALPHABET = "abcçdeəfgğhxıijkqlmnoöprsştuüvyz"
"""The 32 letters in their order."""
LETTERS = ALPHABET + "ABCÇDEƏFGĞHXIİJKQLMNOÖPRSŞTUÜVYZ"

_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]")
"""Control characters other than tab and line ends, which cleaning turns into spaces, and lone surrogates."""
_NOT_AZERBAIJANI = re.compile(rf"[^\W\d_{LETTERS}]|[\u0300-\u036f]")
_BEYOND_LATIN = re.compile(r"[^\W\d_\u0000-\u02af\u1e00-\u1eff]")
"""Letters outside the Latin blocks; ə stands in the one of phonetic extensions."""
_LETTER_RUN = re.compile(r"[^\W\d_]+")
_NOT_A_SCRIPT = ("MODIFIER", "FEMININE", "MASCULINE", "MICRO", "MATHEMATICAL")
"""Letters of no script of their own, such as ʰ ª º µ; `text.alphabet` lists them."""

_CODE_PAGES = ("cp1252", "cp1254", "cp1251", "latin-1")
"""What UTF-8 is commonly misread as; 1254 is Windows' page for Azerbaijani, 1251 for Russian."""
_SIGNS = "“”‘’–—…"
_CYRILLIC = "абвгдежзийклмнопрстуфхцчшщъыьэюяАБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯёЁәҝҹөүғһјӘҜҸӨҮҒҺ"


def _misread(character: str, code_page: str) -> str:
    """A character's UTF-8 bytes shown in a code page; bytes that it leaves free become C1 controls, as in browsers."""
    shown = ""
    for byte in character.encode():
        try:
            shown += bytes([byte]).decode(code_page)
        except UnicodeDecodeError:
            shown += chr(byte)
    return shown


def _misreadings(characters: Iterable[str]) -> dict[str, str]:
    return {_misread(character, page): character for character in characters for page in _CODE_PAGES}


def _any_of(sequences: Iterable[str]) -> str:
    return "|".join(map(re.escape, sorted(sequences, key=lambda item: (-len(item), item))))


_OWN = _misreadings([*(letter for letter in LETTERS if not letter.isascii()), *_SIGNS])
_FOREIGN = _misreadings(_CYRILLIC)
_ORIGINALS = _FOREIGN | _OWN
_FIRST = re.compile(f"[{re.escape(''.join({misreading[0] for misreading in _ORIGINALS}))}]")
_ONE_MISREAD = re.compile(_any_of(_ORIGINALS))
# One pair may be an accident: `DAĞ»` is a page-1254 reading of Cyrillic л. Azerbaijani letters have no such pair.
_MISREAD = re.compile(f"{_any_of(_OWN)}|(?:{_any_of(_FOREIGN)}){{2,}}")


def mojibake(item: Transcript) -> Finding | None:
    """UTF-8 that was read in a single-byte code page (ə as `É™`), or U+FFFD where a decoder gave up."""
    if "\ufffd" in item.text:
        lost = item.text.count("\ufffd")
        message = (
            f"{excerpt(item.text)} has U+FFFD in place of {lost} characters that are lost: read the source as UTF-8"
        )
        return Finding("text.mojibake", message, lost, 0)
    misread = len(_MISREAD.findall(item.text)) if _FIRST.search(item.text) else 0
    if not misread:
        return None
    message = f"{excerpt(item.text)} is UTF-8 read in another encoding, probably of {excerpt(_reread(item.text))}"
    return Finding("text.mojibake", message, misread, 0)


def has_control(raw: str) -> bool:
    """Whether `control` would object."""
    return _CONTROL.search(raw) is not None


def control(item: Transcript) -> Finding | None:
    """NUL, escape sequences, lone surrogates and the like in the source."""
    found = _CONTROL.search(item.raw)
    if not found:
        return None
    return Finding("text.control", f"control character U+{ord(found.group()):04X} at position {found.start()}")


def empty(item: Transcript) -> Finding | None:
    """Neither a letter nor a digit; a source that is literally empty is a wanted example of silence and not judged."""
    if any(map(str.isalnum, item.text)):
        return None
    return Finding(
        "text.empty", f"{excerpt(item.raw)} holds no letter and no digit; leave the text out where nothing is said"
    )


def script(item: Transcript) -> Finding | None:
    """Most letters are of another script than Latin."""
    if not _BEYOND_LATIN.search(item.text):
        return None
    scripts = Counter(found for character in item.text if (found := script_of(character)))
    foreign = scripts.total() - scripts["Latin"]
    if 2 * foreign <= scripts.total():
        return None
    main = next(name for name, _ in scripts.most_common() if name != "Latin")
    letters = (character for character in item.text if script_of(character) == main)
    message = f"{foreign} of {scripts.total()} letters are not Latin but {main}: {code_points(letters)}"
    return Finding("text.script", message, foreign / scripts.total(), 0.5)


def mixed_script(item: Transcript) -> Finding | None:
    """A word of Latin and other letters, such as Cyrillic а in `sаlam`: beyond the schwas, which cleaning mends."""
    if not _BEYOND_LATIN.search(item.text):
        return None
    words = [word for word in _LETTER_RUN.findall(item.text) if _is_mixed(word)]
    if not words:
        return None
    odd = code_points(letter for word in words for letter in word if script_of(letter) != "Latin")
    shown = ", ".join(map(excerpt, words[:3]))
    return Finding("text.mixed_script", f"{shown}: Latin letters with {odd} among them", len(words), 0)


def alphabet(item: Transcript) -> Finding | None:
    """Letters outside the 32, such as w, é, ñ, and marks that no letter of the 32 bears."""
    found = _NOT_AZERBAIJANI.findall(item.text)
    if not found:
        return None
    return Finding("text.alphabet", f"not among the 32 letters: {code_points(found)}", len(found), 0)


@lru_cache(maxsize=8192)
def script_of(character: str) -> str:
    """`Latin`, `Cyrillic`, ... by the letter's Unicode name; empty for what is no letter."""
    if not character.isalpha():
        return ""
    name = unicodedata.name(character, "UNNAMED")
    first = name.split()[0]
    return "Latin" if "LATIN" in name or first in _NOT_A_SCRIPT else first.title()


def _is_mixed(word: str) -> bool:
    return (
        not word.isascii()
        and len({script_of(letter) for letter in word} | {"Latin"}) > 1
        and any(script_of(letter) == "Latin" for letter in word)
    )


def _reread(text: str) -> str:
    """`text` with every misread sequence put right."""
    return _MISREAD.sub(lambda run: _ONE_MISREAD.sub(lambda one: _ORIGINALS[one.group()], run.group()), text)
