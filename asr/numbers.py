"""Digits, dates, times and signs as the words that are spoken.

One reading of each, chosen for what announcers say; `docs/normaliser.md` lists the choices. Whole numbers come from
num2words; the grammar around them (ordinals, endings, decimals, money, dates) is here.
What is not a number of one of these forms is read part by part, so that no digit stays.
"""

import re
import unicodedata
from dataclasses import dataclass, field
from functools import lru_cache

from asr.casing import Language, check_language, lower
from asr.errors import UserError

LONGEST_NUMBER = 9
"""Digits: a longer run without separators is a phone or card number and is read digit by digit."""
LONGEST_GROUPED = 15
"""Digits: the largest number with separators that is read as one (below 10^15, where the names are settled)."""
LONGEST_CODE = 3
"""Digits: up to here a number with leading zeros is read as zeros and a number (050 -> sıfır əlli)."""


@dataclass(frozen=True)
class _Speech:
    """The words around numbers in one language."""

    months: str
    """The twelve, with spaces between."""
    minus: str
    point: str
    """Between the whole and the fraction of a decimal number."""
    parts: tuple[str, ...]
    """Tenths, hundredths, thousandths, said before the fraction; empty where nothing is said."""
    signs: dict[str, str]
    """Signs and what is said for each, wherever it stands."""
    coins: dict[str, str]
    """Hundredths of the currencies."""
    open_front: str
    """The open vowel of endings after a front vowel: ə or e."""
    percent_first: str = ""
    """What is said for % where it comes before the number."""
    year: str = ""
    """The word for year, in a date that names the year by an ordinal; empty where the date says a cardinal."""
    dotted_ordinals: bool = False
    """Whether a dot before a word in small letters makes an ordinal (`5. sınıf`)."""
    hardened: dict[str, str] = field(default_factory=dict)
    """Last words whose final consonant changes before a vowel, and what they become."""


NUMBER_LANGUAGES: tuple[Language, ...] = ("az", "tr")
"""Languages whose numbers can be spelt out."""

_SPEECH: dict[str, _Speech] = {
    "az": _Speech(
        months="yanvar fevral mart aprel may iyun iyul avqust sentyabr oktyabr noyabr dekabr",
        minus="mənfi",
        point="tam",
        parts=("onda", "yüzdə", "mində"),
        signs={"%": "faiz", "‰": "promil", "°": "dərəcə", "№": "nömrə", "&": "və", "+": "üstəgəl", "=": "bərabərdir"}
        | {"₼": "manat", "$": "dollar", "€": "avro", "£": "funt", "₽": "rubl", "₺": "lirə"},
        coins={"₼": "qəpik", "$": "sent", "€": "sent", "£": "pens", "₽": "qəpik", "₺": "quruş"},
        open_front="ə",
        year="il",
    ),
    "tr": _Speech(
        months="ocak şubat mart nisan mayıs haziran temmuz ağustos eylül ekim kasım aralık",
        minus="eksi",
        point="virgül",
        parts=(),
        signs={"%": "yüzde", "‰": "binde", "°": "derece", "№": "numara", "&": "ve", "+": "artı", "=": "eşittir"}
        | {"₼": "manat", "$": "dolar", "€": "avro", "£": "sterlin", "₽": "ruble", "₺": "lira"},
        coins={"₼": "kepik", "$": "sent", "€": "sent", "£": "peni", "₽": "kopek", "₺": "kuruş"},
        open_front="e",
        percent_first="yüzde",
        dotted_ordinals=True,
        hardened={"dört": "dörd"},
    ),
}

_MONEY = "₼$€£₽₺"
_LETTER = r"[^\W\d_]"
_CLOCK = r"(?:[01]?[0-9]|2[0-4])"
_NUMBER = re.compile(
    # A minus stands before a number that follows no word; a hyphen between a word and a number is not spoken.
    rf"(?:(?P<minus>(?<![\w'-])[-\u2212](?=[{_MONEY}%]? ?[0-9]))|(?<={_LETTER})-(?=[0-9]))?"
    rf"(?P<before>[{_MONEY}%] ?)?"
    r"(?:(?<![0-9][.,:])(?:"
    r"(?P<chain>(?<![0-9]-)[0-9]+(?:-[0-9]+){2,})"
    r"|(?P<day>0?[1-9]|[12][0-9]|3[01])\.(?P<month>0?[1-9]|1[0-2])\.(?P<year>[12][0-9]{3})"
    rf"|(?P<time>{_CLOCK}:[0-5][0-9](?::[0-5][0-9])?|(?<=[Ss]aat ){_CLOCK}\.[0-5][0-9])"
    # Spaces group thousands only where no other digits stand beside: 50 123 45 67 is a phone number.
    r"|(?P<grouped>(?<![0-9] )[1-9][0-9]{0,2}(?: [0-9]{3})+(?! [0-9])"
    r"|[1-9][0-9]{0,2}(?:(?:\.[0-9]{3})+|(?:,[0-9]{3}){2,}|(?:,000)+))"
    r"|(?P<whole>[1-9][0-9]{0,2}(?:[ .][0-9]{3})+(?=,)|[0-9]+)[.,](?P<fraction>[0-9]+)"
    r")(?![.,:]?[0-9])|(?P<digits>[0-9]+))"
    rf"(?P<dot>\.(?= {_LETTER}))?"
    rf"(?(before)|(?: ?(?P<after>[{_MONEY}%‰]|°(?:C(?!\w))?))?)"
    rf"(?P<tail>(?P<mark>[-'])?(?P<letters>{_LETTER}(?:{_LETTER}|['\u0300-\u036f])*))?"
)
_ENDING = re.compile(
    r"(?P<ordinal>[ıiuü]?n?c[ıiuü])?"
    r"(?:l[ıiuü][kq]?)?(?:l[aeə]r)?(?:s?[ıiuü](?:[mn][ıiuü]z)?)?"  # -lik, plural, possessive
    r"(?:n?[ıiuü]n?|[yn]?[aeə]|n?[dt][aeə]n?|[dt][əe]k|y?l[ae]|ş?[aeə]r)?(?:d[ıiuü]r)?"  # case, distributive, copula
)
"""The endings that numbers take, in the order in which they follow each other."""
_LOOSE_SIGN = re.compile(f"[{''.join(_SPEECH['az'].signs)}]")
_READABLE = re.compile(f"[0-9{''.join(_SPEECH['az'].signs)}]")
_TURKISH_WORD = re.compile(
    "sıfır|bir|iki|üç|dört|beş|altmış|altı|yedi|sekiz|dokuz|on|yirmi|otuz|kırk|elli|yetmiş|seksen|doksan"
    "|yüz|bin|milyon|milyar|trilyon"
)
"""num2words writes Turkish numbers as on a cheque, in one word; running text has spaces (iki bin yirmi bir)."""
_CLOSE_VOWEL = {
    **dict.fromkeys("aı", "ı"),
    **dict.fromkeys("ou", "u"),
    **dict.fromkeys("öü", "ü"),
    **dict.fromkeys("eəi", "i"),
}
"""Vowel harmony: the close vowel of an ending after the last vowel before it."""
_BACK_VOWELS = "aıou"
_UNCHANGING = ("dək", "dek")
"""Endings that were words and know no harmony (10-dək)."""


def spell_numbers(text: str, language: str) -> str:
    """`text` with its numbers and signs as words; all else as it was.

    Idempotent: afterwards no ASCII digit is left. Other digits (Arabic-Indic, ½) stay as they are.

    Args:
        text: cleaned by `asr.text.clean`: the apostrophes before endings must still be there.
        language: one of `NUMBER_LANGUAGES`.

    Raises:
        UserError: numbers cannot be spelt out in this language.
    """
    speech = _speech(language)
    if not _READABLE.search(text):
        return text
    text = _NUMBER.sub(lambda match: _apart(match, _spoken(match, speech, language)), text)
    return _LOOSE_SIGN.sub(lambda match: _apart(match, speech.signs[match.group()]), text)


def tables() -> tuple[object, ...]:
    """Everything that decides what `spell_numbers` returns, for the hash of the normaliser."""
    limits = (LONGEST_NUMBER, LONGEST_GROUPED, LONGEST_CODE)
    patterns = [pattern.pattern for pattern in (_NUMBER, _ENDING, _LOOSE_SIGN, _READABLE, _TURKISH_WORD)]
    return limits, _SPEECH, patterns, _CLOSE_VOWEL, _BACK_VOWELS, _UNCHANGING


def _speech(language: str) -> _Speech:
    check_language(language)
    if language not in _SPEECH:
        spoken = " and ".join(NUMBER_LANGUAGES)
        raise UserError(f"numbers in language {language!r} cannot be spelt out, only in {spoken}: keep them as digits")
    return _SPEECH[language]


def _apart(match: re.Match[str], words: str) -> str:
    """`words` with a space towards a letter, digit, mark or sign that touched the match.

    Apostrophes between are looked through: scoring drops them. A digit that follows sees to its own space.
    """
    text, start, end = match.string, match.start(), match.end()
    while start and text[start - 1] == "'":
        start -= 1
    while end < len(text) and text[end] == "'":
        end += 1
    before, after = text[start - 1 : start], text[end : end + 1]
    left = " " if _is_wordlike(before) or before in _SPEECH["az"].signs else ""
    return left + words + (" " if _is_wordlike(after) and after not in "0123456789" else "")


def _is_wordlike(character: str) -> bool:
    return bool(character) and unicodedata.category(character)[0] in "LMN"


def _spoken(match: re.Match[str], speech: _Speech, language: str) -> str:
    """What is said for a number with its sign, unit and ending."""
    sign = (match["before"] or match["after"] or "").strip()[:1]
    words = _value(match, speech, sign, language)
    if sign == "%" and speech.percent_first:
        words = f"{speech.percent_first} {words}"
    elif sign and not (sign in speech.coins and _has_coins(match)):
        words = f"{words} {speech.signs[sign]}"
    words = f"{speech.minus} {words}" if match["minus"] else words
    return _with_tail(words, match, speech, language)


def _value(match: re.Match[str], speech: _Speech, sign: str, language: str) -> str:
    if match["digits"]:
        return _run(match["digits"], language)
    if match["time"]:
        hour, *rest = re.split("[:.]", match["time"])
        return " ".join(_run(part, language) for part in [hour if hour == "00" else str(int(hour)), *rest])
    if match["chain"]:
        return " ".join(_run(part, language) for part in match["chain"].split("-"))
    if match["grouped"]:
        return _grouped(match["grouped"], language)
    if match["year"]:
        month = speech.months.split()[int(match["month"]) - 1]
        return f"{_cardinal(int(match['day']), language)} {month} {_cardinal(int(match['year']), language)}"
    if sign in speech.coins and _has_coins(match):
        return _money(match, speech, sign, language)
    return _decimal(match["whole"], match["fraction"], speech, language)


def _has_coins(match: re.Match[str]) -> bool:
    """Whether an amount of money has two decimals, as prices do."""
    return len(match["fraction"] or "") == 2


def _money(match: re.Match[str], speech: _Speech, sign: str, language: str) -> str:
    amount = f"{_grouped(match['whole'], language)} {speech.signs[sign]}"
    coins = int(match["fraction"])
    return f"{amount} {_cardinal(coins, language)} {speech.coins[sign]}" if coins else amount


def _decimal(whole: str, fraction: str, speech: _Speech, language: str) -> str:
    """Azerbaijani as at school and in the news (üç tam onda beş), Turkish with its comma (üç virgül beş)."""
    spoken = _grouped(whole, language)
    if len(fraction) <= len(speech.parts):
        return f"{spoken} {speech.point} {speech.parts[len(fraction) - 1]} {_cardinal(int(fraction), language)}"
    return f"{spoken} {speech.point} {_run(fraction, language, LONGEST_CODE)}"


def _grouped(digits: str, language: str) -> str:
    """A number whose thousands may stand apart."""
    bare = re.sub("[ .,]", "", digits)
    return _run(bare, language, LONGEST_NUMBER if bare == digits else LONGEST_GROUPED)


def _run(digits: str, language: str, longest: int = LONGEST_NUMBER) -> str:
    """A run of digits: one number, zeros and a number, or digit by digit."""
    if len(digits) > (LONGEST_CODE if digits[0] == "0" else longest):
        return " ".join(_cardinal(int(digit), language) for digit in digits)
    number = digits.lstrip("0")
    spoken = ["0"] * (len(digits) - len(number)) + ([number] if number else [])
    return " ".join(_cardinal(int(part), language) for part in spoken)


def _with_tail(words: str, match: re.Match[str], speech: _Speech, language: str) -> str:
    """The words with the ending that the writer gave the digits, or with the next word apart."""
    letters = match["letters"] or ""
    bare = lower(letters.rstrip("'"), language)
    ending = _ENDING.fullmatch(bare) if len(bare) > 1 or match["mark"] else None
    is_ordinal = bool(ending and ending["ordinal"])
    if match["year"] and speech.year and not is_ordinal:
        words = f"{_ordinal(words, speech)} {speech.year}"
    if match["dot"]:
        return _ordinal(words, speech) if speech.dotted_ordinals and _is_plain(match) else f"{words}."
    if ending is None:
        return f"{words} {letters}" if letters else words
    words = _ordinal(words, speech) if is_ordinal else words
    quotes = "'" * (len(letters) - len(letters.rstrip("'")))
    return _joined(words, bare[max(ending.end("ordinal"), 0) :], speech) + quotes


def _is_plain(match: re.Match[str]) -> bool:
    """Whether a dot after the number may make it an ordinal: bare digits before a word in small letters."""
    return bool(match["digits"]) and match.string[match.end("dot") + 1].islower()


def _ordinal(words: str, speech: _Speech) -> str:
    """A cardinal number as an ordinal: beş -> beşinci, altı -> altıncı."""
    return _joined(words, "nci" if words[-1] in _CLOSE_VOWEL else "inci", speech)


def _joined(words: str, ending: str, speech: _Speech) -> str:
    """The last word with an ending in its harmony: the vowels were typed for a digit or a sign."""
    for hard, soft in speech.hardened.items():
        if words.endswith(hard) and ending[:1] in _CLOSE_VOWEL:
            words = words.removesuffix(hard) + soft
    if ending.endswith(_UNCHANGING):
        return words + ending
    last = next(letter for letter in reversed(words) if letter in _CLOSE_VOWEL)
    for letter in ending:
        if letter in _CLOSE_VOWEL:
            is_open = letter in "aeə"
            letter = ("a" if last in _BACK_VOWELS else speech.open_front) if is_open else _CLOSE_VOWEL[last]
            last = letter
        words += letter
    return words


@lru_cache(maxsize=4096)
def _cardinal(value: int, language: str) -> str:
    """A whole number below 10^15 in words."""
    from num2words import num2words  # here: most runs spell nothing out

    words = str(num2words(value, lang=language))
    return " ".join(_TURKISH_WORD.findall(words)) if language == "tr" else words
