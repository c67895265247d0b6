"""Rules over what is no speech in a transcript: tokens, tags, figures, personal data.

Brackets alone mean nothing: `Bakı (paytaxt) şəhəri` is spoken. Only what the lists below name is a tag.
"""

import re

from asr.corpus.findings import Finding
from asr.corpus.transcripts.transcript import Transcript, excerpt, word_list

_SPECIAL_TOKEN = re.compile(r"<\|[^|<>]*\|>")
_NOTES = "♩♪♫♬🎵🎶"
_OPENING = re.compile(rf"[\[(<{{*{_NOTES}]")
_BRACKETED = re.compile(r"\[([^\[\]]{1,60})\]|\(([^()]{1,60})\)|<([^<>]{1,60})>|\{([^{}]{1,60})\}|\*([^*]{1,60})\*")
_TAG_WORD = re.compile(r"[^\W\d_]+")

SOUNDS = word_list("""
    musiqi musiqisi alqış alqışlar gülüş gülüşlər gülüşmə gülüşmələr gülür gülüşür gülərək öskürək öskürür
    asqırır ağlayır hıçqırır küy uğultu sükut səssizlik anlaşılmır eşidilmir anlaşılmaz
    müzik müziği şarkı alkış alkışlar kahkaha kahkahalar gülme gülüyor gülüşme öksürük öksürüyor ağlıyor gürültü
    sessizlik anlaşılmıyor duyulmuyor anlaşılmayan
    music song singing sings applause applauding clapping cheering laughter laughs laughing chuckles coughs coughing
    cough sneezes sighs sigh breathing breath crying sobbing noise static silence pause inaudible unintelligible
    indistinct crosstalk beep bleep blank foreign
    музыка песня аплодисменты смех смеется смеётся кашель кашляет плач плачет вздох вздыхает шум тишина молчание
    пауза неразборчиво
    """)
"""Sounds that subtitles and recognisers write in brackets: Azerbaijani, Turkish, English, Russian."""
_COMPANIONS = word_list("""
    səs səsi səsləri səslənir çalır çalınır oxuyur arxa fon fonda və ilə
    sesi sesleri çalıyor çalar ve
    background playing plays continues fades audio speech speaking in the and language blank loud soft
    играет звучит фоновая фоновый и на фоне
    """)
"""Words that stand beside a sound in a tag, and are no tag by themselves."""
_TOKENS = word_list("unk pad mask cls sep eos bos sil spn nsn laughter noise")
"""Placeholders of tokenizers and corpora, in square or angle brackets."""
_HTML = word_list("a b br div em font i p s span strong u")
"""Marks of web pages and subtitles, in angle brackets; `</s>` also ends a sentence of a recogniser."""

_FIGURES = re.compile(r"[\d%‰₼$€£₽₺+=°№&@½¼¾²³]")
"""Digits and the signs that `asr.text.normalize` keeps because they are read aloud."""

_DIGIT = re.compile(r"\d")
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,4}\w{2,24}")
_NUMBER = re.compile(r"(?<![\w+])\+?\d(?:[\s()-]{0,3}\d){8,18}(?!\w)")
"""Digits in groups, as phone and card numbers are written."""
_ACCOUNT = re.compile(r"\bAZ\d{2} ?[A-Z]{4}(?: ?[A-Z\d]{4}){5}\b")
_DOCUMENT = re.compile(r"\b(?:AZE|AA|AB|MYİ|DYİ)[ №-]{0,2}\d{7,8}\b")
_FIN = re.compile(r"\b[\dA-HJ-NP-Z]{7}\b")
"""The personal number has 7 capitals and digits without I and O."""
_FEWEST_DIGITS = 7
"""In any number of the kinds above but the personal one."""
_MOST_GROUPS = 6


def special_token(item: Transcript) -> Finding | None:
    """Something like `<|az|>`, which a tokenizer would take for its own."""
    found = _SPECIAL_TOKEN.search(item.text)
    return Finding("text.special_token", f"{excerpt(found.group())} would become part of the label") if found else None


def tag(item: Transcript) -> Finding | None:
    """A named sound or placeholder in brackets or asterisks, or notes of music."""
    first = _OPENING.search(item.text)
    if not first:
        return None
    notes = next((character for character in item.text if character in _NOTES), None)
    if notes:
        return Finding("text.tag", f"{notes} is no speech: delete the tag or write what is said")
    for found in _BRACKETED.finditer(item.text):
        if _is_tag(*found.groups()):
            return Finding("text.tag", f"{excerpt(found.group())} is no speech: delete the tag or write what is said")
    return None


def digits(item: Transcript) -> Finding | None:
    """Figures, counted so that their share is known.

    The policy: one rule for labels and for scoring. `data.numbers` says which: digits stay digits in both, or are
    spelt out in both by `asr.numbers`. This count shows what is left of them.
    """
    found = len(_FIGURES.findall(item.text))
    if not found:
        return None
    return Finding(
        "text.digits", f"{found} digits or signs such as %: kept as they are, in scoring too (data.numbers)", found, 0
    )


def personal(item: Transcript) -> Finding | None:
    """E-mail addresses, phone, card, account and document numbers. The message says where, not what.

    Numbers that are spelt out in words are not found.
    """
    found = _personal(item.text)
    if not found:
        return None
    listed = ", ".join(f"{kind} at character {place}" for place, kind in sorted(found))
    return Finding("manifest.pii", f"looks like personal data: {listed}; may it be in the corpus?", len(found), 0)


def _personal(text: str) -> list[tuple[int, str]]:
    """Place and kind of everything that looks like personal data."""
    found = [(match.start(), "an e-mail address") for match in _EMAIL.finditer(text)] if "@" in text else []
    digits = len(_DIGIT.findall(text))
    if digits < 2:
        return found
    found += [(match.start(), "a personal number") for match in _FIN.finditer(text) if _is_mixed(match.group())]
    if digits < _FEWEST_DIGITS:
        return found
    found += [(match.start(), "an account number") for match in _ACCOUNT.finditer(text)]
    found += [(match.start(), "a document number") for match in _DOCUMENT.finditer(text)]
    numbers = ((match.start(), _kind(match.group())) for match in _NUMBER.finditer(text))
    return found + [(place, kind) for place, kind in numbers if kind]


def _is_mixed(code: str) -> bool:
    """Letters and at least two digits, so that names of things (`COVID19` has an O, `PENTIU4` one digit) pass."""
    return not code.isdecimal() and sum(map(str.isdecimal, code)) >= 2


def _kind(number: str) -> str:
    """A phone number, a card number, or nothing; digits counted out one by one are nothing."""
    groups = re.findall(r"\d+", number)
    figures = "".join(groups)
    if len(groups) > _MOST_GROUPS:
        return ""
    if (figures[0] == "0" and len(figures) == 10) or (figures.startswith("994") and len(figures) == 12):
        return "a phone number"
    if (number[0] == "+" or figures.startswith("00")) and 10 <= len(figures) <= 15:
        return "a phone number"
    return "a card number" if len(figures) >= 13 and _passes_luhn(figures) else ""


def _passes_luhn(number: str) -> bool:
    """Whether the last digit checks the others, as on bank cards (ISO/IEC 7812-1)."""
    values = [int(digit) for digit in reversed(number)]
    doubled = [sum(divmod(2 * value, 10)) for value in values[1::2]]
    return (sum(values[::2]) + sum(doubled)) % 10 == 0


def _is_tag(square: str | None, round_: str | None, angle: str | None, curly: str | None, stars: str | None) -> bool:
    """Whether the content of one pair of brackets is a tag; one argument is given."""
    content = square or round_ or angle or curly or stars or ""
    words = [_folded(word) for word in _TAG_WORD.findall(content.replace("_", " "))]
    if not words:
        return False
    if words[0] in _FOLDED_TOKENS and (square or angle):
        return len(words) == 1
    if angle and words[0] in _HTML and re.match(r"\s*/?\s*[A-Za-z]+(?:\s|/|$)", angle):
        return len(words) == 1 or "=" in angle
    return not _FOLDED_SOUNDS.isdisjoint(words) and _FOLDED_KNOWN.issuperset(words)


def _folded(word: str) -> str:
    """Lower case without the difference of i and ı: `[MUSIC]` is English, and `[ALQIŞ]` is not."""
    return word.replace("İ", "i").lower().replace("ı", "i")


_FOLDED_SOUNDS = frozenset(map(_folded, SOUNDS))
_FOLDED_TOKENS = frozenset(map(_folded, _TOKENS))
_FOLDED_KNOWN = _FOLDED_SOUNDS | frozenset(map(_folded, _COMPANIONS))
