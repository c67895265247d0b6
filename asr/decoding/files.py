"""Transcribes audio files with a trained model: what `python -m asr transcribe` calls."""

from collections.abc import Sequence
from pathlib import Path

from asr.audio import decode_file
from asr.decoding.predict import make_transcriber
from asr.devices import choose_compute
from asr.errors import UserError
from asr.models.build import load
from asr.params import EvaluateParams
from asr.pcm import SAMPLE_RATE, AudioError, Pcm16


def transcribe_files(paths: Sequence[Path], model: Path, params: EvaluateParams) -> list[str]:
    """One text a file, in order.

    Raises:
        UserError: a file cannot be decoded, or is longer than the model's last edge.
    """
    compute = choose_compute(params.device, "fp32", params.threads)
    transcriber = make_transcriber(load(model), params, compute)
    longest = transcriber.edges.seconds[-1]
    clips = [_short_clip(path, longest) for path in paths]
    return [hypothesis.text for hypothesis in transcriber.transcribe(clips, "transcribe")]


def _short_clip(path: Path, longest: float) -> Pcm16:
    try:
        clip = decode_file(path).pcm
    except AudioError as error:
        raise UserError(f"{path}: {error.message} ({error.code})") from error
    if len(clip) > longest * SAMPLE_RATE:
        raise UserError(
            f"{path}: {len(clip) / SAMPLE_RATE:.1f} s, but this model takes {longest:g} s at most; "
            "cut the file at pauses first"
        )
    return clip
