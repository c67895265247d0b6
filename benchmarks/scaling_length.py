"""What a clip costs by its length, in training and in transcription, next to the arithmetic that it needs.

A batch holds equal seconds of clips whatever their length, so that the same audio passes through the model; what is
left to see is attention, which grows with the square of the length, and the overhead of many short clips. The
clips are noise: what a step costs depends on shapes alone. The model has random weights and would never end a text,
so each clip is decoded until it has as many tokens as are spoken in its time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any
from unittest.mock import patch

import numpy as np

from asr.corpus.clips import Utterance
from asr.corpus.edges import POSITIONS_PER_SECOND
from asr.decoding import generate
from asr.decoding.generate import Transcriber
from asr.devices import choose_compute, make_deterministic
from asr.features import Edges, LogMel
from asr.models.build import SpeechModel
from asr.models.tokenizer import end_id, prefix_ids
from asr.params import load_params
from asr.pcm import SAMPLE_RATE, Pcm16
from asr.training.batches import MicroBatch
from asr.training.data import TrainingSet
from asr.training.loaded import load
from asr.training.objective import Objective
from asr.training.progress import Progress
from asr.training.trainer import Trainer, make_trainer
from asr.training.update import take_step
from benchmarks.flops import STEP, forward_flops
from benchmarks.records import spread
from benchmarks.tiny import LANGUAGE, Size, whisper

PRESET = Path(__file__).resolve().parent.parent / "presets" / "azerbaijani-whisper-tiny.yaml"
LENGTHS = (1, 2, 3, 5, 10, 20, 30)
"""Seconds; each is an edge."""
EDGES = Edges(tuple(map(float, LENGTHS)), tail=0.0)
TOKENS_PER_SECOND = 7.3
"""About 25 for a clip of 3.42 s, the mean of LocalDoc/azerbaijani_asr."""
COMPARED = (30, 3)
"""The lengths whose costs are set in proportion: the padding of the usual recipe, and a usual clip."""
KINDS = ("training", "transcription")
"""Methods of `Bench` that are timed."""

Seconds = dict[tuple[str, int], list[float]]
"""Of a batch, by what was done and the clips' length; one entry a round."""


@dataclass(frozen=True)
class Bench:
    """A model that learns, one with the same weights that transcribes, and clips for both."""

    trainer: Trainer
    transcriber: Transcriber
    batches: dict[int, MicroBatch]
    """For each length, clips of it."""

    def training(self, length: int) -> None:
        """A step with all that belongs to it: reading, features, forward, backward, guards, update."""
        loaded = load(self.trainer.data, self.batches[length])
        measured = take_step(self.trainer, Progress(), [loaded])
        assert not measured.fault, measured.fault

    def transcription(self, length: int) -> None:
        """From samples to text."""
        data = self.trainer.data
        clips = [data.clips[data.utterances[place].id] for place in self.batches[length].clips]
        # The end is forbidden, so that the cap alone decides how long a text gets.
        with patch.multiple(generate, TOKENS_PER_SECOND=0, SPARE_TOKENS=tokens_of(length)):
            found = self.transcriber.transcribe(clips, "clips")
        assert all(hypothesis.capped for hypothesis in found), "a text has ended before its time"


def measured(size: Size, batch_seconds: int, rounds: int, threads: int) -> dict[str, Any]:
    """Figures by length: milliseconds and operations a clip, and the rate that follows from both."""
    make_deterministic()  # as the stages do on a CPU
    bench = make_bench(size, batch_seconds, threads)
    seconds: Seconds = {(name, length): [] for name in KINDS for length in LENGTHS}
    for turn in range(rounds + 1):
        for length in LENGTHS[:: 1 if turn % 2 else -1]:
            for name in KINDS:
                start = perf_counter()
                getattr(bench, name)(length)
                wall = perf_counter() - start
                print(f"{name}, {length} s: {wall:.3f} s a batch", flush=True)
                seconds[name, length] += [wall] * (turn > 0)
    return dict(_figures(bench, seconds))


def make_bench(size: Size, batch_seconds: int, threads: int) -> Bench:
    """Batches of `batch_seconds` of clips of each length."""
    compute = choose_compute("cpu", "fp32", threads)
    learner, fixed = (replace(whisper(size), edges=EDGES) for _ in range(2))
    params = replace(load_params(PRESET).train, ctc_weight=0.0, compile=False)
    data, batches = _clips(learner, batch_seconds)
    objective = Objective(learner.network, end_id(learner.tokenizer), params.label_smoothing, params.ctc_weight)
    trainer = make_trainer(params, data, objective.train(), compute)
    fixed.network.generation_config.suppress_tokens = [end_id(fixed.tokenizer)]
    log_mel = LogMel(fixed.network.config.num_mel_bins)
    most = max(len(batch.clips) for batch in batches.values())
    transcriber = Transcriber(fixed.network, fixed.tokenizer, log_mel, EDGES, LANGUAGE, 1, most)
    return Bench(trainer, transcriber, batches)


def tokens_of(length: int) -> int:
    """Text tokens that are spoken in so many seconds."""
    return round(TOKENS_PER_SECOND * length)


def operations(bench: Bench, length: int) -> float:
    """Of one clip, forward, all tokens at once (FLOPs)."""
    config = bench.transcriber.model.config
    return forward_flops(config, length * POSITIONS_PER_SECOND, len(bench.trainer.data.prefix) + tokens_of(length))


def _clips(model: SpeechModel, batch_seconds: int) -> tuple[TrainingSet, dict[int, MicroBatch]]:
    """Noise with random tokens as its text."""
    rng = np.random.default_rng(1)
    utterances: list[Utterance] = []
    samples: dict[str, Pcm16] = {}
    texts: list[list[int]] = []
    batches = {}
    for edge, length in enumerate(LENGTHS):
        places = range(len(texts), len(texts) + max(1, batch_seconds // length))
        batches[length] = MicroBatch(edge, tuple(places))
        for place in places:
            utterances.append(Utterance(f"clip{place}", "", float(length), "g", "noise", ""))
            samples[f"clip{place}"] = rng.normal(0, 3000, length * SAMPLE_RATE).astype(np.int16)
            texts.append(rng.integers(0, end_id(model.tokenizer), tokens_of(length)).tolist())
    prefix = tuple(prefix_ids(model.tokenizer, LANGUAGE))
    return TrainingSet(utterances, samples, texts, EDGES, prefix, end_id(model.tokenizer)), batches


def _figures(bench: Bench, seconds: Seconds) -> Iterator[tuple[str, Any]]:
    times = {"training": STEP, "transcription": 1}
    for (name, length), walls in seconds.items():
        clips, flops = len(bench.batches[length].clips), times[name] * operations(bench, length)
        yield f"{name}, {length} s, clips a batch", clips
        yield f"{name}, {length} s, GFLOP/clip", float(f"{flops / 1e9:.4g}")
        yield f"{name}, {length} s, ms/clip", spread([wall / clips * 1e3 for wall in walls])
        yield f"{name}, {length} s, GFLOP/s", spread([flops * clips / wall / 1e9 for wall in walls])
    long, short = COMPARED
    for name in KINDS:
        ratio = operations(bench, long) / operations(bench, short)
        yield f"{name}, {long} s over {short} s, FLOPs", float(f"{ratio:.4g}")
        yield f"{name}, {long} s over {short} s, ratio of a round", spread(_ratios(bench, seconds, name))


def _ratios(bench: Bench, seconds: Seconds, name: str) -> Sequence[float]:
    """Time of a clip of the one length over that of the other, round by round."""
    long, short = ([wall / len(bench.batches[n].clips) for wall in seconds[name, n]] for n in COMPARED)
    return [a / b for a, b in zip(long, short, strict=True)]
