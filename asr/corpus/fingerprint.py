"""128 bits by which a recording is known again: after another codec, level, sample rate or padding.

In the spirit of Haitsma & Kalker, "A Highly Robust Audio Fingerprinting System" (ISMIR 2002): signs of energy
differences over time and frequency. Here one clip is one unit, so the moments are placed in the sound itself
(evenly between two quantiles of its cumulative amplitude) and not at fixed steps from the start of the file.
"""

import numpy as np
from numpy.typing import NDArray

from asr.pcm import SAMPLE_RATE, Pcm16

FRAME = 160
"""Samples in a frame of energies: 10 ms."""
MOMENTS, BANDS = 16, 8
"""Rows and columns of the grid of energies; their product is the number of bits."""
WINDOW = 640
"""Samples in a spectrum: 40 ms, long enough that a shift of 10 ms hardly shows; a bin is 25 Hz."""
MIN_SOUND = 0.3
"""Seconds of sound below which there is no fingerprint."""

_EDGES_HZ = (250, 450, 675, 950, 1275, 1675, 2150, 2725, 3400)
"""Mel-spaced and inside the telephone band, so that narrow renderings have the same bits."""
_ENDS = 0.05
"""Share of the cumulative amplitude left out at each end: what a trim, a pad or a codec changes most."""
_BELOW_LOUD = 1e-3
"""Frames quieter than this share of the loud energy (-30 dB) do not place the moments: they are background."""
_FLOOR = 3e-3
"""Share of the strongest cell (-25 dB) that is added to all: weak cells hold noise and what codecs leave out."""
_STEADY = 1 << 14
"""Excess over the mean that sets a bit (0.006 dB): above rounding errors, which would decide for a steady tone."""

_NO_BITS = bytes(MOMENTS * BANDS // 8)
_HANN = np.float32(0.5) - np.float32(0.5) * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW).astype(np.float32)
# Real and imaginary parts lie side by side, so bin k is found at 2k.
_EVENLY = np.arange(MOMENTS) / (MOMENTS - 1)
_CUTS = np.array([2 * round(hz * WINDOW / SAMPLE_RATE) for hz in _EDGES_HZ])


def power_spectra(pcm: Pcm16, energies: NDArray[np.float64], loud: float) -> NDArray[np.float32]:
    """Squared real and imaginary parts of 16 spectra, side by side, shape = (MOMENTS, WINDOW + 2).

    The moments lie evenly over the sounding part: each part of a long clip is heard, weak consonants as well as
    loud vowels, and padding is not.

    Args:
        pcm: the clip, shape = (samples,).
        energies: of its frames, shape = (frames,).
        loud: energy of a loud frame.
    """
    import scipy.fft  # 0.1 s that only the processes need which measure

    if pcm.size < WINDOW:
        pcm = np.pad(pcm, (0, WINDOW - pcm.size))
    windows: Pcm16 = np.ndarray((pcm.size - WINDOW + 1, WINDOW), pcm.dtype, np.ascontiguousarray(pcm), 0, (2, 2))
    amplitude = np.sqrt(energies * (energies > _BELOW_LOUD * loud)).cumsum()
    ends = amplitude[-1] * _ENDS, amplitude[-1] * (1 - _ENDS)
    first, last = np.interp(ends, amplitude, np.arange(FRAME, FRAME * energies.size + 1, FRAME))
    starts = (first - WINDOW // 2 + (last - first) * _EVENLY).astype(np.intp)
    starts = np.minimum(np.maximum(starts, 0), pcm.size - WINDOW)
    power: NDArray[np.float32] = scipy.fft.rfft(windows[starts] * _HANN).view(np.float32)
    power *= power
    return power


def fingerprint(power: NDArray[np.float32]) -> str:
    """32 hexadecimal digits; two clips differ in the bits of their exclusive or. Empty for a steady sound.

    A bit says whether a band at a moment is louder than this band and this moment are on the whole: level and
    colouring of the recording cancel. The logarithm is the bit pattern of the float, which is piecewise linear
    in it (Mitchell 1962): whole numbers, whose sums are the same on every machine.

    Args:
        power: of `power_spectra`, shape = (MOMENTS, WINDOW + 2).
    """
    cells = np.add.reduceat(power[:, : _CUTS[-1]], _CUTS[:-1], axis=1)
    cells += _FLOOR * cells.max()
    logs = cells.view(np.int32).astype(np.float64)
    logs -= np.add.reduce(logs, 1, keepdims=True) / BANDS
    logs -= np.add.reduce(logs, 0) / MOMENTS
    bits = np.packbits(logs > _STEADY).tobytes()
    return bits.hex() if bits != _NO_BITS else ""
