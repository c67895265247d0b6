"""The rules that a clip must pass: one function a rule, in the order in which codes are reported.

A rule sees the index row, never the audio, and answers with a `Finding` or with nothing. The first
finding is the reason of the rejection; all of them are kept. `docs/bad-data.md` explains every code.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from asr.corpus.index import IndexRow
from asr.params import ValidateParams

_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]")
"""Control characters other than tab and line ends, which cleaning turns into spaces."""
_SPECIAL_TOKEN = re.compile(r"<\|[^|<>]*\|>")


@dataclass(frozen=True)
class Candidate:
    """An index row with its transcript repaired."""

    row: IndexRow
    text: str
    """Cleaned by `asr.text.clean`; empty for a clip that is to be heard as silence."""
    repairs: tuple[str, ...]
    key: str
    """`text` normalised for scoring: what makes two transcripts the same."""


@dataclass(frozen=True)
class Finding:
    """Why a clip is not kept."""

    code: str
    message: str
    value: float | None = None
    """What was measured, in the unit of `limit`; absent where the rule measures nothing."""
    limit: float | None = None


Rule = Callable[[Candidate, ValidateParams], Finding | None]


def judge(candidate: Candidate, params: ValidateParams) -> list[Finding]:
    """What is wrong with one clip by itself, first reason first; a clip without samples has only that one."""
    row = candidate.row
    if row.code:
        return [Finding(row.code, row.message)]
    return [finding for rule in RULES if (finding := rule(candidate, params))]


def duplicates(candidates: Iterable[Candidate]) -> dict[str, Finding]:
    """Findings by clip id for clips whose samples are equal.

    The copy with the lowest row stays. Where the transcripts differ no copy can be trusted, so all go.
    """
    copies: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        copies[candidate.row.sha256].append(candidate)
    findings: dict[str, Finding] = {}
    for same in copies.values():
        if len(same) > 1:
            findings.update(_judge_copies(sorted(same, key=lambda copy: (copy.row.row, copy.row.id))))
    return findings


def _judge_copies(same: list[Candidate]) -> dict[str, Finding]:
    first = same[0].row
    if len({copy.key for copy in same}) > 1:
        rows = ", ".join(str(copy.row.row) for copy in same[:10])
        message = f"the audio of rows {rows} is the same but their texts differ: keep the right one in the source"
        return {copy.row.id: Finding("manifest.conflicting_text", message) for copy in same}
    message = f"the same audio and text as clip {first.id} (row {first.row})"
    return {copy.row.id: Finding("manifest.duplicate_audio", message) for copy in same[1:]}


def _too_short(candidate: Candidate, params: ValidateParams) -> Finding | None:
    duration, limit = candidate.row.duration, params.min_duration
    if duration >= limit:
        return None
    return Finding("signal.too_short", f"{duration:g} s; the least is {limit:g} s", duration, limit)


def _too_long(candidate: Candidate, params: ValidateParams) -> Finding | None:
    duration, limit = candidate.row.duration, params.max_duration
    if duration <= limit:
        return None
    return Finding("signal.too_long", f"{duration:g} s; the most is {limit:g} s: cut it up", duration, limit)


def _silent_with_text(candidate: Candidate, params: ValidateParams) -> Finding | None:
    level, limit = candidate.row.rms_dbfs, params.silence_dbfs
    if level >= limit or not candidate.text:
        return None
    return Finding("signal.silent_with_text", f"{level:g} dBFS is silence, yet there is a text", level, limit)


def _control(candidate: Candidate, _: ValidateParams) -> Finding | None:
    found = _CONTROL.search(candidate.row.text)
    if not found:
        return None
    return Finding("text.control", f"control character U+{ord(found.group()):04X} at position {found.start()}")


def _special_token(candidate: Candidate, _: ValidateParams) -> Finding | None:
    found = _SPECIAL_TOKEN.search(candidate.text)
    return Finding("text.special_token", f"{found.group()} would become part of the label") if found else None


def _empty(candidate: Candidate, _: ValidateParams) -> Finding | None:
    # A text that is literally empty is a wanted example of silence or noise.
    if not candidate.text or any(map(str.isalnum, candidate.text)):
        return None
    return Finding("text.empty", f"'{candidate.text[:40]}' holds no letter and no digit")


def _character_rate(candidate: Candidate, params: ValidateParams) -> Finding | None:
    characters, duration = len(candidate.text), candidate.row.duration
    low, high = params.min_characters_per_second, params.max_characters_per_second
    if not characters or not duration or low <= characters / duration <= high:
        return None
    rate = characters / duration
    message = f"{rate:.1f} characters a second; {low:g} to {high:g} are plausible: text and audio may not match"
    return Finding("text.char_rate", message, rate, low if rate < low else high)


def _label_too_long(candidate: Candidate, params: ValidateParams) -> Finding | None:
    characters, limit = len(candidate.text), params.max_label_characters
    if characters <= limit:
        return None
    return Finding("label.too_long", f"{characters} characters; the most is {limit}", characters, limit)


RULES: tuple[Rule, ...] = (
    _too_short,
    _too_long,
    _silent_with_text,
    _control,
    _special_token,
    _empty,
    _character_rate,
    _label_too_long,
)
