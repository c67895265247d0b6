"""Levels, and speech in noise at a given signal-to-noise ratio.

The level of speech is its RMS while somebody speaks: frames of 20 ms that are at most 25 dB below the loudest one.
ITU-T P.56 measures active speech in that spirit; the RMS of a whole clip would make clips with long pauses
noisier than others at the same number of dB. The level of noise is its RMS over the clip.
"""

import numpy as np
from numpy.typing import NDArray

from asr.pcm import SAMPLE_RATE, Pcm16

FRAME = SAMPLE_RATE // 50
ACTIVE_BELOW_LOUDEST_DB = 25.0
FULL_SCALE = 32768.0
"""The RMS of 0 dB of full scale, in PCM16 steps."""
PEAK = 32767.0

Wave = NDArray[np.float64]
"""Samples at 16 kHz, shape = (samples,)."""


def speech_level(speech: Pcm16) -> float:
    """RMS of the active frames in PCM16 steps; 0 for silence.

    Args:
        speech: shape = (samples,); what is left behind the last whole frame counts only in a clip without one.
    """
    whole = len(speech) // FRAME * FRAME
    frames = (speech[:whole].reshape(-1, FRAME) if whole else speech.reshape(1, -1)).astype(np.float64)
    power = np.mean(frames**2, axis=1)
    return float(np.sqrt(power[power >= power.max() * 10 ** (-ACTIVE_BELOW_LOUDEST_DB / 10)].mean()))


def mix(speech: Pcm16, noise: Wave, snr_db: float) -> Pcm16:
    """Speech with noise added; where the sum exceeds full scale, both are made quieter and nothing is cut.

    Args:
        speech: shape = (samples,).
        noise: of the same shape, at an RMS of 1.
        snr_db: level of the speech over that of the noise; silence has none and stays as it is.
    """
    mixed = speech + noise * speech_level(speech) * 10 ** (-snr_db / 20)
    peak = float(np.abs(mixed).max())
    return _rounded(mixed * (PEAK / peak) if peak > PEAK else mixed)


def at_level(sound: Wave, dbfs: float) -> Pcm16:
    """A sound of RMS 1 at a level in dB of full scale; peaks must fit below full scale."""
    scaled = sound * FULL_SCALE * 10 ** (dbfs / 20)
    assert np.abs(scaled).max(initial=0.0) <= PEAK, f"{dbfs} dBFS is too loud for this sound"
    return _rounded(scaled)


def quieter(speech: Pcm16, decibels: float) -> Pcm16:
    """The same speech from further away: scaled down and rounded, as a converter would have stored it."""
    return _rounded(speech.astype(np.float64) * 10 ** (-decibels / 20))


def _rounded(wave: Wave) -> Pcm16:
    return np.rint(wave).astype(np.int16)
