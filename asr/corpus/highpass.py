"""Removes a constant offset from a clip."""

import numpy as np

from asr.pcm import SAMPLE_RATE, Pcm16

MAX_OFFSET = 0.01
"""Mean sample (full scale = 1) above which a recording has a fault of its hardware rather than a chance bias."""
CORNER = 20.0
"""Hz; a voice begins at about 60."""
FULL_SCALE = 32_768


def without_offset(pcm: Pcm16) -> Pcm16:
    """The clip after a Butterworth high-pass of second order run forwards and backwards: no delay.

    Saturates where the wave, freed of its offset, would leave the range; shape as given.
    """
    from scipy.signal import butter, sosfiltfilt  # few clips need it, and it takes long to import

    sections = butter(2, CORNER, "highpass", fs=SAMPLE_RATE, output="sos")
    pad = min(len(pcm) - 1, SAMPLE_RATE // 10)
    filtered = sosfiltfilt(sections, pcm.astype(np.float64), padlen=pad)
    limited: Pcm16 = np.clip(np.rint(filtered), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
    return limited
