"""Clips that decode, refuse or kill, and a run of prepare over them, for the tests of prepare."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from asr.corpus.clips import AudioRef, SourceClip
from asr.corpus.index import Index, IndexRow, read_index
from asr.corpus.prepare import Summary, prepare
from asr.corpus.sources.selection import ListedPart, Source, listed
from asr.corpus.workers import Crew
from asr.pcm import SAMPLE_RATE, AudioError, Decode, Sound
from tests.factories import ToneAudio


@dataclass(frozen=True)
class RefusedAudio:
    code: str

    def sound(self, _: Decode) -> Sound:
        raise AudioError(self.code, "found 3, wanted 4")


@dataclass(frozen=True)
class DeadlyAudio:
    """Ends the process that asks for its samples, whatever the decoder."""

    def sound(self, _: Decode) -> Sound:
        os._exit(1)


@dataclass(frozen=True)
class EmptyAudio:
    def sound(self, _: Decode) -> Sound:
        return Sound(np.zeros(0, np.int16), "synthesis", SAMPLE_RATE, 1)


@dataclass(frozen=True)
class CountedPart:
    """Clips whose rows are known only when the parts before have been read, as in a stream."""

    members: tuple[SourceClip, ...]
    counted_from_here: ClassVar[bool] = True

    def clips(self) -> Iterator[tuple[int, SourceClip]]:
        return enumerate(self.members)

    def state(self) -> str:
        return str(self.members)


def clip(name: str, audio: AudioRef) -> SourceClip:
    return SourceClip(name, f"text of {name}", audio, group=f"group of {name}", source="test", split="train")


def source_of(clips: Sequence[SourceClip]) -> Source:
    return listed(clips, limit=None, seed=1)


def in_parts(clips: Sequence[SourceClip], size: int) -> Source:
    numbered = list(enumerate(clips))
    parts = [ListedPart(tuple(numbered[start : start + size])) for start in range(0, len(clips), size)]
    return Source(parts, len(clips))


def rows_of(index: Index) -> list[IndexRow]:
    return [index.row(place) for place in range(len(index))]


def run_prepare(
    folder: Path, clips: Sequence[SourceClip] | Source, crew: Crew | None = None, key: str = ""
) -> tuple[Summary, list[IndexRow]]:
    source = clips if isinstance(clips, Source) else source_of(clips)
    with crew or Crew(1) as workers:
        summary = prepare(source, folder / "clips", folder / "index.parquet", workers, "CC0-1.0", key)
    return summary, rows_of(read_index(folder / "index.parquet"))


def by_row(rows: list[IndexRow]) -> list[IndexRow]:
    return sorted(rows, key=lambda row: row.row)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def mixed_clips(count: int) -> list[SourceClip]:
    """Named and nameless clips, each seventh refused, each eleventh a copy of the first."""
    clips = []
    for number in range(count):
        audio: AudioRef = ToneAudio(100 + 10 * number)
        if number % 7 == 3:
            audio = RefusedAudio("audio.truncated")
        if number % 11 == 5:
            audio = ToneAudio(100)
        clips.append(clip("" if number % 3 == 0 else f"{number}.wav", audio))
    return clips
