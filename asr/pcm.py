"""The one form in which audio is kept: mono PCM16 at 16 kHz; and what is known of the file it came from."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
"""Samples a second of every stored clip (Hz); Whisper's rate."""

Pcm16 = NDArray[np.int16]
"""Mono samples at `SAMPLE_RATE`, shape = (samples,)."""


Encoded = bytes | memoryview
"""The content of an audio file."""


@dataclass(frozen=True)
class Sound:
    """A decoded clip, and what its file was like before."""

    pcm: Pcm16
    encoding: str
    """Container and codec, such as `WAV PCM_16`; `synthesis` where there was no file."""
    rate: int
    """Hz in the file, before resampling."""
    channels: int
    """Channels in the file, before the downmix to their mean."""
    channel_correlation: float = 1.0
    """The smallest Pearson correlation between the first channel and another; 1 for mono and for silence."""
    channel_gap_db: float = 0.0
    """Level of the loudest channel over that of the quietest, at most 120; 0 for mono."""
    notes: tuple[str, ...] = ()
    """Codes of what was repaired or noticed while decoding (`docs/bad-data.md`)."""


class Decode(Protocol):
    """Turns the bytes of an audio file into a `Sound`; `asr.audio.decode` is one."""

    def __call__(self, data: Encoded, name: str, /) -> Sound:
        """The sound in `data`; `name` is what its source calls the file, or empty.

        Raises:
            AudioError: the bytes cannot be decoded faithfully.
        """


class AudioError(Exception):
    """A clip that cannot be decoded: becomes a row with a reason code, never an exception for the user."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
