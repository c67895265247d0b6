"""What prepare measures of a decoded clip: length, identity, level and faults of the sound. Nothing is judged here.

All levels come from the energies of frames of 10 ms. A *loud* energy is one that 0.1 s of the clip exceeds (5 % of
a clip under 2 s): neither a click nor long pauses move it. A *quiet* energy is the tenth percentile.
"""

import hashlib
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr.corpus.fingerprint import FRAME, MIN_SOUND, MOMENTS, WINDOW, fingerprint, power_spectra
from asr.pcm import SAMPLE_RATE, Pcm16

FULL_SCALE = 32_768
SILENCE_DBFS = -120.0
"""Level reported for digital silence, and the lowest reported at all."""

_LOUD_FRAMES = 10
_SILENT_BELOW_LOUD = 10**-3.5
"""A frame 35 dB below the loud ones is silent."""
_SILENT_ENERGY = FRAME * (FULL_SCALE * 10**-3.25) ** 2
"""So is a frame below -65 dBFS, however quiet the rest is."""
_SILENT_ABOVE_QUIET = 10**0.6
"""And one within 6 dB of the quiet ones, which are the background;"""
_BACKGROUND_BELOW_LOUD = 0.1
"""but never one within 10 dB of the loud ones: a clip without pauses has no background to compare with."""
_LOUD_OVER_MEAN_DB = 5.0
"""Loud frames of speech over the mean of its sounding frames, the median of 120 synthesised sentences."""
_NOISE_ENERGY = FRAME / 12
"""Of the rounding to 16 bits: a pause cannot be quieter and still be a recording."""

_BAND_HZ = 125
_IN_BAND = 10**-5.0
"""Bands of 125 Hz within 50 dB of the strongest count as used: the least that all clean speech passes, while what
codecs leave above telephone speech stays below."""
_NOISE_POWER = 10 * MOMENTS * (_BAND_HZ * WINDOW // SAMPLE_RATE) * WINDOW * 0.375 / 12
"""Ten times what rounding to 16 bits puts into such a band (0.375 is the mean square of the window)."""
_FIRST_BIN = 2
"""Lower bins hold the DC offset."""
_BAND_CUTS = np.maximum(np.arange(0, WINDOW, 2 * _BAND_HZ * WINDOW // SAMPLE_RATE) - 2 * _FIRST_BIN, 0)
_ONES = np.ones(FRAME)


@dataclass(frozen=True)
class Measurements:
    """Length, identity, level and faults of one clip."""

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
    snr_db: float
    """Estimated level of speech over background in dB, 0 to 97; 0 for silence and for an even sound."""
    lead_silence: float
    """Seconds before the first sounding frame; the whole clip where none sounds."""
    tail_silence: float
    """Seconds after the last sounding frame; the whole clip where none sounds."""
    silence: float
    """Share of silent frames."""
    bandwidth: float
    """Upper end in Hz of the highest band of 125 Hz in use; 0 where none is."""
    tone_share: float
    """Share of the energy within 37 Hz of the strongest frequency; 0 where no band is in use."""
    edge_db: float
    """Energy of the louder of the first and last two frames over the loud energy, dB, at least `SILENCE_DBFS`."""
    zero_run: float
    """Seconds of the longest run of exact zeros between first and last sound; runs below 20 ms may count as 0."""
    fingerprint: str
    """128 bits in hexadecimal; empty with less than `MIN_SOUND` seconds of sound, or a steady one."""


NOTHING = Measurements(
    duration=0.0,
    sha256="",
    peak=0.0,
    rms_dbfs=0.0,
    clipped=0.0,
    dc_offset=0.0,
    snr_db=0.0,
    lead_silence=0.0,
    tail_silence=0.0,
    silence=0.0,
    bandwidth=0.0,
    tone_share=0.0,
    edge_db=0.0,
    zero_run=0.0,
    fingerprint="",
)
"""Stands in the index for a clip that could not be decoded."""


def measure(pcm: Pcm16) -> Measurements:
    """Measures a clip, shape = (samples,) with at least one sample.

    The same on every machine: sums run over whole numbers in float64, which is exact in any order; levels are
    rounded to a millionth of a dB, and what comes from spectra to a band, to 0.001 or to a bit.
    """
    peak = max(int(pcm.max()), -int(pcm.min()))
    total, square, energies = _energies(pcm)
    loud, level, snr_db = _levels(np.sort(energies))
    sounding = (energies > level).nonzero()[0]
    lead, tail, silence, zero_run = _silences(pcm, energies, sounding)
    power = power_spectra(pcm, energies, loud)
    bandwidth, tone_share = _spectrum(power)
    return Measurements(
        duration=pcm.size / SAMPLE_RATE,
        sha256=hashlib.sha256(np.ascontiguousarray(pcm, "<i2").data).hexdigest(),
        peak=peak / FULL_SCALE,
        rms_dbfs=_db(square, pcm.size * FULL_SCALE**2),
        clipped=_clipped(pcm) if peak >= FULL_SCALE - 1 else 0.0,
        dc_offset=total / pcm.size / FULL_SCALE,
        snr_db=snr_db,
        lead_silence=lead,
        tail_silence=tail,
        silence=silence,
        bandwidth=bandwidth,
        tone_share=tone_share,
        edge_db=_db(max(_mean(energies[:2]), _mean(energies[-2:])), loud),
        zero_run=zero_run,
        fingerprint=fingerprint(power) if sounding.size * FRAME >= MIN_SOUND * SAMPLE_RATE else "",
    )


def _energies(pcm: Pcm16) -> tuple[float, float, NDArray[np.float64]]:
    """Sum and sum of squares of all samples; and the energy of each whole frame about its mean, shape = (frames,).

    A clip shorter than a frame is padded to one.
    """
    frames = np.empty((-(-pcm.size // FRAME), FRAME))
    wave = frames.reshape(-1)
    wave[: pcm.size], wave[pcm.size :] = pcm, 0
    squares, sums = np.vecdot(frames, frames), np.vecdot(frames, _ONES)
    energies = squares - sums * sums / FRAME
    return float(np.add.reduce(sums)), float(np.add.reduce(squares)), energies[: max(1, pcm.size // FRAME)]


def _levels(ranked: NDArray[np.float64]) -> tuple[float, float, float]:
    """Loud energy, the energy up to which a frame is silent, and the estimated SNR in dB, of sorted energies.

    In the spirit of NIST's STNR (Speech Quality Assurance package), which sets a high percentile of the frame
    energies against the level of the noise; here the loud against the quiet energy, less `_LOUD_OVER_MEAN_DB`.
    Within 3 dB for speech in noise with pauses; without pauses weak speech passes for noise and the estimate is
    too low, by 10 dB or more above 30 dB. Digital silence is no background.
    """
    loud = float(ranked[-1 - min(_LOUD_FRAMES, ranked.size // 20)])
    if loud <= _NOISE_ENERGY:
        return loud, _SILENT_ENERGY, 0.0
    zeros = int(ranked.searchsorted(0.0, "right"))
    quiet = max(float(ranked[zeros + (ranked.size - zeros) // 10]), _NOISE_ENERGY)
    background = min(_SILENT_ABOVE_QUIET * quiet, _BACKGROUND_BELOW_LOUD * loud)
    level = max(_SILENT_ENERGY, _SILENT_BELOW_LOUD * loud, background)
    return loud, level, max(0.0, _db(loud, quiet) - _LOUD_OVER_MEAN_DB)


def _silences(
    pcm: Pcm16, energies: NDArray[np.float64], sounding: NDArray[np.intp]
) -> tuple[float, float, float, float]:
    """Lead and tail in seconds, silent share, and the longest run of zeros between them in seconds.

    Args:
        pcm: the clip, shape = (samples,).
        energies: of its frames, shape = (frames,).
        sounding: places of the frames that are not silent, in order.
    """
    if not sounding.size:
        return pcm.size / SAMPLE_RATE, pcm.size / SAMPLE_RATE, 1.0, 0.0
    first, last = int(sounding[0]), int(sounding[-1]) + 1
    run = 0 if energies[first:last].all() else _longest_zeros(pcm[first * FRAME : last * FRAME])
    after = energies.size - last
    tail = pcm.size - last * FRAME if after else 0  # with the samples after the last whole frame
    return first * FRAME / SAMPLE_RATE, tail / SAMPLE_RATE, 1 - sounding.size / energies.size, run / SAMPLE_RATE


def _longest_zeros(pcm: Pcm16) -> int:
    """Samples of the longest run of zeros between two others."""
    others = np.flatnonzero(pcm)
    return int(np.diff(others).max(initial=1)) - 1


def _spectrum(power: NDArray[np.float32]) -> tuple[float, float]:
    """Bandwidth in Hz and share of the strongest tone, of the spectra of `power_spectra`."""
    mean = np.add.reduce(power, 0)[2 * _FIRST_BIN : WINDOW]
    bands = np.add.reduceat(mean, _BAND_CUTS)
    used = (bands > max(_IN_BAND * float(bands.max()), _NOISE_POWER)).nonzero()[0]
    if not used.size:
        return 0.0, 0.0
    centre = int(mean.argmax()) & ~1
    tone = np.add.reduce(mean[max(0, centre - 2) : centre + 4]) / np.add.reduce(bands)
    return float((used[-1] + 1) * _BAND_HZ), round(float(tone), 3)


def _mean(energies: NDArray[np.float64]) -> float:
    """Of one or two energies; `ndarray.mean` would take ten times as long."""
    return float(energies[0] + energies[-1]) / 2


def _clipped(pcm: Pcm16) -> float:
    """Share of samples at full scale, which is -32767 to some encoders and -32768 to others."""
    return int(np.count_nonzero((pcm >= FULL_SCALE - 1) | (pcm <= 1 - FULL_SCALE))) / pcm.size


def _db(energy: float, reference: float) -> float:
    """Ratio in dB, at least `SILENCE_DBFS`."""
    if energy <= 0 or reference <= 0:
        return SILENCE_DBFS
    return max(SILENCE_DBFS, round(10 * math.log10(energy / reference), 6))
