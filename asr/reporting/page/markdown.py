"""The data card as markup: the few forms of Markdown that it is written in."""

import re
from collections.abc import Iterator
from itertools import groupby

from asr.reporting.page.markup import Html, element, folded, joined, table

TOP_LEVEL = 3
"""Headings of a card begin below those of the page."""

_FRONT = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)
_HEADING = re.compile(r"(#{1,4}) +(.+)")
_INLINE = re.compile(r"`([^`]+)`|\*\*([^*]+)\*\*")
_CELL = re.compile(r"(?<!\\)\|")


def card_markup(text: str) -> Html:
    """A card with front matter, headings, paragraphs, lists and tables; code and bold inside them.

    Anything else stays as it was typed.
    """
    front = _FRONT.match(text)
    blocks = joined(_block(block) for block in _blocks(text[front.end() :] if front else text))
    return joined([blocks, folded("Front matter", element("pre", front[1]))]) if front else blocks


def _blocks(text: str) -> Iterator[list[str]]:
    """Lines between empty ones; headings stand alone."""
    for empty, lines in groupby(text.splitlines(), key=lambda line: not line.strip()):
        if empty:
            continue
        for _, run in groupby(lines, key=lambda line: line if _HEADING.match(line) else ""):
            yield list(run)


def _block(lines: list[str]) -> Html:
    heading = _HEADING.match(lines[0])
    if heading:
        level = min(6, len(heading[1]) + TOP_LEVEL - 1)
        return element(f"h{level}", _inline(heading[2]))
    if lines[0].startswith("|") and len(lines) > 1:
        head, _, *rows = [_cells(line) for line in lines]
        return table(head, [(*row, *[""] * (len(head) - len(row)))[: len(head)] for row in rows])
    if lines[0].startswith("- "):
        items = re.split(r"^- ", "\n".join(lines), flags=re.MULTILINE)[1:]
        return element("ul", *(element("li", _inline(" ".join(item.split()))) for item in items))
    return element("p", _inline(" ".join(lines)))


def _cells(line: str) -> list[Html]:
    return [_inline(cell.strip().replace("\\|", "|")) for cell in _CELL.split(line.strip().strip("|"))]


def _inline(text: str) -> Html:
    """Code and bold; all else is text."""
    pieces: list[str] = []
    end = 0
    for found in _INLINE.finditer(text):
        marked = element("code", found[1]) if found[1] else element("b", found[2])
        pieces += [text[end : found.start()], marked]
        end = found.end()
    return joined([*pieces, text[end:]])
