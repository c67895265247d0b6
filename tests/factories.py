"""Small makers of clips, files and parameters that several test files share."""

import io
from dataclasses import dataclass

import numpy as np
import soundfile
from numpy.typing import NDArray

from asr.audio import decode
from asr.corpus.clips import AudioRef
from asr.params import DataParams
from asr.pcm import SAMPLE_RATE, Decode, Pcm16, Sound


@dataclass(frozen=True)
class ToneAudio:
    """An audio reference that a worker process can rebuild: a tone of its own frequency in Hz."""

    frequency: float
    seconds: float = 0.1

    def sound(self, _: Decode) -> Sound:
        return Sound(pcm16(tone(self.frequency, self.seconds)), "synthesis", SAMPLE_RATE, 1)


def samples_of(audio: AudioRef) -> Pcm16:
    """What a reference decodes to."""
    return audio.sound(decode).pcm


def tone(frequency: float, seconds: float, rate: int = SAMPLE_RATE, amplitude: float = 0.5) -> NDArray[np.float64]:
    """A sine, full scale = 1, shape = (samples,)."""
    return amplitude * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def speech_like(seconds: float, seed: int = 0) -> Pcm16:
    """Noise with four swells a second: no silence, no clipping, other samples for each seed."""
    times = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    swell = 0.55 + 0.45 * np.sin(2 * np.pi * 4 * times)
    return pcm16(np.clip(0.1 * swell * np.random.default_rng(seed).standard_normal(len(times)), -0.9, 0.9))


def pcm16(samples: NDArray[np.float64]) -> Pcm16:
    """Rounded to PCM16."""
    return np.rint(samples * 32767).astype(np.int16)


def encoded(samples: NDArray[np.generic], rate: int = SAMPLE_RATE, kind: str = "WAV", subtype: str = "PCM_16") -> bytes:
    """The bytes of an audio file; samples have shape (frames,) or (frames, channels)."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=kind, subtype=subtype)
    return buffer.getvalue()


def data_params(**changes: object) -> DataParams:
    """The section `data` with plain values, but for `changes`."""
    plain = {
        "source": "sample",
        "path": "",
        "name": None,
        "revision": None,
        "config": None,
        "split": "train",
        "streaming": False,
        "max_clips": None,
        "audio_column": "audio",
        "text_column": "text",
        "group_column": None,
        "split_column": None,
        "duration_column": None,
        "licence": None,
        "encoding": "utf-8",
        "vad": False,
        "language": "az",
        "numbers": "keep",
        "seed": 1,
    }
    return DataParams(**(plain | changes))  # type: ignore[arg-type]  # values of mixed types
