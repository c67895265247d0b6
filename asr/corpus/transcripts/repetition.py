"""The rule over repetition loops, as recognisers write them and pseudo-labels keep them.

Azerbaijani doubles words (`yavaş-yavaş`, `bir bir`) and repeats them for emphasis (`çox çox çox`,
`sağ ol, sağ ol, sağ ol`); phone numbers and codes repeat numerals. What is allowed: a word or a pair of
words three times, longer phrases twice, numerals eight times, one letter seven times, a syllable four times.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from asr.corpus.findings import Finding
from asr.corpus.transcripts.transcript import Transcript, excerpt, word_list

MOST_WORDS = {1: 3, 2: 3}
"""How often a unit of so many words may stand in a row; longer ones `MOST_PHRASES` times."""
MOST_PHRASES = 2
MOST_NUMERALS = 8
MOST_LETTERS = 7
MOST_SYLLABLES = 4
LONGEST_PHRASE = 20
"""Words in the longest unit looked for."""

_NUMERALS = word_list("""
    sıfır bir iki üç dörd beş altı yeddi səkkiz doqquz on iyirmi otuz qırx əlli altmış yetmiş səksən doxsan yüz min
""")
_LETTERS = re.compile(rf"([^\W\d_])\1{{{MOST_LETTERS},}}")
_SYLLABLES = re.compile(rf"([^\W\d_]\D{{1,3}}?)\1{{{MOST_SYLLABLES},}}")
_FEWEST_REPEATED_WORDS = 3
_FEWEST_REPEATED_LETTERS = 7


def loop(item: Transcript) -> Finding | None:
    """The same word, phrase, syllable or letter more often in a row than anyone says it."""
    words = item.words
    # Any loop of words leaves three or more that have occurred before, any loop of letters seven or more.
    repeated = len(words) - len(set(words))
    if repeated >= _FEWEST_REPEATED_WORDS:
        found = _loop_of_words(words, repeated)
        if found:
            return found
    for word in words:
        if len(word) > _FEWEST_REPEATED_LETTERS and len(word) - len(set(word)) >= _FEWEST_REPEATED_LETTERS:
            found = _loop_of_letters(word)
            if found:
                return found
    return None


def _loop_of_words(words: Sequence[str], repeated: int) -> Finding | None:
    # A unit that stands three times or more has repeated all its words twice or more.
    for size in range(1, min(LONGEST_PHRASE, repeated // MOST_PHRASES) + 1):
        for start, times in _runs(words, size):
            unit = words[start : start + size]
            numerals = all(word in _NUMERALS or word.isdecimal() for word in unit)
            most = MOST_NUMERALS if numerals else MOST_WORDS.get(size, MOST_PHRASES)
            if times > most:
                return _finding(" ".join(unit), times, most)
    return None


def _runs(words: Sequence[str], size: int) -> Iterator[tuple[int, int]]:
    """Where a unit of `size` words begins to follow itself, and how often it stands there."""
    start = 0
    same = (word == later for word, later in zip(words, words[size:], strict=False))
    for repeated, run in groupby(same):
        length = len(list(run))
        if repeated:
            yield start, length // size + 1
        start += length


def _loop_of_letters(word: str) -> Finding | None:
    for pattern, most in ((_LETTERS, MOST_LETTERS), (_SYLLABLES, MOST_SYLLABLES)):
        found = pattern.search(word)
        if found:
            return _finding(found[1], len(found[0]) // len(found[1]), most)
    return None


def _finding(unit: str, times: int, most: int) -> Finding:
    return Finding("text.loop", f"{excerpt(unit)} {times} times in a row; the most is {most}", times, most)
