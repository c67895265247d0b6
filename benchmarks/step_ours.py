"""A training step of this repository, by the parts of its own loop: data, plan, features, forward, backward, update."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from asr.corpus.clips import Utterance
from asr.devices import make_deterministic
from asr.features import HOP
from asr.models.tokenizer import end_id
from asr.params import TrainParams, load_params
from asr.training.data import TrainingSet
from asr.training.fitting import fit_into_memory
from asr.training.loaded import Loaded
from asr.training.loading import loaded_batches
from asr.training.objective import Objective
from asr.training.progress import Progress
from asr.training.run import make_planner
from asr.training.trainer import Trainer, make_trainer
from asr.training.update import take_step
from benchmarks.mix import Spoken
from benchmarks.step_bench import CLIP_NORM, LEARNING_RATE, WEIGHT_DECAY, Bench, Block, Tape, finished, now

PRESET = Path(__file__).resolve().parent.parent / "presets" / "azerbaijani-whisper-tiny.yaml"
NEVER = 2**31
"""A step that is not reached."""


def ours(bench: Bench, clips: Sequence[Spoken], extra_padding: bool) -> Block:
    """One epoch over the clips, timed from the first batch asked for to the last update.

    Args:
        bench: what to run on.
        clips: to train on.
        extra_padding: give clips the margins and full windows that the preset gives them; else each clip has its
            own edge, which is the same work that the others are asked for.
    """
    with as_in_the_stage(bench.compute.device):
        trainer = _trainer(bench, clips, extra_padding)
        planner, progress, tape = make_planner(trainer), Progress(), Tape()
        if bench.compute.device.type == "cuda":
            fit_into_memory(trainer, planner, progress)
        pin = bench.compute.device.type == "cuda"
        with loaded_batches(trainer.data, planner, 0, bench.workers, pin=pin) as batches:
            start = now(bench.compute.device)
            for _ in range(planner.batches_in_an_epoch()):
                loaded = next(batches)
                measured = take_step(trainer, progress, loaded)
                tape.losses.append(measured.cross_entropy / measured.tokens)
                _note(tape, loaded)
            seconds = now(bench.compute.device) - start
    assert not progress.skipped, "a step without an update is no step"
    return finished(bench, clips, seconds, tape)


@contextmanager
def as_in_the_stage(device: torch.device) -> Iterator[None]:
    """On a CPU the stage demands deterministic operations, which the others do without."""
    if device.type == "cpu":
        make_deterministic()
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


def params(bench: Bench, extra_padding: bool) -> TrainParams:
    """Those of the preset, without augmentation, which the others do not have either."""
    preset = load_params(PRESET).train
    if not extra_padding:
        preset = replace(preset, margin_share=0.0, window_share=0.0)
    return replace(
        preset,
        batch_size=bench.batch_size,
        learning_rate=LEARNING_RATE,
        warmup_steps=0,
        schedule="constant",
        weight_decay=WEIGHT_DECAY,
        clip_norm=CLIP_NORM,
        label_smoothing=0.0,
        ctc_weight=0.0,
        augment_from_step=NEVER,
        max_steps=NEVER,
        compile=bench.compile,
    )


def _trainer(bench: Bench, clips: Sequence[Spoken], extra_padding: bool) -> Trainer:
    settings = params(bench, extra_padding)
    names = [f"clip{number:06d}" for number in range(len(clips))]
    utterances = [Utterance(name, c.text, c.seconds, "g", "mix", "") for name, c in zip(names, clips, strict=True)]
    samples = dict(zip(names, (clip.pcm for clip in clips), strict=True))
    model = bench.model
    data = TrainingSet.build(utterances, samples, model.tokenizer, model.edges, model.language)
    network = bench.network()
    objective = Objective(network, end_id(model.tokenizer), settings.label_smoothing, settings.ctc_weight)
    return make_trainer(settings, data, objective.train(), bench.compute)


def _note(tape: Tape, loaded: Sequence[Loaded]) -> None:
    for micro in loaded:
        tape.note(len(micro.clips), micro.wave.shape[1] // HOP, micro.labels.decoder_input.shape[1])
