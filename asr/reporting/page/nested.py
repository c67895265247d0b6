"""Nested numbers of a metrics file as small tables, whatever their shape: sections may grow without a change here."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from asr.reporting.page.markup import NOTHING, Html, element, joined, percent, table

SKIPPED = "skipped"
"""The key that holds the reason where a section was not measured."""
_RATES = {"wer", "cer", "ser", "recall", "share", "rate", "accuracy", "improvement"}
"""Last or first words of keys whose values are fractions, shown as percent."""
_FIRST = ("wer", "wer_low", "wer_high", "cer", "clips", "words")
"""Columns that are looked for first."""


_NUMBER = re.compile(r"\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Record:
    """Numbers that belong together."""

    path: tuple[str, ...]
    values: Mapping[str, Any]


def shown(content: Any, name: str) -> Html:
    """A section: the reason where it was skipped, else its records, those with the same keys in one table.

    Args:
        content: a section of a metrics file.
        name: of the section; it labels the numbers that stand in it directly.
    """
    if isinstance(content, Mapping) and isinstance(content.get(SKIPPED), str):
        return element("p", f"Not measured: {content[SKIPPED]}.", class_="note")
    alike: dict[tuple[str, ...], list[Record]] = {}
    for record in _records((), content):
        alike.setdefault(tuple(record.values), []).append(record)
    if not alike:
        return element("p", "Nothing recorded.", class_="note")
    return joined(_table(keys, records, name) for keys, records in alike.items())


def readable(key: str) -> str:
    """A key of a metrics file in words."""
    words = key.replace("_", " ")
    return " ".join(word.upper() if word in {"wer", "cer", "ser", "snr"} else word for word in words.split(" "))


def value_text(key: str, value: Any) -> str:
    """One value: rates in percent, counts with separators, other numbers to four digits."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and _is_rate(key):
        return percent(value)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
    if isinstance(value, (list, tuple)):
        return ", ".join(value_text(key, item) for item in value) or NOTHING
    return str(value)


def _table(found: tuple[str, ...], records: list[Record], name: str) -> Html:
    keys = (*(key for key in _FIRST if key in found), *(key for key in found if key not in _FIRST))
    columns = ("", *map(readable, keys))
    rows = [
        (
            " · ".join(map(readable, record.path)) or readable(name),
            *(value_text(key, record.values[key]) for key in keys),
        )
        for record in records
    ]
    return table(columns, rows, readable(name))


def _records(path: tuple[str, ...], content: Any) -> Iterator[Record]:
    """What stands directly under `path` first, then what is nested deeper."""
    entries = list(_entries(content))
    plain = {key: value for key, value in entries if not _is_nested(value)}
    if plain:
        yield Record(path, plain)
    for key, value in entries:
        if _is_nested(value):
            yield from _records((*path, key), value)


def _entries(content: Any) -> Iterator[tuple[str, Any]]:
    """Keys that differ in a number only, such as `snr_5_db` and `5-10`, by that number; a list numbered from 1."""
    if isinstance(content, Mapping):
        items = [(str(key), value) for key, value in content.items()]
        shapes = {_NUMBER.sub("#", key, count=1) for key, _ in items}
        alike = len(shapes) == 1 or all(shape.startswith("#") for shape in shapes)
        yield from sorted(items, key=lambda item: _first_number(item[0])) if alike else items
    elif isinstance(content, (list, tuple)):
        yield from ((str(number), value) for number, value in enumerate(content, 1))
    else:
        yield "value", content


def _first_number(key: str) -> float:
    found = _NUMBER.search(key)
    return float(found[0]) if found else 0.0


def _is_nested(value: Any) -> bool:
    """A list of plain values is itself one value."""
    if isinstance(value, Mapping):
        return True
    return isinstance(value, (list, tuple)) and any(isinstance(item, (Mapping, list, tuple)) for item in value)


def _is_rate(key: str) -> bool:
    words = key.split("_")
    return words[0] in _RATES or words[-1] in _RATES
