"""Engines that turn clips into text, each as its users call it, all greedy, all from one saved model.

Nothing is forbidden to any of them (`suppress_tokens` empty) and no result is thrown away or tried again, so that the
same weights must give the same words.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from asr.decoding.generate import Transcriber
from asr.features import LogMel, padded_wave
from asr.models.build import SpeechModel, load
from asr.models.tokenizer import TASK, end_id, prefix_ids
from asr.pcm import SAMPLE_RATE, Pcm16
from benchmarks.whisper_formats import to_ctranslate2, to_openai

LANGUAGE = "az"
BATCH = 64
"""Clips at once of the engines without padding."""
GREEDY = {"beam_size": 1, "suppress_blank": False, "suppress_tokens": []}
"""For faster-whisper and CTranslate2."""


@dataclass(frozen=True)
class Peer:
    """One engine, loaded."""

    name: str
    batches_alike: bool
    """Only clips of like length go through it together, so that it needs many clips to fill its batches."""
    transcribe: Callable[[Sequence[Pcm16]], list[str]]
    """Texts in the order of the clips."""


OURS, PIPELINE, FASTER_WHISPER = "ours", "transformers pipeline", "faster-whisper"
"""How the names of these begin."""


@dataclass(frozen=True)
class Place:
    """Where the engines compute."""

    device: torch.device
    dtype: torch.dtype
    """Of this repository's engine and of the pipeline; openai-whisper knows fp32 and, on a GPU, fp16."""
    threads: int
    """Of a CPU."""


def all_peers(folder: Path, where: Place) -> list[Peer]:
    """Every engine that runs on the device, with the model saved in `folder`; this repository's first.

    CTranslate2 and what stands on it are measured on a CPU alone.
    """
    peers = [ours(folder, where, size) for size in (BATCH, 1)]
    peers += [pipeline_peer(folder, where, size) for size in (1, 8, 16)]
    peers += [openai_peer(folder, where, size) for size in (1, 16)]
    if where.device.type == "cpu":
        converted = to_ctranslate2(folder, folder.with_name(f"{folder.name}-ctranslate2"))
        for kind in ("float32", "int8"):
            peers.append(faster_whisper_peer(converted, kind, where.threads))
            peers.append(ctranslate2_peer(folder, converted, kind, where.threads))
    return peers


def ours(folder: Path, where: Place, batch_size: int) -> Peer:
    """The engine of this repository, clips padded to the model's edges."""
    model = load(folder)
    network = model.network.to(where.device, where.dtype)
    log_mel = LogMel(network.config.num_mel_bins).to(where.device)
    engine = Transcriber(network, model.tokenizer, log_mel, model.edges, model.language, 1, batch_size)

    def transcribe(clips: Sequence[Pcm16]) -> list[str]:
        return [hypothesis.text for hypothesis in engine.transcribe(clips, "clips")]

    return Peer(f"{OURS}, batches of {batch_size}", batch_size > 1, transcribe)


def pipeline_peer(folder: Path, where: Place, batch_size: int) -> Peer:
    """The `pipeline("automatic-speech-recognition")` of transformers."""
    from transformers import pipeline

    engine = pipeline("automatic-speech-recognition", model=str(folder), device=where.device, dtype=where.dtype)
    options = {"language": LANGUAGE, "task": TASK, "num_beams": 1, "do_sample": False}

    def transcribe(clips: Sequence[Pcm16]) -> list[str]:
        inputs = [{"raw": full_scale_1(clip), "sampling_rate": SAMPLE_RATE} for clip in clips]
        found = engine(inputs, batch_size=batch_size, generate_kwargs=options, return_timestamps=False)
        return [result["text"].strip() for result in found]

    return Peer(f"{PIPELINE}, batches of {batch_size}", False, transcribe)


def openai_peer(folder: Path, where: Place, batch_size: int) -> Peer:
    """`whisper.decode` of openai-whisper, in fp16 on a GPU as is its default."""
    import whisper

    model = to_openai(folder).to(where.device)
    half = where.device.type == "cuda"
    options = whisper.DecodingOptions(
        TASK, LANGUAGE, suppress_tokens="", suppress_blank=False, without_timestamps=True, fp16=half
    )

    def transcribe(clips: Sequence[Pcm16]) -> list[str]:
        texts: list[str] = []
        for start in range(0, len(clips), batch_size):
            waves = [whisper.pad_or_trim(full_scale_1(clip)) for clip in clips[start : start + batch_size]]
            features = [whisper.log_mel_spectrogram(wave, model.dims.n_mels, device=where.device) for wave in waves]
            texts += [result.text.strip() for result in whisper.decode(model, torch.stack(features), options)]
        return texts

    return Peer(f"openai-whisper, batches of {batch_size}", False, transcribe)


def faster_whisper_peer(converted: Path, kind: str, threads: int) -> Peer:
    """`WhisperModel.transcribe` of faster-whisper, one clip a call, as it has it."""
    from faster_whisper import WhisperModel

    engine = WhisperModel(str(converted), device="cpu", compute_type=kind, cpu_threads=threads, local_files_only=True)
    options: dict[str, Any] = {
        "language": LANGUAGE,
        "task": TASK,
        "temperature": 0.0,
        "without_timestamps": True,
        "condition_on_previous_text": False,
        "vad_filter": False,
        "no_speech_threshold": None,  # these three would drop a text or try again
        "log_prob_threshold": None,
        "compression_ratio_threshold": None,
        **GREEDY,
    }

    def one(clip: Pcm16) -> str:
        segments, _ = engine.transcribe(full_scale_1(clip), **options)
        return "".join(segment.text for segment in segments).strip()

    return Peer(f"{FASTER_WHISPER} {kind}", False, lambda clips: [one(clip) for clip in clips])


def ctranslate2_peer(folder: Path, converted: Path, kind: str, threads: int) -> Peer:
    """CTranslate2 itself in its strongest form: this repository's batches and features, not padded to 30 s."""
    import ctranslate2

    model = load(folder)
    log_mel = LogMel(model.network.config.num_mel_bins)
    engine = ctranslate2.models.Whisper(str(converted), device="cpu", compute_type=kind, intra_threads=threads)
    prefix, end = prefix_ids(model.tokenizer, model.language), end_id(model.tokenizer)

    def features(clips: Sequence[Pcm16], edge: int) -> Any:
        with torch.inference_mode():
            found = log_mel(padded_wave(clips, model.edges.padded_samples(edge)))
        return ctranslate2.StorageView.from_array(np.ascontiguousarray(found.numpy()))

    def transcribe(clips: Sequence[Pcm16]) -> list[str]:
        plan = batches(model, clips)
        # All features first: the threads of PyTorch and of CTranslate2 would keep each other waiting.
        inputs = [features([clips[i] for i in batch], edge) for edge, batch in plan]
        tokens: dict[int, list[int]] = {}
        for (_, batch), view in zip(plan, inputs, strict=True):
            found = engine.generate(view, [prefix] * len(batch), **GREEDY)
            tokens.update((i, result.sequences_ids[0]) for i, result in zip(batch, found, strict=True))
        texts = model.tokenizer.batch_decode([[token for token in tokens[i] if token < end] for i in range(len(clips))])
        return [text.strip() for text in texts]

    return Peer(f"CTranslate2 {kind} without padding, batches of {BATCH}", True, transcribe)


def batches(model: SpeechModel, clips: Sequence[Pcm16]) -> list[tuple[int, list[int]]]:
    """Clips of one edge, at most `BATCH` together, shorter ones first."""
    edges = [model.edges.index(len(clip)) for clip in clips]
    found = []
    for edge in sorted(set(edges)):
        same = sorted((i for i, value in enumerate(edges) if value == edge), key=lambda i: len(clips[i]))
        found += [(edge, same[start : start + BATCH]) for start in range(0, len(same), BATCH)]
    return found


def full_scale_1(clip: Pcm16) -> NDArray[np.float32]:
    """The samples as other engines take them."""
    return clip.astype(np.float32) / np.float32(32768.0)
