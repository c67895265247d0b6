"""An ugly corpus on disk: a folder of files with a `metadata.jsonl`, and what is planted where."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.ugly import containers, rows, signals, texts
from tests.ugly.fault import Clip, ClipFault, Special
from tests.ugly.good import FIRST, good_clips
from tests.ugly.studio import Studio

CLIP_FAULTS: tuple[ClipFault, ...] = (
    *containers.FAULTS,
    *signals.FAULTS,
    *texts.FAULTS,
    *rows.FAULTS,
)
"""Planted once each; the faults of the manifest as a whole come with them at the clip that sorts first."""
TABLE_FAULTS: tuple[ClipFault, ...] = (
    ClipFault(41, "byte order mark", "text.bom", lambda _: []),
    ClipFault(43, "lines that end in different ways", "text.line_breaks", lambda _: []),
)
"""Of the file `metadata.jsonl`; noted at the clip `FIRST`."""
METADATA, EXTERNAL = "metadata.jsonl", "external"


@dataclass(frozen=True)
class Written:
    """An ugly corpus on disk."""

    folder: Path
    """Holds the clips and their metadata."""
    external: Path
    """Holds the transcripts of an outside test set."""
    good: tuple[str, ...]
    """Names of the clips that have to be kept, those beside faulty ones included."""
    planted: Mapping[ClipFault, tuple[str, ...]]
    """Names of the clips that earn the code of a fault."""

    @property
    def names(self) -> list[str]:
        """All names, in no order."""
        planted = [name for fault, names in self.planted.items() if fault not in TABLE_FAULTS for name in names]
        return [*self.good, *planted]


def write_corpus(folder: Path, seed: int, faults: Sequence[ClipFault] = CLIP_FAULTS) -> Written:
    """Writes a corpus with good clips of every form and each fault once; equal seeds give equal bytes.

    The manifest has a byte order mark and lines that end in two ways.
    """
    studio = Studio(seed)
    corpus = folder / "corpus"
    good = good_clips(studio)
    made = {fault: _named(fault, fault.build(studio)) for fault in faults}
    clips = [*good, *(clip for several in made.values() for clip in several)]
    for clip in clips:
        _write(corpus, clip)
    _write_metadata(corpus / METADATA, clips)
    (folder / EXTERNAL).mkdir()
    (folder / EXTERNAL / "outside.txt").write_text(f"{rows.OUTSIDE}\n", encoding="utf-8")
    planted = {fault: tuple(clip.name for clip in several if clip.faulty) for fault, several in made.items()}
    planted |= dict.fromkeys(TABLE_FAULTS, (FIRST,))
    kept = tuple(clip.name for clip in clips if not clip.faulty)
    return Written(corpus, folder / EXTERNAL, kept, planted)


def _named(fault: ClipFault, clips: list[Clip]) -> list[Clip]:
    """The clips with names; a speaker of their own, unless the fault is about speakers."""
    named = []
    for place, clip in enumerate(clips):
        name = clip.name or f"{fault.number:02d}/{fault.slug}-{place}{clip.extension}"
        named.append(replace(clip, name=name, speaker=clip.speaker or f"{fault.slug}-{place}"))
    return named


def _write(corpus: Path, clip: Clip) -> None:
    if clip.content is Special.ABSENT:
        return
    path = corpus / clip.name
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(clip.content, bytes):
        path.write_bytes(clip.content)
    elif clip.content is Special.FOLDER:
        path.mkdir()
    elif clip.content is Special.FIFO:
        os.mkfifo(path)
    else:
        outside = corpus.parent / "outside.wav"
        outside.write_bytes(b"RIFF")
        path.symlink_to("nothing.wav" if clip.content is Special.DANGLING else outside)


def _write_metadata(path: Path, clips: Sequence[Clip]) -> None:
    lines = [json.dumps(_row(clip), ensure_ascii=False) for clip in clips]
    ended = [line + ("\r\n" if place % 2 else "\n") for place, line in enumerate(lines)]
    path.write_bytes(b"\xef\xbb\xbf" + "".join(ended).encode())


def _row(clip: Clip) -> dict[str, object]:
    return {
        "file_name": clip.name,
        "text": clip.text,
        "speaker": clip.speaker,
        "split": clip.split,
        "seconds": clip.stated,
    }
