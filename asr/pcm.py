"""The one form in which audio is kept: mono PCM16 at 16 kHz."""

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
"""Samples a second of every stored clip (Hz); Whisper's rate."""

Pcm16 = NDArray[np.int16]
"""Mono samples at `SAMPLE_RATE`, shape = (samples,)."""


class AudioError(Exception):
    """A clip that cannot be decoded: becomes a row with a reason code, never an exception for the user."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
