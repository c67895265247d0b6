"""What passes between the rooms of the corpus: a clip of a source, and an utterance of a split."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from asr.errors import UserError
from asr.files import read_jsonl
from asr.pcm import Decode, Pcm16, Sound

SPLITS = ("train", "validation", "test")


class AudioRef(Protocol):
    """Where a clip's sound comes from. Instances are small and can be sent to a worker process."""

    def sound(self, decode: Decode, /) -> Sound:
        """The decoded clip; encoded files go through `decode`.

        Raises:
            AudioError: the clip cannot be decoded faithfully.
        """


@dataclass(frozen=True)
class SourceClip:
    """One clip as its source describes it, before decoding."""

    name: str
    """Source-relative name, unique in the source; empty where the source has none."""
    text: str
    audio: AudioRef
    group: str = ""
    source: str = ""
    split: str = ""
    """One of `SPLITS`, or empty."""
    declared: float | None = None
    """Seconds that the source states; None where it states nothing."""
    notes: tuple[str, ...] = ()
    """Codes of what was repaired or noticed while the source was read (`docs/bad-data.md`)."""
    fault: tuple[str, str] | None = None
    """Code and message where the row itself is unusable, so that its audio is not even opened."""


@dataclass(frozen=True)
class Utterance:
    """One accepted clip of a split, with its orthographic transcript."""

    id: str
    text: str
    duration: float
    """Seconds of audio."""
    group: str
    source: str
    sha256: str
    """Of the stored PCM16 bytes."""
    snr_db: float | None = None
    """Loud against quiet moments, as prepare measured them; None in split files of an older release."""


class Clips(Protocol):
    """Samples by clip id; `asr.corpus.store.ClipStore` is one."""

    def __getitem__(self, clip_id: str, /) -> Pcm16:
        """Samples at 16 kHz."""


def read_split(path: Path) -> list[Utterance]:
    """The utterances of one split file, in the order of their ids.

    Raises:
        UserError: missing file, or rows of another version.
    """
    try:
        return [Utterance(**row) for row in read_jsonl(path)]
    except TypeError as error:
        raise UserError(f"{path}: {error}; run validate again") from error


def read_splits(folder: Path) -> Iterator[tuple[str, list[Utterance]]]:
    """Name and utterances of each split in `folder`."""
    for name in SPLITS:
        yield name, read_split(folder / f"{name}.jsonl")
