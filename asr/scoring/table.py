"""A table as `dvc plots` shows it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """Rows of cells under named columns; a table without rows is its header."""

    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
