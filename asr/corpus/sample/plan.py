"""The embedded sample corpus: about 4,000 clips of synthesised Azerbaijani, planned from one seed.

Voices and sentences are each partitioned over the splits, so a test clip has a voice and a sentence
that training never heard. Some clips carry only silence or noise and have no text (they teach a model
to stay quiet); `asr.corpus.sample.faults` adds a handful that validation must catch.
"""

from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from asr.corpus.clips import SPLITS, SourceClip
from asr.corpus.sample.faults import faulty_clips, mistyped
from asr.corpus.sample.sentences import sentences
from asr.corpus.sample.speech import ESPEAK_RATE, speak, voices
from asr.pcm import SAMPLE_RATE, Decode, Pcm16, Sound

CLIPS = {"train": 3600, "validation": 240, "test": 320}
"""Spoken clips of each split."""
VOICES = {"validation": 8, "test": 10}
"""Voices heard in one split only; training has all others."""
MISTYPED_EVERY = 300
"""One transcript in so many is typed in a way that validation repairs."""
QUIET_SHARE = 0.03
"""Clips without speech, as a share of the spoken ones."""
FULL_SCALE = 32767

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Room:
    """What surrounds the voice."""

    lead: float
    """Seconds before the voice."""
    tail: float
    """Seconds after the voice."""
    peak: float
    """Largest sample of the voice, full scale = 1."""
    noise: float
    """Standard deviation of the background, full scale = 1; 0 is digital silence."""
    colour: float
    """Exponent of the noise spectrum: 0 white, 1 pink, 2 brown."""
    seed: int

    def filled(self, voice: Floats) -> Pcm16:
        """The voice inside its background, both at 16 kHz."""
        lead, tail = round(self.lead * SAMPLE_RATE), round(self.tail * SAMPLE_RATE)
        wave = np.pad(voice, (lead, tail))
        wave += self.noise * coloured_noise(len(wave), self.colour, np.random.default_rng(self.seed))
        return np.clip(np.rint(wave * FULL_SCALE), -FULL_SCALE, FULL_SCALE).astype(np.int16)


@dataclass(frozen=True)
class SpokenAudio:
    """A sentence spoken in a room."""

    text: str
    voice: str
    words_per_minute: int
    pitch: int
    room: Room

    def sound(self, _: Decode, /) -> Sound:
        """Synthesised anew at each call; the same samples every time."""
        spoken = speak(self.text, self.voice, self.words_per_minute, self.pitch)
        wave = soxr.resample(spoken / 32768.0, ESPEAK_RATE, SAMPLE_RATE, quality="HQ")
        return synthesised(self.room.filled(wave * (self.room.peak / max(float(np.abs(wave).max()), 1e-9))))


@dataclass(frozen=True)
class QuietAudio:
    """A room without a voice."""

    duration: float
    """Seconds."""
    room: Room

    def sound(self, _: Decode, /) -> Sound:
        """Noise, or digital silence."""
        return synthesised(self.room.filled(np.zeros(round(self.duration * SAMPLE_RATE))))


def synthesised(pcm: Pcm16) -> Sound:
    """A sound that never was a file."""
    return Sound(pcm, "synthesis", SAMPLE_RATE, 1)


def coloured_noise(count: int, exponent: float, rng: np.random.Generator) -> Floats:
    """Noise of unit standard deviation whose power falls with frequency to the power `exponent`, shape = (count,)."""
    spectrum = np.fft.rfft(rng.standard_normal(count))
    spectrum *= np.maximum(np.arange(len(spectrum)), 1) ** (-exponent / 2)
    wave = np.fft.irfft(spectrum, count)
    return np.asarray(wave / max(float(wave.std()), 1e-12))


def sample_clips(seed: int) -> list[SourceClip]:
    """All clips of the sample corpus, in a fixed order.

    Args:
        seed: every choice follows from it; two seeds share neither plan nor noise.
    """
    rng = np.random.default_rng(seed)
    drawn = sentences(sum(CLIPS.values()), rng)
    # Small topics run out of new sentences early: without a shuffle the last split would have none of them.
    texts = (drawn[i] for i in rng.permutation(len(drawn)))
    casts = _casts(rng)
    clips: list[SourceClip] = []
    for split in SPLITS:
        for number in range(CLIPS[split]):
            clips.append(_spoken_clip(split, number, next(texts), casts[split], rng))
        for number in range(round(CLIPS[split] * QUIET_SHARE)):
            clips.append(_quiet_clip(split, number, rng))
    return clips + faulty_clips(clips)


def _casts(rng: np.random.Generator) -> dict[str, tuple[str, ...]]:
    shuffled = [voices()[i] for i in rng.permutation(len(voices()))]
    first, second = VOICES["validation"], VOICES["validation"] + VOICES["test"]
    return {
        "validation": tuple(shuffled[:first]),
        "test": tuple(shuffled[first:second]),
        "train": tuple(shuffled[second:]),
    }


def _spoken_clip(split: str, number: int, text: str, cast: tuple[str, ...], rng: np.random.Generator) -> SourceClip:
    voice = cast[int(rng.integers(len(cast)))]
    audio = SpokenAudio(
        text=text,
        voice=voice,
        words_per_minute=int(rng.integers(160, 221)),
        pitch=int(rng.integers(35, 66)),
        room=_room(rng),
    )
    typed = mistyped(text, number // MISTYPED_EVERY) if number % MISTYPED_EVERY == MISTYPED_EVERY - 1 else text
    return SourceClip(f"{split}/{number:05d}.wav", typed, audio, group=f"voice-{voice}", source="sample", split=split)


def _quiet_clip(split: str, number: int, rng: np.random.Generator) -> SourceClip:
    room = _room(rng)
    if number % 4 == 0:
        room = Room(lead=room.lead, tail=room.tail, peak=0, noise=0, colour=0, seed=room.seed)
    audio = QuietAudio(duration=float(rng.uniform(0.5, 4.0)), room=room)
    name = f"{split}/quiet-{number:03d}.wav"
    return SourceClip(name, "", audio, group=f"room-{split}-{number:03d}", source="sample", split=split)


def _room(rng: np.random.Generator) -> Room:
    peak = float(10 ** (rng.uniform(-16, -1) / 20))
    snr_db = float(rng.uniform(12, 45))  # of peak over noise: an unweighted, easy-to-state measure
    return Room(
        lead=float(rng.uniform(0.02, 0.10)),
        tail=float(rng.uniform(0.02, 0.10)),
        peak=peak,
        noise=peak * 10 ** (-(snr_db + 12) / 20),
        colour=float(rng.choice([0.0, 1.0, 2.0])),
        seed=int(rng.integers(2**31)),
    )
