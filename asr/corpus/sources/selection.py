"""A source opened for reading: parts that processes read on their own, and which clips are taken."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from asr.corpus.clips import SourceClip
from asr.corpus.sources.paths import contained
from asr.pcm import AudioError

MIN_PART, MAX_PART = 256, 2560
"""Clips of a part: small enough to share a corpus out evenly, large enough for about 140 files for 334 hours."""
SHARE = 16
"""Parts that a corpus of middling size is cut into."""


class Part(Protocol):
    """A run of clips that one process reads, decodes and stores; it can be sent to that process."""

    counted_from_here: ClassVar[bool]
    """Whether rows count from the part's own start, because what comes before it is not known yet."""

    def clips(self) -> Iterator[tuple[int, SourceClip]]:
        """The clips with their rows in the source (from 0), in rising order."""

    def state(self) -> str:
        """Whatever tells this part from one with other content; equal states, equal clips."""


@dataclass(frozen=True)
class Source:
    """Clips in source order, in parts."""

    parts: Sequence[Part]
    total: int | None
    """Number of clips where it is known before reading."""
    notes: tuple[str, ...] = ()
    """What the user should know about the reading, a line each."""

    @property
    def clips(self) -> Iterator[tuple[int, SourceClip]]:
        """All clips with their rows, read by this process."""
        for part in self.parts:
            yield from part.clips()


@dataclass(frozen=True)
class ListedPart:
    """Clips that are known one by one."""

    members: tuple[tuple[int, SourceClip], ...]

    counted_from_here: ClassVar[bool] = False

    def clips(self) -> Iterator[tuple[int, SourceClip]]:
        """The members."""
        return iter(self.members)

    def state(self) -> str:
        """The members, with size and time of change of the files behind them."""
        return "\n".join(f"{row} {clip} {_file_state(clip)}" for row, clip in self.members)


def _file_state(clip: SourceClip) -> str:
    root, name = getattr(clip.audio, "root", None), getattr(clip.audio, "name", "")
    if not isinstance(root, Path):
        return ""
    try:
        return file_state(contained(root, name))
    except AudioError as error:
        return str(error)


def file_state(path: Path) -> str:
    """Size and time of change of a file, which tell a changed file from the same one; empty if it is absent."""
    try:
        found = path.stat()
    except OSError:
        return ""
    return f"{found.st_size} {found.st_mtime_ns}"


def part_size(total: int | None) -> int:
    """Clips of a part in a corpus of `total` clips: follows from the corpus alone, never from the machine."""
    if total is None:
        return MAX_PART
    return min(MAX_PART, max(MIN_PART, -(-total // SHARE)))


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


def telling_names(names: Sequence[str], source: str) -> tuple[list[str], tuple[str, ...]]:
    """The names of a data set if they tell its clips apart, else empty ones and a note for the user."""
    given = [name for name in names if name]
    if len(set(given)) == len(given):
        return list(names), ()
    return [""] * len(names), (f"{source}: audio names repeat, so ids are hashes of the samples",)


def listed(clips: Sequence[SourceClip], limit: int | None, seed: int, notes: tuple[str, ...] = ()) -> Source:
    """A source whose clips are all known at once."""
    rows = chosen_rows([clip.name for clip in clips], limit, seed)
    size = part_size(len(rows))
    parts = [
        ListedPart(tuple((row, clips[row]) for row in rows[start : start + size]))
        for start in range(0, len(rows), size)
    ]
    return Source(parts, len(rows), notes)
