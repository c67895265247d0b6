"""A source opened for reading, and which of its clips are taken when `data.max_clips` limits them."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from asr.corpus.clips import SourceClip


@dataclass(frozen=True)
class Source:
    """Clips in source order, each with its row in the source (from 0), to be read once."""

    clips: Iterable[tuple[int, SourceClip]]
    total: int | None
    """Number of clips where it is known before reading."""
    notes: tuple[str, ...] = ()
    """What the user should know about the reading, a line each."""


def chosen_rows(names: Sequence[str], limit: int | None, seed: int) -> list[int]:
    """At most `limit` rows in rising order, drawn by the hash of the seed and the name (the row where it is empty).

    The first rows of a corpus often are one speaker; a draw by hash is spread over all of it, and adding
    clips to a corpus replaces few of those drawn before.
    """
    if limit is None or limit >= len(names):
        return list(range(len(names)))

    def draw(row: int) -> bytes:
        return hashlib.sha256(f"{seed}:{names[row] or row}".encode()).digest()

    return sorted(sorted(range(len(names)), key=draw)[:limit])


def listed(clips: Sequence[SourceClip], limit: int | None, seed: int, notes: tuple[str, ...] = ()) -> Source:
    """A source whose clips are all known at once."""
    rows = chosen_rows([clip.name for clip in clips], limit, seed)
    return Source(((row, clips[row]) for row in rows), len(rows), notes)
