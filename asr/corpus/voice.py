"""How much of a clip holds a voice, by the Silero voice activity detector; optional, with `requirements-vad.txt`.

Levels cannot tell a voice from music or traffic; a detector can. This one is a network of 1.2 MB (Silero Team,
https://github.com/snakers4/silero-vad, MIT licence) that looks at windows of 32 ms and remembers those before. Only its
ONNX file is used: importing the package `silero_vad` would load torch.
"""

import importlib
import importlib.metadata
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr.errors import UserError
from asr.pcm import Pcm16

PACKAGES = ("onnxruntime", "silero-vad")
"""Distributions whose versions may change a share."""
MODEL = "silero_vad_16k_sequence.onnx"
"""The network for many windows in one call; its probabilities are those of the file for one window, bit by bit."""
WINDOW = 512
"""Samples that are judged together, 32 ms."""
CONTEXT = 64
"""Samples before a window that the network sees as well."""
BLOCK = 1024
"""Windows in one call, 33 s: bounds the memory for long recordings."""
SPEECH = 0.5
"""Probability from which a window counts as speech; the default of the package."""
_MEMORY = (1, 1, 128)
_ERRORS_ONLY = 3  # severity: the file has weights that nothing reads, and onnxruntime would warn of each


class VoiceDetector:
    """The network, ready to hear clips; each is heard by itself.

    Raises:
        UserError: a package is missing, or is of a release without the network.
    """

    def __init__(self) -> None:
        try:
            runtime: Any = importlib.import_module("onnxruntime")
            model = _model()
        except ModuleNotFoundError as error:  # of a module or of a distribution
            raise _unusable(f"the package {error.name} is missing") from error
        options = runtime.SessionOptions()
        options.intra_op_num_threads = 1  # there is a process for each core already
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        self._session = runtime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])

    def speech_share(self, pcm: Pcm16) -> float:
        """Share of the windows of a clip in which a voice is heard, 0 to 1, rounded to 0.001.

        The same in every run on one type of CPU; elsewhere a window at the very limit may fall on the other side.

        Args:
            pcm: the clip, shape = (samples,) with at least one sample.
        """
        return round(float(np.mean(self.probabilities(pcm) >= SPEECH)), 3)

    def probabilities(self, pcm: Pcm16) -> NDArray[np.float32]:
        """The probability of speech in each window, shape = (windows,); the last is filled up with zeros."""
        windows = -(-pcm.size // WINDOW)
        wave = np.zeros(CONTEXT + windows * WINDOW, np.float32)
        wave[CONTEXT : CONTEXT + pcm.size] = pcm
        wave /= 32_768
        seen = np.lib.stride_tricks.sliding_window_view(wave, CONTEXT + WINDOW)[::WINDOW]  # (windows, 576), no copy
        hidden, cell = np.zeros(_MEMORY, np.float32), np.zeros(_MEMORY, np.float32)
        found = np.empty(windows, np.float32)
        for start in range(0, windows, BLOCK):
            block = np.ascontiguousarray(seen[start : start + BLOCK])
            told, hidden, cell = self._session.run(None, {"input": block, "h": hidden, "c": cell})
            found[start : start + BLOCK] = told
        return found


@cache
def detector() -> VoiceDetector:
    """The one detector of this process, made when it is first wanted.

    Raises:
        UserError: as `VoiceDetector`.
    """
    return VoiceDetector()


def _model() -> Path:
    for file in importlib.metadata.files("silero-vad") or ():
        if file.name == MODEL:
            return Path(str(file.locate()))
    raise _unusable(f"silero-vad {importlib.metadata.version('silero-vad')} has no file {MODEL}")


def _unusable(reason: str) -> UserError:
    return UserError(f"data.vad = true: {reason}; run `pip install -r requirements-vad.txt`, or set data.vad to false")
