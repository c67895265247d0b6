"""What prepare measures of a decoded clip: length, identity and level. Nothing is judged here."""

import hashlib
import math
from dataclasses import dataclass

import numpy as np

from asr.pcm import SAMPLE_RATE, Pcm16

FULL_SCALE = 32_768
SILENCE_DBFS = -120.0
"""Level reported for digital silence, and the lowest reported at all."""


@dataclass(frozen=True)
class Measurements:
    """Length, identity and level of one clip."""

    duration: float
    """Seconds."""
    sha256: str
    """Of the samples as little-endian PCM16."""
    peak: float
    """Largest absolute sample, full scale = 1."""
    rms_dbfs: float
    """Root mean square in dB relative to full scale, at least `SILENCE_DBFS`."""
    clipped: float
    """Share of samples at full scale."""
    dc_offset: float
    """Mean sample, full scale = 1."""


def pcm_bytes(pcm: Pcm16) -> bytes:
    """The samples as little-endian PCM16: what is hashed and stored."""
    return pcm.astype("<i2", copy=False).tobytes()


def measure(pcm: Pcm16) -> Measurements:
    """Measures a clip, shape = (samples,) with at least one sample.

    Sums run over integers, so the figures are the same on every machine.
    """
    wide = pcm.astype(np.int64)
    clipped = int(np.count_nonzero((pcm == FULL_SCALE - 1) | (pcm == -FULL_SCALE)))
    return Measurements(
        duration=pcm.size / SAMPLE_RATE,
        sha256=hashlib.sha256(pcm_bytes(pcm)).hexdigest(),
        peak=max(int(pcm.max()), -int(pcm.min())) / FULL_SCALE,
        rms_dbfs=_dbfs(int(np.dot(wide, wide)) / pcm.size),
        clipped=clipped / pcm.size,
        dc_offset=int(wide.sum()) / pcm.size / FULL_SCALE,
    )


def _dbfs(mean_square: float) -> float:
    if mean_square == 0:
        return SILENCE_DBFS
    return max(SILENCE_DBFS, 10 * math.log10(mean_square / FULL_SCALE**2))
