"""The catalogue of faults: what each is, what is usually done, and why this project does otherwise where it does."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from asr.corpus.codes import ACTIONS, Action
from tests.ugly import containers, corpus, runs, streams, tables
from tests.ugly.fault import Fault

WORDS = {
    "REJECT": Action.REJECT,
    "FIX": Action.REPAIR,
    "WARN": Action.WARN,
    "STOP": Action.STOP,
    "KEEP": Action.WARN,
}
"""Actions as the catalogue calls them; what is kept and flagged is a warning here."""
ALL_FAULTS: tuple[Fault[Any], ...] = (
    *corpus.CLIP_FAULTS,
    *corpus.TABLE_FAULTS,
    *containers.STUNTS,
    *tables.FAULTS,
    *runs.STOPS,
    *runs.MILD,
    *runs.PREVENTED,
    *streams.STREAMS,
    *streams.STOPS,
)


@dataclass(frozen=True)
class Entry:
    """One numbered fault."""

    text: str
    default: str
    """What is usually done, in words; those in capitals are actions."""
    reason: str = ""
    """Why the project does something that is not among the actions of `default`; empty where it does not."""

    @property
    def defaults(self) -> frozenset[Action]:
        """The actions that `default` names."""
        return frozenset(WORDS[word] for word in re.findall("[A-Z]{3,}", self.default))


REASONS = {
    43: "white space inside a transcript has one meaning, so it is made one space",
    53: "labels and scoring treat digits alike (`data.numbers`); the count shows whether a corpus mixes both habits",
    64: "whether a text fits depends on the tokenizer, so train finds it, before its first step, and names the remedy",
    67: "renderings that only sound alike may be two recordings: a person has to listen",
    68: "the clip leaves the split that is trained on, and the proof then counts zero",
    69: "the clip leaves the split that is trained on, and the proof then counts zero",
    70: ("only a source's own splits can cause it, and rejecting would empty them; without them groups are never torn"),
    84: "counted, so that a stalled source is seen",
    90: "counted, because a cut may fall into a word",
    91: "counted, so that silence is told from a lost stream",
}
"""Why the project does something else than what is usual, by number."""


def _entries(block: str) -> Iterator[tuple[int, Entry]]:
    for line in filter(None, map(str.strip, block.splitlines())):
        number, text, default = (cell.strip() for cell in line.split("|"))
        yield int(number), Entry(text, default, REASONS.get(int(number), ""))


CATALOGUE: Mapping[int, Entry] = dict(
    _entries("""
    1 | missing file, dangling link, no permission | REJECT
    2 | zero bytes | REJECT
    3 | header only, zero samples | REJECT
    4 | WAV, AU or AIFF shorter than its data chunk | REJECT
    5 | Ogg Vorbis, Opus or MP3 cut short | REJECT
    6 | FLAC cut short | REJECT
    7 | decoder hangs or crashes | REJECT
    8 | bit rot | REJECT
    9 | extension does not match content | FIX and WARN
    10 | HTML page, JSON error, Git LFS pointer, plain text | REJECT
    11 | data size 0 or all ones with samples present | FIX
    12 | data size smaller than the samples present | REJECT
    13 | decoded and declared duration differ | REJECT
    14 | absurd sample count | REJECT
    15 | sample rate 0 or huge | REJECT
    16 | channel count 0 or huge | REJECT
    17 | contradictory format fields | REJECT
    18 | rate, channels or width change mid-stream | REJECT
    19 | rare encodings | decode faithfully, else REJECT
    20 | video container or several audio streams | REJECT
    21 | encrypted or DRM | REJECT
    22 | trailing bytes after the last chunk | WARN
    23 | NaN or Inf samples | REJECT
    24 | float samples beyond 1 | REJECT
    25 | silence with a text | REJECT
    26 | silence or noise with an empty text | KEEP
    27 | DC offset | FIX
    28 | clipping | WARN, much of it REJECT
    29 | one dead channel, differing channels | WARN
    30 | stereo in antiphase | REJECT
    31 | other rate than 16 kHz | FIX
    32 | no energy above the telephone band | WARN
    33 | too short | REJECT
    34 | too long for the model's window | REJECT
    35 | long silence at either end | WARN
    36 | very low signal-to-noise ratio | WARN
    37 | tone, beep, music only | WARN
    38 | wrong playback speed | WARN or REJECT
    39 | speech cut at an edge, zeros inside speech | WARN
    40 | empty, white space or punctuation only | REJECT
    41 | not UTF-8; a byte order mark | STOP, or FIX
    42 | UTF-8 read as a code page | FIX or REJECT
    43 | mixed line ends, U+2028 and other separators | parse and count
    44 | NUL, control characters | REJECT
    45 | invisible characters, no-break spaces | FIX
    46 | decomposed letters | FIX
    47 | wrong casing rule applied | FIX
    48 | look-alike letters | FIX, else WARN
    49 | Cyrillic or Arabic script | REJECT
    50 | other language | WARN
    51 | letters outside the alphabet | WARN
    52 | ASCII-folded text | WARN
    53 | digits and signs written two ways | one rule
    54 | apostrophes, dashes, quotes | FIX
    55 | tags | WARN or REJECT
    56 | Whisper special tokens in text | REJECT
    57 | repetition loops | REJECT
    58 | all capitals | WARN
    59 | label longer than the decoder | REJECT
    60 | characters a second out of range | WARN, far out REJECT
    61 | doubled start token or prompt | STOP
    62 | end token missing or masked | STOP
    63 | every label masked | STOP
    64 | CTC: frames fewer than labels and repeats | REJECT
    65 | duplicate id | STOP
    66 | duplicate audio | REJECT
    67 | same audio, different text | REJECT
    68 | same text in two splits | STOP
    69 | nearly the same text in two splits | STOP or WARN
    70 | same speaker or source in two splits | STOP
    71 | overlap with an outside test set | REJECT
    72 | bad path | REJECT
    73 | missing or extra column, wrong type | STOP
    74 | stray quote character | STOP
    75 | zero rows, or all rejected | STOP
    76 | negative, NaN or missing duration or offset | REJECT
    77 | unstable order | FIX
    78 | split depends on row order, library or seed | STOP
    79 | lists of unequal length | STOP
    80 | no licence or source | WARN
    81 | personal data in text | WARN
    82 | checkpoint, vocabulary or normaliser from another manifest | STOP
    83 | unknown or mistyped config key, wrong type | STOP
    84 | chunk of zero length | accept, no effect
    85 | odd byte count, half a sample | carry over; at the end REJECT
    86 | sample formats mixed | REJECT
    87 | rate or channels differ from the declaration | REJECT
    88 | NaN or Inf chunk | REJECT
    89 | gap, repeat or reordering | WARN
    90 | never-ending speech | forced commit
    91 | only noise or silence | empty text
    92 | use after the end, no flush, a chunk larger than the window | STOP, or split
    """)
)
"""By number."""


def codes() -> dict[int, tuple[str, ...]]:
    """The codes that the planted faults of each entry earn, in the order of planting."""
    found: dict[int, dict[str, None]] = defaultdict(dict)
    for fault in ALL_FAULTS:
        found[fault.number][fault.code] = None
    return {number: tuple(several) for number, several in found.items()}


def differs(number: int, known: Mapping[int, tuple[str, ...]]) -> bool:
    """Whether a code of an entry leads to something that its default does not name."""
    return not {ACTIONS[code] for code in known[number]} <= CATALOGUE[number].defaults


def table() -> str:
    """The catalogue with codes and actions, as Markdown."""
    known = codes()
    lines = ["| # | fault | usual | code: what is done here | why not the usual |", "|---|---|---|---|---|"]
    for number, entry in sorted(CATALOGUE.items()):
        done = ", ".join(f"`{code}`: {ACTIONS[code].value}" for code in known.get(number, ()))
        lines.append(f"| {number} | {entry.text} | {entry.default} | {done} | {entry.reason} |")
    return "\n".join(lines)
