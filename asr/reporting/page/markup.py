"""Pieces of a page: every text is escaped but what is known to be markup, and elements are the only markup."""

import html
from collections.abc import Iterable, Sequence

VOID = frozenset({"img", "hr"})
"""Elements without content, which HTML forbids to close."""
NBSP = "\u00a0"
NOTHING = "–"
"""Stands in a cell for a number that does not exist."""


class Html(str):
    """Markup that may be inserted as it is; any other text is escaped first."""

    __slots__ = ()


def element(name: str, *children: str, **attributes: str) -> Html:
    """One element.

    Args:
        name: of the element.
        children: texts, which are escaped, and markup.
        attributes: `class_` stands for `class`, and any other underscore for a hyphen (`aria_label`).
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(value)}"' for key, value in attributes.items()
    )
    if name in VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{joined(children)}</{name}>")


def joined(pieces: Iterable[str]) -> Html:
    """Texts, which are escaped, and markup, one after the other."""
    return Html("".join(piece if isinstance(piece, Html) else html.escape(piece) for piece in pieces))


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> Html:
    """A table that scrolls sideways on its own where it is wider than the page.

    Args:
        columns: headings.
        rows: cells, the first of each the heading of its row.
        caption: what a screen reader announces; empty where a heading stands right above.
    """
    head = element("tr", *(element("th", name, scope="col") for name in columns))
    body = [
        element("tr", element("th", cells[0], scope="row"), *(element("td", cell) for cell in cells[1:]))
        for cells in rows
    ]
    captions = [element("caption", caption)] if caption else []
    return element(
        "div",
        element("table", *captions, element("thead", head), element("tbody", *body)),
        class_="wide",
        tabindex="0",
        role="region",
        aria_label=caption or "table",
    )


def section(key: str, title: str, *content: str) -> Html:
    """One part of the page, with its heading, that links and screen readers find."""
    return element("section", element("h2", title, id=f"{key}-title"), *content, id=key, aria_labelledby=f"{key}-title")


def folded(title: str, *content: str) -> Html:
    """What few readers want to see at once."""
    return element("details", element("summary", title), *content)


def percent(rate: float | None) -> str:
    """A rate, to two decimals of a percent."""
    return NOTHING if rate is None else f"{100 * rate:.2f}{NBSP}%"


def count(number: int | None) -> str:
    """A number of things."""
    return NOTHING if number is None else f"{number:,}"
