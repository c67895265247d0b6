"""Transcribes audio files with a trained model: what `python -m asr transcribe` calls."""

from collections.abc import Sequence
from pathlib import Path

from asr.audio import decode_recording
from asr.decoding.longform import Transcript, transcribe_recordings
from asr.decoding.predict import make_transcriber
from asr.devices import choose_compute
from asr.errors import UserError
from asr.models.build import load
from asr.params import EvaluateParams
from asr.pcm import AudioError, Pcm16


def transcribe_files(paths: Sequence[Path], model: Path, params: EvaluateParams) -> list[Transcript]:
    """One transcript a file, in order.

    Raises:
        UserError: no model, or a file cannot be decoded; it is named.
    """
    compute = choose_compute(params.device, "fp32", params.threads)
    transcriber = make_transcriber(load(model), params, compute)
    return transcribe_recordings(transcriber, [_samples(path) for path in paths])


def _samples(path: Path) -> Pcm16:
    try:
        return decode_recording(path).pcm
    except AudioError as error:
        raise UserError(f"{path}: {error.message} ({error.code})") from error
