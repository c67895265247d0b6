"""Rules over whole transcripts that may not be written Azerbaijani: other languages, lost letters, lost case.

The lists hold frequent words that the other languages here do not have, Azerbaijani without its special
letters included (`ile`, `gore`, `her` could be ilə, görə, hər). A handful of words decides nothing about
single names and borrowings; the rule is for transcripts that are another language as a whole. Words that Azerbaijani
has too (`on`, `it`, `can`, `ona`) are in no list.
"""

import re

from asr.corpus.findings import Finding
from asr.corpus.transcripts.transcript import Transcript, word_list

TURKISH = word_list("""
    için değil çok evet hayır nasıl kadar gibi şimdi çünkü böyle öyle şöyle başka olarak olmak güzel iyi nerede yok
    hiç diye tarafından hangi şu yıl yapmak yaptı yapıyor ediyor oluyor geliyor gidiyor biliyor istiyorum biliyorum
    lütfen teşekkürler merhaba ayrıca birçok bazı önce olduğunu değildir ben bana beni benim mı mi mısın misin musun
    artık fakat hiçbir işte nereye niçin yine
""")
ENGLISH = word_list("""
    the of is was were are you that this with for have has had from they what which will would there your his she
    but all about into could should been their them when where how who why be we my our to by or if and
""")
RUSSIAN = word_list("""
    chto eto kak ty vy my oni tak vot esli tolko mozhno nado nuzhno menya tebya mne spasibo privet
    zdravstvuyte ochen khorosho horosho segodnya seychas kogda gde potomu bylo budet uzhe eshche yeshche pochemu
    konechno davay nichego potom tozhe dlya
""")
"""Written in Latin letters; Cyrillic is found by its script."""
AZERBAIJANI = word_list("""
    və üçün ilə mən sən bəli xeyr deyil yox necə niyə həm həmin hər isə ən çox kimi görə ancaq amma axı indi hanı
""")
FEWEST_WORDS = 2
"""Different words of a list that make a language."""
SHARE = 0.25
"""Of all words; the same text may hold one Azerbaijani word to three foreign ones."""

FOLDED_LETTERS = 20
"""Letters in which at least one of ə ı ş ç ğ ö ü is to be expected: they make up about a fifth of Azerbaijani text."""
SHOUTED_LETTERS = 8
LONGEST_ABBREVIATION = 4

_FOREIGN = {"Turkish": TURKISH, "English": ENGLISH, "Russian": RUSSIAN}
_ANY_FOREIGN = TURKISH | ENGLISH | RUSSIAN
_SPECIAL_LETTER = re.compile("[əışçğöüƏİŞÇĞÖÜ]")
_ASCII_LETTER = re.compile("[A-Za-z]")


def language(item: Transcript) -> Finding | None:
    """Turkish, English, or Russian in Latin letters."""
    if _ANY_FOREIGN.isdisjoint(item.words):
        return None
    own = sum(word in AZERBAIJANI or "ə" in word for word in item.words)
    for name, listed in _FOREIGN.items():
        found = [word for word in item.words if word in listed]
        few = max(FEWEST_WORDS, SHARE * len(item.words), 3 * own)
        if len(found) >= few and len(set(found)) >= FEWEST_WORDS:
            shown = ", ".join(sorted(set(found))[:5])
            return Finding("text.language", f"reads like {name}: {shown}", len(found) / len(item.words), SHARE)
    return None


def ascii_folded(item: Transcript) -> Finding | None:
    """Azerbaijani typed without its special letters (`seher` for səhər), or no Azerbaijani at all.

    Short sentences may lack them by chance: 1.7 % of the sample corpus' do (32 characters on average), and
    0.7 % of it with 25 letters or more.
    """
    if _SPECIAL_LETTER.search(item.text):
        return None
    letters = len(_ASCII_LETTER.findall(item.text))
    if letters < FOLDED_LETTERS:
        return None
    message = f"{letters} letters and none of ə ı ş ç ğ ö ü: typed without them?"
    return Finding("text.ascii_folded", message, letters, FOLDED_LETTERS)


def all_caps(item: Transcript) -> Finding | None:
    """Two or more words without a small letter, other than abbreviations: the casing cannot be recovered."""
    if not item.text.isupper() or len(item.words) < 2 or max(map(len, item.words)) <= LONGEST_ABBREVIATION:
        return None
    letters = sum(map(str.isalpha, item.text))
    if letters < SHOUTED_LETTERS:
        return None
    return Finding("text.all_caps", f"{letters} letters, all of them capitals", letters, SHOUTED_LETTERS)
