"""Faults 40 to 60 of the catalogue, and 81: transcripts that are none, or that hold more than speech."""

import unicodedata
from collections.abc import Callable

from asr.text import upper
from tests.ugly.fault import Clip, ClipFault
from tests.ugly.studio import Studio, file_of

FOLDED = str.maketrans("əƏıİşŞçÇğĞöÖüÜ", "eEiIsScCgGoOuU")
CYRILLIC = "Бакыда бу ҝүн һава ҝүнəшли олаҹаг.".replace("ə", "ә")
ARABIC = "باکیدا بو گون هاوا گونشلی اولاجاق"
LONG_WORDS = ("şəğöçüıəşçöğ", "üçğəışöəğüşı", "çöəşığüəçşöı", "əğüşöçıəşğüö", "ışçəöğüşəçıü", "göəçşıüəğöşç")
"""Two bytes a letter: the most tokens a second that a text can have without a tokenizer."""


def text_clip(text: str, studio: Studio, seconds: float | None = None) -> Clip:
    """Sound of a fitting length under any text."""
    take = studio.noise(text, seconds or max(0.5, len(text) / 14))
    return Clip(file_of(take.samples), text, take.seconds)


def _as(text: str, seconds: float | None = None) -> Callable[[Studio], list[Clip]]:
    """This very text."""
    return lambda studio: [text_clip(text, studio, seconds)]


def _made(change: Callable[[str], str]) -> Callable[[Studio], list[Clip]]:
    """A sentence, changed."""
    return lambda studio: [text_clip(change(studio.line()), studio)]


def _paced(characters_per_second: float) -> Callable[[Studio], list[Clip]]:
    def build(studio: Studio) -> list[Clip]:
        text = studio.line()
        return [text_clip(text, studio, len(text) / characters_per_second)]

    return build


def _long_label(studio: Studio) -> list[Clip]:
    words = [LONG_WORDS[place % 6][place // 6 :] + LONG_WORDS[place % 6][: place // 6] for place in range(18)]
    return [text_clip(" ".join(words), studio, 9.9)]


def _misread(page: str) -> Callable[[str], str]:
    """UTF-8 read in a code page; bytes that the page leaves free become control characters, as in browsers."""
    return lambda text: "".join(_shown(byte, page) for byte in ("Gələcək işıq. " + text).encode())


def _shown(byte: int, page: str) -> str:
    try:
        return bytes([byte]).decode(page)
    except UnicodeDecodeError:
        return chr(byte)


REJECTED: tuple[ClipFault, ...] = (
    ClipFault(40, "dots only", "text.empty", _as("...", 2.0)),
    ClipFault(40, "white space only", "text.empty", _as(" \t ", 2.0)),
    ClipFault(42, "UTF-8 read as cp1252", "text.mojibake", _made(_misread("cp1252"))),
    ClipFault(42, "UTF-8 read as cp1254", "text.mojibake", _made(_misread("cp1254"))),
    ClipFault(42, "a lost character", "text.mojibake", _made(lambda text: text.replace("ə", "\ufffd") + "\ufffd")),
    ClipFault(44, "NUL", "text.control", _made(lambda text: text[:5] + "\0" + text[5:])),
    ClipFault(44, "escape sequence", "text.control", _made(lambda text: "\x1b[1m" + text)),
    ClipFault(49, "Cyrillic script", "text.script", _as(CYRILLIC)),
    ClipFault(49, "Arabic script", "text.script", _as(ARABIC)),
    ClipFault(55, "music in brackets", "text.tag", _made(lambda text: f"[music] {text}")),
    ClipFault(55, "laughter in brackets", "text.tag", _made(lambda text: f"{text} (gülüş)")),
    ClipFault(55, "unknown word", "text.tag", _made(lambda text: f"{text} <unk>")),
    ClipFault(56, "Whisper's language token", "text.special_token", _made(lambda text: f"<|az|> {text}")),
    ClipFault(56, "end of text", "text.special_token", _made(lambda text: f"{text}<|endoftext|>")),
    ClipFault(57, "a phrase five times", "text.loop", _as("abunə olmağı unutmayın " * 5)),
    ClipFault(57, "a word nine times", "text.loop", _as("yaxşı " * 9)),
    ClipFault(59, "452 bytes of label", "label.too_long", _long_label),
    ClipFault(60, "40 characters a second", "text.char_rate", _paced(40)),
    ClipFault(60, "half a character a second", "text.char_rate", _as("Bəli.", 9.9)),
)
REPAIRED: tuple[ClipFault, ...] = (
    ClipFault(43, "line break inside", "text.spaces", _made(lambda text: text.replace(" ", "\n", 1))),
    ClipFault(43, "U+2028 inside", "text.spaces", _made(lambda text: text.replace(" ", "\u2028", 1))),
    ClipFault(45, "zero-width space", "text.invisible", _made(lambda text: text[:4] + "\u200b" + text[4:])),
    ClipFault(45, "soft hyphen", "text.invisible", _made(lambda text: text[:4] + "\u00ad" + text[4:])),
    ClipFault(45, "direction mark", "text.invisible", _made(lambda text: "\u202a" + text)),
    ClipFault(45, "no-break space", "text.spaces", _made(lambda text: text.replace(" ", "\u00a0", 1))),
    ClipFault(46, "decomposed", "text.not_nfc", _made(lambda text: unicodedata.normalize("NFD", f"Göy üz. {text}"))),
    ClipFault(47, "a stray dot above", "text.casing", _made(lambda text: f"i\u0307stanbul, {text}")),
    ClipFault(48, "Cyrillic schwa", "text.lookalike", _made(lambda text: f"Sәhәr {text}")),
    ClipFault(48, "turned e", "text.lookalike", _made(lambda text: f"Axşam gǝldi, {text}")),
    ClipFault(54, "typographic apostrophe", "text.punct_form", _made(lambda text: f"Bakı\u2019da {text}")),
    ClipFault(54, "non-breaking hyphen", "text.punct_form", _made(lambda text: f"tez\u2011tez {text}")),
)
WARNED: tuple[ClipFault, ...] = (
    ClipFault(48, "Cyrillic a in a word", "text.mixed_script", _made(lambda text: f"S\u0430lam, {text}")),
    ClipFault(50, "Turkish", "text.language", _as("Bugün hava çok güzel değil ama yarın nasıl olacak bilmiyorum.")),
    ClipFault(50, "English", "text.language", _as("This is what they have been saying about the weather.")),
    ClipFault(50, "Russian in Latin letters", "text.language", _as("Ya ne znayu chto eto takoe, no mne nado idti.")),
    ClipFault(51, "the letter w", "text.alphabet", _made(lambda text: f"Washington və {text}")),
    ClipFault(52, "ASCII only", "text.ascii_folded", _as("Seher tezden kendden sehere geldim.".translate(FOLDED))),
    ClipFault(53, "digits", "text.digits", _made(lambda text: f"2021-ci ildə {text}")),
    ClipFault(53, "a percent sign", "text.digits", _made(lambda text: f"Yüz % {text}")),
    ClipFault(58, "all capitals", "text.all_caps", _made(upper)),
    ClipFault(60, "3 characters a second", "text.unusual_rate", _as("Bu gün yağış yağmadı.", 7.0)),
    ClipFault(60, "23 characters a second", "text.unusual_rate", _paced(23)),
    ClipFault(81, "a telephone number", "manifest.pii", _made(lambda text: f"{text} 050 123 45 67")),
    ClipFault(81, "an e-mail address", "manifest.pii", _made(lambda text: f"{text} aysel@example.com")),
)
FAULTS = (*REJECTED, *REPAIRED, *WARNED)
