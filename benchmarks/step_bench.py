"""What all sides of the benchmark of a training step share: clips, weights, and how a block of steps is measured."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter

import torch
from transformers import WhisperForConditionalGeneration
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from asr.devices import Compute
from asr.models.build import SpeechModel
from asr.models.linear import Linear
from asr.models.tokenizer import prefix_ids
from benchmarks.flops import positions_of, step_flops
from benchmarks.mix import Spoken

LEARNING_RATE = 1e-5
CLIP_NORM = 1.0
WEIGHT_DECAY = 0.01
BETAS = (0.9, 0.98)


@dataclass(frozen=True)
class Bench:
    """The same for everyone who is measured."""

    model: SpeechModel
    """Never trained: everyone trains a copy."""
    compute: Compute
    batch_size: int
    """Clips in one optimizer step."""
    workers: int
    """Processes that read ahead, for everyone."""
    compile: bool
    """`train.compile`, for this repository alone."""

    def network(self) -> WhisperForConditionalGeneration:
        """A copy with the same weights, on the CPU, as this repository trains it."""
        return copy.deepcopy(self.model.network)

    def stock_network(self, unpadded: bool) -> WhisperForConditionalGeneration:
        """The same with transformers' own classes, on the CPU; its encoder demands 30 s unless `unpadded`."""
        network = self.network()
        if not unpadded:
            network.model.encoder.__class__ = WhisperEncoder
        for module in network.modules():
            if isinstance(module, Linear):
                module.__class__ = torch.nn.Linear
        return network

    def useful_flops(self, clips: Sequence[Spoken]) -> float:
        """Of training steps over these clips, each at its own length, with its own text and prefix."""
        prefix = len(prefix_ids(self.model.tokenizer, self.model.language))
        texts = self.model.tokenizer([clip.text for clip in clips], add_special_tokens=False).input_ids
        shapes = ((positions_of(clip.seconds), prefix + len(text)) for clip, text in zip(clips, texts, strict=True))
        return step_flops(self.model.network.config, shapes)


@dataclass
class Tape:
    """What is written down while steps run: shapes and losses, never read from the device before the end."""

    shapes: list[tuple[int, int, int]] = field(default_factory=list)
    """Clips, encoder positions and decoder tokens of every micro-batch."""
    losses: list[torch.Tensor | float] = field(default_factory=list)
    """Mean loss a target of every step, or a micro-batch's share of it."""

    def note(self, clips: int, frames: int, tokens: int) -> None:
        """A micro-batch of `clips` x `frames` of log-mel and `clips` x `tokens` of decoder input."""
        self.shapes.append((clips, frames // 2, tokens))


@dataclass(frozen=True)
class Block:
    """Steps that were timed together."""

    seconds: float
    clips: int
    useful: float
    """FLOPs that the clips need at their own length."""
    computed: float
    """FLOPs of what went through the model, padding included."""
    first_loss: float
    """Mean cross-entropy a target, before the first update."""
    last_loss: float

    @property
    def rate(self) -> float:
        """Clips a second."""
        return self.clips / self.seconds


def finished(bench: Bench, clips: Sequence[Spoken], seconds: float, tape: Tape, pieces: int = 1) -> Block:
    """The block that `tape` has recorded.

    Args:
        bench: what it ran on.
        clips: that were trained on, each once.
        seconds: that it took.
        tape: its record.
        pieces: micro-batches whose losses add up to that of one step.
    """
    assert sum(shape[0] for shape in tape.shapes) == len(clips), "every clip is trained on once"
    computed = step_flops(bench.model.network.config, (shape[1:] for shape in tape.shapes for _ in range(shape[0])))
    losses = [float(loss) for loss in tape.losses]
    first, last = sum(losses[:pieces]), sum(losses[-pieces:])
    return Block(seconds, len(clips), bench.useful_flops(clips), computed, first, last)


def now(device: torch.device) -> float:
    """Seconds on a clock, once the device has done all that it was told to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return perf_counter()
