"""Azerbaijani speech from eSpeak NG, through ctypes: the voice of the embedded sample corpus.

eSpeak keeps state from one utterance to the next (oscillator phases, filters), so the same call gives
other samples later in a process. A fresh copy of the library for each utterance costs about 4 ms and
makes every clip independent of all others. Eleven of the 104 voice variants still differ from run to
run (they read a clock, `rand` or uninitialised memory) and are left out: see EXPERIMENTS.md.
"""

import _ctypes
import ctypes
from functools import cache
from pathlib import Path

import espeakng_loader
import numpy as np
from numpy.typing import NDArray

ESPEAK_RATE = 22_050
"""Samples a second of eSpeak's output (Hz)."""

UNSTABLE_VOICES = frozenset(
    {"Alicia", "Demonic", "Reed", "caleb", "f2", "f3", "f5", "sandro", "victor", "whisper", "whisperf"}
)
"""Variants whose samples differ from run to run."""

_SYNCHRONOUS, _UTF8, _CHARACTERS, _RATE, _PITCH = 2, 1, 1, 1, 3  # constants of espeak-ng's speak_lib.h
_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


@cache
def voices() -> tuple[str, ...]:
    """Names of the voice variants that speak the same samples in every run, sorted."""
    folder = Path(espeakng_loader.get_data_path()) / "voices" / "!v"
    return tuple(sorted({path.name for path in folder.iterdir()} - UNSTABLE_VOICES))


def speak(text: str, voice: str, words_per_minute: int, pitch: int) -> NDArray[np.int16]:
    """Azerbaijani speech.

    Args:
        text: what to say.
        voice: one of `voices()`.
        words_per_minute: 80 to 450.
        pitch: 0 to 100; 50 is the voice's own.

    Returns:
        Samples at `ESPEAK_RATE`, shape = (samples,).
    """
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    try:
        return _speak(library, text.encode(), voice.encode(), words_per_minute, pitch)
    finally:
        library.espeak_Terminate()
        _ctypes.dlclose(library._handle)


def _speak(library: ctypes.CDLL, text: bytes, voice: bytes, words_per_minute: int, pitch: int) -> NDArray[np.int16]:
    chunks: list[NDArray[np.int16]] = []

    def collect(samples: "ctypes._Pointer[ctypes.c_short]", count: int, _: int) -> int:
        if samples and count > 0:
            chunks.append(np.ctypeslib.as_array(samples, shape=(count,)).copy())
        return 0

    callback = _Callback(collect)  # kept in a name: the library holds a bare pointer to it
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, str(espeakng_loader.get_data_path()).encode(), 0)
    assert rate == ESPEAK_RATE, f"eSpeak speaks at {rate} Hz"
    library.espeak_SetSynthCallback(callback)
    failed = library.espeak_SetVoiceByName(b"az+" + voice)
    assert not failed, f"eSpeak has no voice az+{voice.decode()}"
    library.espeak_SetParameter(_RATE, words_per_minute, 0)
    library.espeak_SetParameter(_PITCH, pitch, 0)
    library.espeak_Synth(text, len(text) + 1, 0, _CHARACTERS, 0, _UTF8, None, None)
    return np.concatenate(chunks) if chunks else np.zeros(0, np.int16)
