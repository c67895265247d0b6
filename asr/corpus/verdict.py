"""A verdict on single clips, for notebooks: the rules of prepare and validate, without files or stages.

    >>> from asr.corpus.verdict import verdict
    >>> verdict("clip.wav", "Salam, dünya!")
    {'valid': True, 'issues': [], 'warnings': []}

What needs the rest of a corpus is left out: copies, overlaps of splits, speaking rates of groups.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import soundfile
from numpy.typing import ArrayLike, NDArray

from asr.audio import decode, decode_file
from asr.corpus.clips import AudioRef, SourceClip
from asr.corpus.findings import Finding, corpus_of
from asr.corpus.index import index_of
from asr.corpus.part import decode_clip
from asr.corpus.rules import judge
from asr.params import ValidateParams
from asr.pcm import SAMPLE_RATE, AudioError, Decode, Sound

Audio = str | Path | bytes | ArrayLike
"""A path, the bytes of a file, or samples: int16 or floats in [-1, 1], shape = (samples,) or (samples, channels)."""

_STORED: dict[str, tuple[type[np.generic], str]] = {
    "int16": (np.int16, "PCM_16"),
    "float16": (np.float32, "FLOAT"),
    "float32": (np.float32, "FLOAT"),
    "float64": (np.float64, "DOUBLE"),
}
"""Of each type of sample: the type and the WAV encoding that hold it exactly."""
MAX_WAV_RATE = 1 << 31
"""Hz that libsndfile can write; decoding then asks whether the rate makes sense."""
_ABOUT_TEXT = ("text.", "label.", "signal.silent_with_text", "signal.negative_example")
"""Beginnings of the codes that mean nothing where no transcript is given."""


class Verdict(TypedDict):
    """What is to be said of one clip; every entry reads `code: message`, the first reason first."""

    valid: bool
    """Whether validate would keep the clip: true without issues."""
    issues: list[str]
    warnings: list[str]


DEFAULTS = ValidateParams(
    min_duration=0.1,
    max_duration=30.0,
    max_duration_gap=0.1,
    silence_dbfs=-60.0,
    max_clipped=0.01,
    min_channel_correlation=-0.9,
    min_characters_per_second=1.0,
    max_characters_per_second=25.0,
    max_label_tokens=448,
    tokenizer=None,
    warn_clipped=0.001,
    warn_channel_gap_db=20.0,
    warn_channel_correlation=0.5,
    warn_bandwidth=4100.0,
    warn_silence=1.0,
    warn_snr_db=10.0,
    warn_speech_share=0.3,
    warn_tone_share=0.9,
    warn_edge_db=-10.0,
    warn_zero_run=0.05,
    warn_slow=4.0,
    warn_fast=22.0,
    warn_rate_ratio=1.7,
    near_audio_bits=8,
    near_text_share=0.05,
    overlap_min_characters=10,
    external="data/external",
    earlier="data/earlier",
    max_rejected=0.05,
    validation_share=0.1,
    test_share=0.1,
    block_clips=50,
    seed=1,
)
"""The thresholds of `presets/sample.yaml`, but for clips as long as Whisper's window."""


def verdict(
    audio: Audio,
    text: str | None = None,
    rate: int = SAMPLE_RATE,
    params: ValidateParams | None = None,
    language: str = "az",
) -> Verdict:
    """Whether a clip is fit for training, and if not, why.

    Args:
        audio: a path, the bytes of a file, or samples; broken ones are answered, not raised.
        text: the transcript; empty for a clip that is meant to hold no speech. Without one only the sound is judged,
            as speech.
        rate: Hz of an array; files state their own.
        params: thresholds; those of `DEFAULTS` unless given.
        language: decides how the transcript is read.

    Raises:
        UserError: an unknown language.
    """
    return verdicts([audio], [text], rate, params, language)[0]


def verdicts(
    audios: Sequence[Audio],
    texts: Sequence[str | None] | None = None,
    rate: int = SAMPLE_RATE,
    params: ValidateParams | None = None,
    language: str = "az",
) -> list[Verdict]:
    """The verdict on each of several clips, in their order; arguments as for `verdict`.

    Raises:
        ValueError: texts and clips differ in number.
        UserError: an unknown language.
    """
    known = [None] * len(audios) if texts is None else list(texts)
    if len(known) != len(audios):
        found = f"{len(audios)} clips and {len(known)} texts"
        raise ValueError(f"manifest.length_mismatch: {found}: give one text a clip, None where it has none")
    clips = [SourceClip("", text or "", _reference(audio, rate)) for audio, text in zip(audios, known, strict=True)]
    rows = [replace(decode_clip(n, clip, "", decode)[0], id=f"{n:012d}") for n, clip in enumerate(clips)]
    corpus = corpus_of(index_of(rows), language)
    spoken = np.array([given is None or bool(text) for given, text in zip(known, corpus.texts, strict=True)], np.bool_)
    findings = judge(corpus, params or DEFAULTS, spoken)
    return [_verdict(findings.get(place, []), with_text=known[place] is not None) for place in range(len(rows))]


def _verdict(findings: Sequence[Finding], with_text: bool) -> Verdict:
    told = [finding for finding in findings if with_text or not finding.code.startswith(_ABOUT_TEXT)]
    issues = [f"{finding.code}: {finding.message}" for finding in told if finding.rejects]
    odd = [f"{finding.code}: {finding.message}" for finding in told if not finding.rejects]
    return {"valid": not issues, "issues": issues, "warnings": odd}


def _reference(audio: Audio, rate: int) -> AudioRef:
    if isinstance(audio, str | Path):
        return _File(Path(audio))
    if isinstance(audio, bytes):
        return _Bytes(audio)
    return _Samples(np.asarray(audio), rate)


@dataclass(frozen=True)
class _File:
    path: Path

    def sound(self, _: Decode, /) -> Sound:
        return decode_file(self.path)


@dataclass(frozen=True)
class _Bytes:
    data: bytes

    def sound(self, decode: Decode, /) -> Sound:
        return decode(self.data, "")


@dataclass(frozen=True)
class _Samples:
    """An array; it passes through a WAV in memory, so that every rule of decoding holds for it too."""

    samples: NDArray[Any]
    rate: int

    def sound(self, decode: Decode, /) -> Sound:
        samples = self._checked()
        buffer = io.BytesIO()
        kind, subtype = _STORED[samples.dtype.name]
        soundfile.write(buffer, samples.astype(kind), self.rate, format="WAV", subtype=subtype)
        return decode(buffer.getvalue(), "")

    def _checked(self) -> NDArray[Any]:
        """The samples, if a WAV can hold them.

        Raises:
            AudioError: another type, shape or rate.
        """
        samples = self.samples
        if samples.dtype.name not in _STORED:
            raise AudioError("audio.bad_format", f"samples of type {samples.dtype}: give int16, or floats in [-1, 1]")
        if samples.ndim not in (1, 2):
            raise AudioError("audio.bad_format", f"shape {samples.shape}: give (samples,) or (samples, channels)")
        if not samples.size:
            raise AudioError("audio.no_samples", "the array is empty")
        if samples.ndim == 2 and samples.shape[0] < samples.shape[1]:
            raise AudioError("audio.bad_channels", f"shape {samples.shape} has more channels than samples: turn it")
        if not 0 < self.rate < MAX_WAV_RATE:
            raise AudioError("audio.bad_rate", f"{self.rate} Hz is no sample rate")
        return samples
