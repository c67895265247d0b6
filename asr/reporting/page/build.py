"""Puts the page together: one file without any address in it, whose bytes depend on its inputs alone.

Nothing can be loaded and no other script can run: the content security policy names the page's own script and style by
their hashes. Texts of the corpus stand in elements as escaped text, and in JSON that is no script.
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr.corpus.clips import Clips
from asr.files import write_text
from asr.reporting.page.beyond import beyond
from asr.reporting.page.clips import BrowsedClip, browsed, check_counts
from asr.reporting.page.corpus import card_section, read_rejected, rejected_section
from asr.reporting.page.markup import joined
from asr.reporting.page.origin import origin_section
from asr.reporting.page.pictures import pictures_section
from asr.reporting.page.rates import summary
from asr.reporting.page.sound import embedded
from asr.text import Numbers

TEMPLATES = Path(__file__).parent
SCRIPTS = ("sound.js", "filters.js", "rows.js", "report.js")
"""In this order they are the page's one script."""
_MARKER = re.compile(r"\{\{(\w+)\}\}")


@dataclass(frozen=True)
class PageInputs:
    """All that the page shows."""

    validate: Mapping[str, Any]
    """Content of `metrics/validate.json`; `train` and `evaluate` likewise."""
    train: Mapping[str, Any]
    evaluate: Mapping[str, Any]
    predictions: Sequence[Mapping[str, Any]]
    """Rows of `data/predictions/test.jsonl`."""
    rejected: Path
    """`data/splits/rejected.jsonl`."""
    card: Path
    """`data/splits/README.md`."""
    images: Mapping[str, Path]
    """PNG pictures by name."""
    clips: Clips | None
    """Samples of the test clips; None for a page without sound."""
    params: Mapping[str, Any]
    """Content of `params.yaml`."""
    language: str
    numbers: Numbers


def write_page(path: Path, inputs: PageInputs) -> None:
    """Writes the report.

    Raises:
        UserError: an input is missing, or predictions and metrics are of different runs.
    """
    write_text(path, page(inputs))


def page(inputs: PageInputs) -> str:
    """The report as HTML.

    Raises:
        UserError: an input is missing, or predictions and metrics are of different runs.
    """
    style, script = _read("report.css"), "".join(map(_read, SCRIPTS))
    clips = browsed(inputs.predictions, inputs.language, inputs.numbers)
    content = summary(inputs.evaluate)
    check_counts(clips, inputs.evaluate["test"])
    metrics = {"validate": inputs.validate, "train": inputs.train, "evaluate": inputs.evaluate}
    parts = {
        "style": style,
        "script": script,
        "style_hash": _hash(style),
        "script_hash": _hash(script),
        "summary": content,
        "sections": joined(
            [
                pictures_section(inputs.images),
                beyond(inputs.evaluate),
                card_section(inputs.card),
                rejected_section(read_rejected(inputs.rejected)),
                origin_section(metrics, inputs.params),
            ]
        ),
        "clips": _json({"language": inputs.language, "clips": [clip.as_plain() for clip in clips]}),
        "sounds": _json(_sounds(clips, inputs.clips)),
    }
    return _MARKER.sub(lambda marker: parts[marker[1]], _read("report.html"))


def _sounds(clips: Sequence[BrowsedClip], store: Clips | None) -> Mapping[str, str]:
    if store is None:
        return {}
    return embedded([clip.id for clip in clips], sum(clip.duration for clip in clips), store)


def _read(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _json(content: Mapping[str, Any]) -> str:
    """JSON in which no element can end or begin."""
    written = json.dumps(content, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
    return written.replace("<", "\\u003c")


def _hash(text: str) -> str:
    """As a content security policy names a script or a style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
