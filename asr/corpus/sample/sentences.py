"""Azerbaijani sentences of a small grammar: times, dates, prices, numbers, the home, the weather."""

from collections.abc import Callable
from functools import cache

import numpy as np
from babel import Locale
from num2words import num2words

Rng = np.random.Generator

CITIES = (
    "Bakı", "Gəncə", "Sumqayıt", "Şəki", "Lənkəran", "Quba", "Qəbələ", "Şamaxı", "Naxçıvan", "Şuşa",
    "Mingəçevir", "Yevlax", "Ağdam", "Xaçmaz", "Masallı", "Zaqatala", "İsmayıllı", "Göygöl",
)  # fmt: skip
DAYS = ("bu gün", "sabah", "birisi gün", "axşam", "gecə", "səhər")
WEATHER = ("günəşli", "küləkli", "buludlu", "yağışlı", "dumanlı", "qarlı", "isti", "soyuq", "mülayim")
ROOMS = ("Mətbəxdə", "Yataq otağında", "Qonaq otağında", "Hamamda", "Dəhlizdə", "Uşaq otağında", "Eyvanda", "Həyətdə")
DEVICES = ("işığı", "televizoru", "kondisioneri", "radionu", "qapını", "pəncərəni", "pərdəni", "sobanı", "musiqini")
ACTIONS = ("yandır", "söndür", "aç", "bağla", "yoxla", "dayandır")
GOODS = ("Çörək", "Süd", "Pendir", "Alma", "Çay", "Bilet", "Kitab", "Kofe", "Düyü", "Bal", "Ət", "Üzüm")
EVENTS = ("Görüş", "İmtahan", "Toy", "Uçuş", "Konsert", "Dərs", "Yığıncaq", "Oyun")

_BACK, _ROUNDED = set("aıou"), set("oöuü")
_VOWELS = set("aıoueəiöü")


def sentences(count: int, rng: Rng) -> list[str]:
    """`count` different sentences, in the order drawn."""
    found: dict[str, None] = {}
    while len(found) < count:
        topic = TOPICS[int(rng.integers(len(TOPICS)))]
        found[topic(rng)] = None
    return list(found)


def spoken_number(value: int) -> str:
    """A cardinal number in words."""
    return str(num2words(value, lang="az"))


def dative(word: str) -> str:
    """The word with the ending -a, -ə, -ya or -yə (üç -> üçə, altı -> altıya)."""
    ending = "a" if _last_vowel(word) in _BACK else "ə"
    return f"{word}{'y' if word[-1] in _VOWELS else ''}{ending}"


def locative(word: str) -> str:
    """The word with the ending -da or -də (Bakı -> Bakıda)."""
    return f"{word}{'da' if _last_vowel(word) in _BACK else 'də'}"


def copula(word: str) -> str:
    """The word with the ending -dır, -dir, -dur or -dür (manat -> manatdır)."""
    vowel = _last_vowel(word)
    back, rounded = vowel in _BACK, vowel in _ROUNDED
    return f"{word}d{('u' if rounded else 'ı') if back else ('ü' if rounded else 'i')}r"


def _last_vowel(word: str) -> str:
    return next(letter for letter in reversed(word) if letter in _VOWELS)


def _pick(rng: Rng, words: tuple[str, ...]) -> str:
    return words[int(rng.integers(len(words)))]


@cache
def _babel_names(kind: str) -> tuple[str, ...]:
    names = getattr(Locale("az"), kind)["format"]["wide"]
    return tuple(names[key].lower() for key in sorted(names))


def _clock(rng: Rng) -> str:
    hour, minute = int(rng.integers(1, 13)), int(rng.integers(1, 12)) * 5
    kind = int(rng.integers(3))
    if kind == 0:
        return f"Saat {dative(spoken_number(hour))} {spoken_number(minute)} dəqiqə {_pick(rng, ('qalıb', 'işləyib'))}."
    if kind == 1:
        return f"İndi saat {spoken_number(hour)} {copula(spoken_number(minute))}."
    return f"Məni saat {spoken_number(hour)} {locative(spoken_number(minute))} oyat."


def _date(rng: Rng) -> str:
    day, month = spoken_number(int(rng.integers(1, 29))), _pick(rng, _babel_names("months"))
    if rng.integers(2):
        return f"{_pick(rng, EVENTS)} {day} {locative(month)} olacaq."
    return f"{_pick(rng, EVENTS)} {day} {month}, {_pick(rng, _babel_names('days'))} günü."


def _price(rng: Rng) -> str:
    manat = spoken_number(int(rng.integers(1, 100)))
    if rng.integers(2):
        return f"{_pick(rng, GOODS)} {manat} {copula('manat')}."
    return f"{_pick(rng, GOODS)} {manat} manat {spoken_number(int(rng.integers(1, 10)) * 10)} {copula('qəpik')}."


def _digits(rng: Rng) -> str:
    digits = " ".join(spoken_number(int(digit)) for digit in rng.integers(0, 10, int(rng.integers(3, 6))))
    return f"{_pick(rng, ('Nömrə', 'Kod', 'Mənzil'))} {digits}."


def _home(rng: Rng) -> str:
    if rng.integers(5):
        return f"{_pick(rng, ROOMS)} {_pick(rng, DEVICES)} {_pick(rng, ACTIONS)}."
    return f"{_pick(rng, ROOMS)} temperaturu {spoken_number(int(rng.integers(16, 30)))} dərəcəyə qoy."


def _weather(rng: Rng) -> str:
    place, day = locative(_pick(rng, CITIES)), _pick(rng, DAYS)
    if rng.integers(2):
        return f"{place} {day} hava {_pick(rng, WEATHER)} olacaq."
    return f"{place} {day} temperatur {spoken_number(int(rng.integers(1, 40)))} dərəcə olacaq."


TOPICS: tuple[Callable[[Rng], str], ...] = (_clock, _date, _price, _digits, _home, _weather)
