"""The corpus on the page: its data card, and what was rejected for which reason."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr.errors import UserError
from asr.files import read_jsonl
from asr.reporting.page.markdown import card_markup
from asr.reporting.page.markup import NOTHING, Html, count, element, folded, joined, section, table

MOST_REJECTED = 200
"""Rejected clips shown one by one; the reasons share them evenly."""


@dataclass(frozen=True)
class RejectedClip:
    """What the page shows of a row of `data/splits/rejected.jsonl`."""

    id: str
    name: str
    code: str
    value: float | None
    limit: float | None
    message: str


def read_rejected(path: Path) -> list[RejectedClip]:
    """The rows of the ledger.

    Raises:
        UserError: the file is missing, or a row lacks a key.
    """
    return [_rejected(path, row) for row in read_jsonl(path)]


def card_section(path: Path) -> Html:
    """The data card.

    Raises:
        UserError: there is none.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UserError(f"{path}: missing; run the stage that writes it (`dvc repro validate`)") from error
    return section("card", "The data", card_markup(text))


def rejected_section(rejected: Sequence[RejectedClip]) -> Html:
    """Reasons by how often they occur, and examples of each."""
    if not rejected:
        return section("rejected", "Rejected clips", element("p", "No clip was rejected.", class_="note"))
    counts = Counter(clip.code for clip in rejected)
    codes = sorted(counts, key=lambda code: (-counts[code], code))
    examples = _examples(rejected)
    listed = count(sum(map(len, examples.values())))
    note = (
        f"{count(len(rejected))} clips, each under the first of its reasons, {listed} of them with what was measured; "
        "data/splits/rejected.jsonl names every clip with all of its reasons."
    )
    folds = [folded(_reason(code, counts[code]), _example_table(code, examples[code])) for code in codes]
    return section("rejected", "Rejected clips", element("p", note, class_="note"), *folds)


def _reason(code: str, clips: int) -> Html:
    return joined([element("b", count(clips)), element("code", code)])


def _examples(rejected: Iterable[RejectedClip]) -> Mapping[str, list[RejectedClip]]:
    """`MOST_REJECTED` by code, or one of each: the first of every code, the second of every code, and so on."""
    by_code: dict[str, list[RejectedClip]] = defaultdict(list)
    for clip in sorted(rejected, key=lambda clip: (clip.id, clip.name)):
        by_code[clip.code].append(clip)
    ranked = sorted((rank, code) for code, clips in by_code.items() for rank in range(len(clips)))
    shares = Counter(code for _, code in ranked[: max(MOST_REJECTED, len(by_code))])
    return {code: clips[: shares[code]] for code, clips in by_code.items()}


def _example_table(code: str, clips: Sequence[RejectedClip]) -> Html:
    rows = [(clip.name or clip.id, clip.id, _number(clip.value), _number(clip.limit), clip.message) for clip in clips]
    return table(("clip", "id", "value", "limit", "why"), rows, code)


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.4g}"


def _rejected(path: Path, row: Mapping[str, Any]) -> RejectedClip:
    try:
        return RejectedClip(**{name: row[name] for name in RejectedClip.__dataclass_fields__})
    except KeyError as error:
        raise UserError(f"{path}: a row without {error}; run validate again") from error
