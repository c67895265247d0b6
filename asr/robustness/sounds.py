"""Sounds without a word in them, made from a seed.

Every maker gives samples with an RMS of 1, so that a level is a factor. Each takes the number of samples and a
generator, and nothing else decides what comes out.
"""

from collections.abc import Callable, Sequence

import numpy as np

from asr.pcm import SAMPLE_RATE, Pcm16
from asr.robustness.mixing import Wave, speech_level

Maker = Callable[[int, np.random.Generator], Wave]
"""From a number of samples to a sound of RMS 1; digital silence alone has 0."""

LOWEST_HZ = 20.0
"""Pink noise has nothing below: its power would grow without bound where nobody hears it."""
MAINS_HZ = 50.0
HARMONICS = 20
"""Of the mains; the 20th is at 1 kHz."""
CHORD_SECONDS = 0.5
CHORDS_HZ = ((220.0, 277.2, 329.6), (196.0, 246.9, 293.7), (261.6, 329.6, 392.0), (174.6, 220.0, 261.6))
"""A, G, C and F major."""
BREATH_HZ = (300.0, 3000.0)
BREATH_SECONDS = 1.6
"""In or out."""


def silence(samples: int, _: np.random.Generator) -> Wave:
    """Zeros."""
    return np.zeros(samples)


def white(samples: int, random: np.random.Generator) -> Wave:
    """Equal power at all frequencies."""
    return unit(random.standard_normal(samples))


def pink(samples: int, random: np.random.Generator) -> Wave:
    """Power falls by 3 dB an octave from `LOWEST_HZ` on, as that of rooms and streets does, roughly."""

    def gain(hertz: Wave) -> Wave:
        return np.where(hertz < LOWEST_HZ, 0.0, 1 / np.sqrt(np.maximum(hertz, LOWEST_HZ)))

    return _shaped(samples, random, gain)


def hum(samples: int, random: np.random.Generator) -> Wave:
    """50 Hz with harmonics that fall by 6 dB an octave, each in a phase of its own."""
    times = np.arange(samples) / SAMPLE_RATE
    wave = np.zeros(samples)
    for number, phase in enumerate(random.uniform(0, 2 * np.pi, HARMONICS), 1):
        wave += np.sin(2 * np.pi * MAINS_HZ * number * times + phase) / number
    return unit(wave)


def music(samples: int, random: np.random.Generator) -> Wave:
    """Plucked major chords, two a second, in random order; each tone has four partials."""
    length = round(CHORD_SECONDS * SAMPLE_RATE)
    chords = random.integers(len(CHORDS_HZ), size=-(-samples // length))
    return unit(np.concatenate([_chord(CHORDS_HZ[chord], length) for chord in chords])[:samples])


def breath(samples: int, random: np.random.Generator) -> Wave:
    """Noise in the band of the mouth that swells and falls as somebody breathes."""
    low, high = BREATH_HZ

    def gain(hertz: Wave) -> Wave:
        return 1 / (1 + (low / np.maximum(hertz, LOWEST_HZ)) ** 2 + (hertz / high) ** 2)

    air = _shaped(samples, random, gain)
    turn = np.arange(samples) / SAMPLE_RATE / BREATH_SECONDS + random.uniform()
    return unit(air * np.sin(np.pi * turn) ** 2)


def babble(voices: Sequence[Pcm16], samples: int, random: np.random.Generator) -> Wave:
    """Several people at once: each voice at the same speech level, repeated from a random place on."""
    wave = np.zeros(samples)
    for voice in voices:
        start = int(random.integers(len(voice)))
        wave += np.resize(np.roll(voice, -start), samples) / max(1.0, speech_level(voice))
    return unit(wave)


def unit(wave: Wave) -> Wave:
    """The wave at an RMS of 1; silence stays silence."""
    rms = float(np.sqrt(np.mean(wave**2))) if len(wave) else 0.0
    return wave / rms if rms else wave


def _shaped(samples: int, random: np.random.Generator, gain: Callable[[Wave], Wave]) -> Wave:
    """Noise with a given amplitude at each frequency in Hz.

    Cut from a stretch whose length is a power of 2: a transform of another length may take many times as long.
    """
    length = 1 << max(1, samples - 1).bit_length()
    hertz = np.asarray(np.fft.rfftfreq(length, 1 / SAMPLE_RATE), np.float64)
    spectrum = random.standard_normal((2, len(hertz)))
    return unit(np.fft.irfft((spectrum[0] + 1j * spectrum[1]) * gain(hertz), length)[:samples])


def _chord(tones_hz: Sequence[float], samples: int) -> Wave:
    times = np.arange(samples) / SAMPLE_RATE
    partials = [np.sin(2 * np.pi * hertz * k * times) / k for hertz in tones_hz for k in range(1, 5)]
    return np.asarray(np.sum(partials, axis=0) * np.exp(-4 * times), np.float64)
