"""What is wrong with a transcript by itself: the rules in the order in which their codes are reported.

A rule looks at one transcript and answers with a `Finding` or nothing. The first finding that rejects is
the reason of the rejection. `docs/bad-data.md` explains every code; `asr/text.py` holds the repairs.
"""

import re

from asr.corpus.findings import Finding
from asr.corpus.transcripts import language, markup, repetition, script
from asr.corpus.transcripts.script import LETTERS
from asr.corpus.transcripts.transcript import Rule, Transcript, transcript

RULES: tuple[Rule, ...] = (
    script.mojibake,
    script.control,
    markup.special_token,
    markup.tag,
    script.empty,
    script.script,
    repetition.loop,
    script.mixed_script,
    script.alphabet,
    language.language,
    language.ascii_folded,
    language.all_caps,
    markup.digits,
    markup.personal,
)
"""Rejecting rules first: a text that cannot be read is not worth a warning."""
AZERBAIJANI_RULES = (script.script, script.alphabet, language.language, language.ascii_folded)
"""They know the letters and words of one language and say nothing about others."""
RULES_ELSEWHERE = tuple(rule for rule in RULES if rule not in AZERBAIJANI_RULES)
"""For a corpus in another language."""
WORD_RULES: tuple[Rule, ...] = (repetition.loop, language.language, language.ascii_folded, language.all_caps)
"""The rules that a plain sentence can break; the others look for characters that it does not have."""

_PLAIN = re.compile(rf"[ .,!?]*[{LETTERS}][{LETTERS} .,!?]*(?:(?<=[{LETTERS}])-[{LETTERS}][{LETTERS} .,!?]*)*")
"""Azerbaijani letters and the commonest punctuation, hyphens inside words: about nine sentences of ten."""


def text_findings(raw: str, text: str, spoken: str = "az") -> tuple[Finding, ...]:
    """Findings of one transcript in the order of `RULES`; none for one that is literally empty.

    Args:
        raw: as the source gives it.
        text: the same, cleaned by `asr.text.clean`.
        spoken: code of the corpus' language.
    """
    if not raw and not text:
        return ()
    if spoken != "az":
        return judged(transcript(raw, text, spoken), RULES_ELSEWHERE)
    if _PLAIN.fullmatch(text) and (raw == text or not script.has_control(raw)):
        return judged(Transcript(raw, text, _plain_words(text)), WORD_RULES)
    return judged(transcript(raw, text, spoken), RULES)


def judged(item: Transcript, rules: tuple[Rule, ...]) -> tuple[Finding, ...]:
    """Findings by the given rules alone."""
    return tuple([finding for rule in rules if (finding := rule(item))])


def _plain_words(text: str) -> list[str]:
    """The words of `transcript` in a third of the time: plain text needs no normal form and no search."""
    small = text.replace("İ", "i").replace("I", "ı").lower()
    return small.replace(",", " ").replace(".", " ").replace("?", " ").replace("!", " ").split()
