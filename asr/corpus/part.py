"""One part of a source: decoded, measured and written by one process.

A part leaves a shard (or several) of the audio store, a table of index rows, and last of all a marker: a
part with a marker that fits is not done again when prepare was killed and is started anew.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from asr.corpus.clips import SourceClip
from asr.corpus.highpass import MAX_OFFSET, without_offset
from asr.corpus.index import SCHEMA, IndexRow, as_table
from asr.corpus.measure import NOTHING, Measurements, measure
from asr.corpus.sources.selection import Part
from asr.corpus.store import ShardWriter
from asr.corpus.voice import detector
from asr.files import write_json
from asr.pcm import AudioError, Decode, Pcm16, Sound

ID_DIGITS = 16
"""Hexadecimal digits of a clip id (64 bits)."""
ROWS = 1024
"""Index rows held as objects before they become a batch of columns."""
SpeechShare = Callable[[Pcm16], float]
"""Share of a clip in which a voice is heard, of samples of shape = (samples,)."""
_NO_SOUND = Sound(np.zeros(0, np.int16), encoding="", rate=0, channels=0)
"""Stands for a clip that could not be decoded."""


@dataclass(frozen=True)
class Job:
    """A part, and where its files go."""

    number: int
    part: Part
    folder: Path
    licence: str
    vad: bool = False
    """Whether to measure the share of speech as well."""

    @property
    def shards(self) -> Path:
        """Folder of the audio store under construction."""
        return self.folder / "clips"

    @property
    def rows(self) -> Path:
        """Index rows of the part, an Arrow file."""
        return self.folder / f"part-{self.number:05d}.arrow"

    @property
    def marker(self) -> Path:
        """Written when all else is."""
        return self.folder / f"part-{self.number:05d}.json"

    def written(self) -> dict[str, int]:
        """Size of each file that the part has written, by name."""
        found = [self.rows, *sorted(self.shards.glob(f"clips-{self.number:05d}-*.arrow"))]
        return {path.name: path.stat().st_size for path in found if path.exists()}

    def is_done(self) -> bool:
        """Whether the files of this very part, with the content its source has today, are all there."""
        try:
            marker = json.loads(self.marker.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return False
        return bool(marker == {"state": _digest(self.part.state()), "files": self.written()})


def decode_part(job: Job, decode: Decode, tick: Callable[[], None]) -> None:
    """Writes the files of a part; `tick` is called after each clip.

    The bytes depend on the part alone.

    Raises:
        UserError: a row of the source does not fit, or a package is missing that `job.vad` needs.
    """
    for path in [job.marker, *job.shards.glob(f"clips-{job.number:05d}-*.arrow")]:
        path.unlink(missing_ok=True)
    state = _digest(job.part.state())
    with pa.OSFile(str(job.rows), "wb") as sink, pa.ipc.new_file(sink, SCHEMA) as table:
        for rows in _batches(_stored(job, decode, tick)):
            table.write_table(as_table(rows))
    write_json(job.marker, {"state": state, "files": job.written()})


def decode_clip(
    row: int, clip: SourceClip, licence: str, decode: Decode, speech_share: SpeechShare | None = None
) -> tuple[IndexRow, Pcm16 | None]:
    """The index row of one clip and its samples, or None where it cannot be decoded.

    Args:
        row: position in the source.
        clip: what to decode.
        licence: terms of the data.
        decode: the decoder.
        speech_share: measures how much of a clip is speech; not measured without it.
    """
    try:
        if clip.fault is not None:
            raise AudioError(*clip.fault)
        sound = clip.audio.sound(decode)
        if not sound.pcm.size:
            raise AudioError("audio.no_samples", "the clip has no samples")
    except AudioError as error:
        return _index_row(row, clip, licence, _NO_SOUND, NOTHING, error), None
    sound, measured = _measured(sound)
    found = _index_row(row, clip, licence, sound, measured)
    return found if speech_share is None else replace(found, speech_share=speech_share(sound.pcm)), sound.pcm


def row_id(row: int) -> str:
    """The id of a clip that has neither a name nor samples."""
    return _digest(f"row {row}")[:ID_DIGITS]


def _stored(job: Job, decode: Decode, tick: Callable[[], None]) -> Iterator[IndexRow]:
    job.shards.mkdir(parents=True, exist_ok=True)
    with ShardWriter(job.shards, job.number) as shards:
        speech_share = detector().speech_share if job.vad else None
        for number, clip in job.part.clips():
            row, pcm = decode_clip(number, clip, job.licence, decode, speech_share)
            if pcm is not None:
                shards.add(row.id, pcm)
            yield row
            tick()


def _batches(rows: Iterator[IndexRow]) -> Iterator[list[IndexRow]]:
    batch: list[IndexRow] = []
    for row in rows:
        batch.append(row)
        if len(batch) == ROWS:
            yield batch
            batch = []
    if batch:
        yield batch


def _measured(sound: Sound) -> tuple[Sound, Measurements]:
    """Measurements of what is stored; the offset is that of the recording."""
    measured = measure(sound.pcm)
    if abs(measured.dc_offset) <= MAX_OFFSET:
        return sound, measured
    mended = replace(sound, pcm=without_offset(sound.pcm), notes=(*sound.notes, "signal.dc_offset"))
    return mended, replace(measure(mended.pcm), dc_offset=measured.dc_offset)


def _index_row(
    row: int, clip: SourceClip, licence: str, sound: Sound, found: Measurements, error: AudioError | None = None
) -> IndexRow:
    return IndexRow(
        id=_digest(clip.name)[:ID_DIGITS] if clip.name else found.sha256[:ID_DIGITS],
        row=row,
        name=clip.name,
        text=clip.text,
        group=clip.group,
        source=clip.source,
        split=clip.split,
        licence=licence,
        declared=clip.declared,
        encoding=sound.encoding,
        rate=sound.rate,
        channels=sound.channels,
        channel_correlation=sound.channel_correlation,
        channel_gap_db=sound.channel_gap_db,
        **vars(found),
        speech_share=None,
        notes=" ".join((*clip.notes, *sound.notes)),
        code=error.code if error else "",
        message=error.message if error else "",
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
