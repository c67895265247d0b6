"""What a file's own bytes say of its content, and the bounds that every container is held to."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

from asr.pcm import AudioError

MAX_SECONDS = 1800
"""Longest clip that is decoded; Whisper's window is 30 s, so anything near this was never an utterance."""
RECORDING_SECONDS = 12 * 3600
"""Longest recording that is decoded to be cut at its pauses: 1.4 GB of samples."""
_cap: ContextVar[int | None] = ContextVar("cap", default=None)
MIN_RATE, MAX_RATE = 4_000, 192_000
"""Hz."""
MAX_CHANNELS = 8
OPEN_SIZES = (0, 0xFFFFFFFF)
"""Sizes left by a writer that could not seek back to its header."""
PIPE_SIZE = 0x7FFFF000
"""The same, as sox and espeak-ng write it (bytes, rounded down to whole frames)."""

ByteOrder = Literal["big", "little"]


@dataclass(frozen=True)
class Promise:
    """What a decoder must find, or the decoder is wrong or the file is."""

    container: str
    """`WAV`, `OGG`, ...: the first word of `Sound.encoding`."""
    rate: int | None = None
    """Hz, of `frames`."""
    channels: int | None = None
    frames: int | None = None
    """Samples of one channel; None where the bytes do not say."""
    slack: int = 0
    """Frames by which an honest decoder may miss `frames`."""
    limit: int | None = None
    """Frames behind which a decoder may invent some (GSM in WAV); they are not read."""
    notes: tuple[str, ...] = ()
    """Codes of what was mended or noticed."""
    content: bytes | None = None
    """The file with its header mended, in place of the bytes as they came."""
    md5: bytes | None = None
    """Of the integer samples, little-endian and interleaved (FLAC)."""
    bits: int = 0
    """Width of a sample under `md5`."""
    failure: str = "audio.undecodable"
    """Code where the decoder stops early: `audio.truncated` if the last part of the file looks cut."""
    codec: str = ""
    """Name of a codec that libsndfile lacks; another decoder is needed."""


def check_form(rate: int, channels: int) -> None:
    """Raises AudioError for a rate or a number of channels that no speech recording has."""
    if not MIN_RATE <= rate <= MAX_RATE:
        raise AudioError("audio.bad_rate", f"{rate} Hz; accepted are {MIN_RATE} to {MAX_RATE}")
    if not 1 <= channels <= MAX_CHANNELS:
        raise AudioError("audio.bad_channels", f"{channels} channels; accepted are 1 to {MAX_CHANNELS}")


@contextmanager
def recordings() -> Iterator[None]:
    """Inside, files of up to `RECORDING_SECONDS` are decoded: what is to be transcribed is no clip of a corpus."""
    token = _cap.set(RECORDING_SECONDS)
    try:
        yield
    finally:
        _cap.reset(token)


def max_seconds() -> int:
    """Longest file that is decoded here and now."""
    cap = _cap.get()
    return MAX_SECONDS if cap is None else cap


def check_length(frames: int, rate: int) -> None:
    """Raises AudioError for a length that no utterance has, before anything is allocated for it."""
    if frames > max_seconds() * rate:
        seconds = frames // rate
        raise AudioError("audio.header_absurd", f"the header claims {seconds} s; the cap is {max_seconds()} s")


def check_present(claimed: int, present: int, bytes_per_second: int) -> None:
    """Raises AudioError where a header claims more bytes of samples than the file has."""
    if claimed > 0 >= present:
        raise AudioError("audio.no_samples", f"a header that claims {claimed} bytes of samples, and none behind it")
    if claimed > present:
        check_length(claimed, max(bytes_per_second, 1))
        raise AudioError("audio.truncated", f"{present} of the {claimed} bytes of samples are there")


def tail_notes(junk: int, samples: int, bytes_per_second: int, covered: bool) -> tuple[str, ...]:
    """Notes for `junk` bytes behind `samples` bytes of samples that are no chunk.

    Raises:
        AudioError: the header counts them in (`covered`), or they could hold speech: more than 0.1 s and 1 %.
    """
    if junk <= 0:
        return ()
    if covered or junk > max(bytes_per_second / 10, samples / 100):
        message = f"{junk} bytes follow the {samples} bytes of samples in the header, and are no chunk of their own"
        raise AudioError("audio.header_length", message)
    return ("audio.trailing_bytes",)


def whole_frames(size: int, block: int) -> int:
    """Frames in `size` bytes; raises AudioError for a part of a frame."""
    frames, rest = divmod(size, block)
    if rest:
        raise AudioError("audio.bad_format", f"{size} bytes of samples are no whole number of {block}-byte frames")
    return frames


def unsupported(container: str, codec: str) -> Promise:
    """A promise of nothing but a codec that libsndfile lacks."""
    return Promise(container, codec=codec)


def is_chunk_name(name: bytes) -> bool:
    """Whether four bytes may name a chunk of RIFF, IFF or CAF."""
    return len(name) == 4 and all(32 <= letter < 127 for letter in name)
