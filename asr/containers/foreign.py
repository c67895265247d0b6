"""Codecs that libsndfile lacks, through the ffmpeg command that librosa's `audioread` fallback looks for."""

import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr.containers.promise import Promise, check_form, check_length
from asr.pcm import AudioError

ADVICE = "convert it with `ffmpeg -i in -ar 16000 -ac 1 out.wav`, or install ffmpeg"


def decoded(data: bytes, promise: Promise) -> tuple[NDArray[np.float32], int]:
    """All samples, shape = (frames, channels), full scale = 1, and their rate in Hz.

    Raises:
        AudioError: no decoder is installed, or the one there cannot read the file.
    """
    backends = _backends()
    if not backends:
        raise AudioError("audio.unsupported_codec", f"{_name(promise)}: {ADVICE}")
    with tempfile.TemporaryDirectory(prefix="asr-") as folder:
        path = Path(folder) / "audio"
        path.write_bytes(data)
        return _load(path, backends, promise)


def _name(promise: Promise) -> str:
    return promise.codec if promise.codec == promise.container else f"{promise.container} with {promise.codec}"


def _backends() -> list[Any]:
    """Decoders that are installed, without the one that only reads what libsndfile reads."""
    import audioread  # seldom needed, and it looks for commands
    from audioread.rawread import RawAudioFile  # type: ignore[import-untyped]  # it ships no types

    return [backend for backend in audioread.available_backends() if backend is not RawAudioFile]


def _load(path: Path, backends: list[Any], promise: Promise) -> tuple[NDArray[np.float32], int]:
    import audioread
    import librosa

    try:
        with audioread.audio_open(str(path), backends) as reader, warnings.catch_warnings():
            # librosa calls its own use of audioread deprecated; a reader object skips its first, failing attempt.
            warnings.simplefilter("ignore", FutureWarning)
            check_form(reader.samplerate, reader.channels)
            check_length(int(reader.duration * reader.samplerate), reader.samplerate)
            samples, rate = librosa.load(reader, sr=None, mono=False)
    except (audioread.DecodeError, EOFError, OSError) as error:
        words = f"{type(error).__name__} {error}".strip()
        raise AudioError("audio.undecodable", f"{_name(promise)} cannot be decoded: {words}") from error
    return np.atleast_2d(samples).T, int(rate)
