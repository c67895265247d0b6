"""How much of a corpus passes through a model at once on GPUs of several sizes: computed, not measured on a GPU.

    python -m benchmarks.memory_table

For each preset of a pretrained Whisper: the weights, their gradients and AdamW's two moments, and what autograd keeps
of the activations, from the shapes of the layers. What autograd keeps is also measured, on a CPU, with the shape of
whisper-tiny and random weights, and compared with the formulas (`check`). From these follows the largest micro-batch,
in seconds of padded audio, that fits beside the states.

Assumed: fused attention kernels, which keep no matrix of positions x positions; labels of 12 tokens a second, since a
batch's labels are as long as its longest (the mean of LocalDoc is 7.3); a tenth of the GPU for CUDA itself and for
gaps between tensors; as workspace the largest of one layer and two copies of the logits; GB = 10^9 bytes.

The second table is the arithmetic of one epoch of LocalDoc/azerbaijani_asr: the time below which no machine can be.

Writes benchmarks/results/memory-table.json and prints the tables of docs/scaling.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.autograd.graph import saved_tensors_hooks
from transformers import WhisperConfig, WhisperForConditionalGeneration

from asr.corpus.edges import POSITIONS_PER_SECOND, choose_edges
from asr.features import Edges
from asr.models.whisper import without_padding
from asr.params import FeatureParams, ModelParams, load_params
from asr.pcm import SAMPLE_RATE
from asr.training.objective import Labels, Objective
from asr.training.savers import checkpoint_gradients
from benchmarks.records import write_record

PRESETS = Path(__file__).resolve().parent.parent / "presets"
NAMES = ("tiny", "base", "small", "medium")
VOCABULARY = 51_865
MEL_BANDS = 80
PREFIX = 4
"""Tokens before the text."""
TOKENS_PER_SECOND = 12
MEAN_TOKENS_PER_SECOND = 7.3
GPUS = (8, 12, 16, 24, 40, 80, 141)
"""GB."""
USABLE = 0.9
EDGE, LONGEST = 4.0, 30.0
"""Seconds: the edge for which micro-batches are given, and the longest clip, of which one must fit."""
CHECKED_SECONDS = (2, 5, 10)
MIX = ((0.361, 0.1, 2), (0.472, 2, 5), (0.146, 5, 10), (0.020, 10, 20), (0.001, 20, 30))
"""Share of clips, and bounds of their length in seconds, of LocalDoc/azerbaijani_asr."""
CLIPS = 280_800
"""Of its training split."""
PEAK = 790e12
"""Multiplications and additions a second of one H200 in bf16."""


@dataclass(frozen=True)
class Shape:
    """Sizes of a Whisper."""

    width: int
    encoder_layers: int
    decoder_layers: int
    heads: int
    feed_forward: int

    @classmethod
    def of(cls, model: ModelParams) -> "Shape":
        """From the section `model` of a preset."""
        layers = (model.encoder_layers, model.decoder_layers)
        return cls(model.d_model, *layers, model.attention_heads, model.feed_forward)

    def config(self) -> WhisperConfig:
        """The same as transformers spells it."""
        return WhisperConfig(
            vocab_size=VOCABULARY,
            num_mel_bins=MEL_BANDS,
            d_model=self.width,
            encoder_layers=self.encoder_layers,
            decoder_layers=self.decoder_layers,
            encoder_attention_heads=self.heads,
            decoder_attention_heads=self.heads,
            encoder_ffn_dim=self.feed_forward,
            decoder_ffn_dim=self.feed_forward,
            dropout=0.0,
        )


@dataclass(frozen=True)
class Mode:
    """What decides how much is kept."""

    precision: str
    """`fp32`, or `bf16`: products in bf16 beside weights and sums in fp32."""
    checkpointed: bool

    @property
    def size(self) -> int:
        """Bytes of a number that enters a product."""
        return 2 if self.precision == "bf16" else 4

    @property
    def name(self) -> str:
        """For tables."""
        return self.precision + (", checkpointed" if self.checkpointed else "")


MODES = tuple(Mode(precision, checkpointed) for precision in ("bf16", "fp32") for checkpointed in (False, True))


@cache
def states(shape: Shape, mode: Mode) -> int:
    """Bytes that do not depend on the batch: fp32 weights, gradients, two moments; under bf16 copies of matrices."""
    with torch.device("meta"):
        network = WhisperForConditionalGeneration(shape.config())
    named = list(network.named_parameters())
    fixed = sum(int(p.numel()) for _, p in named if not p.requires_grad)
    trained = sum(int(p.numel()) for _, p in named if p.requires_grad)
    matrices = sum(int(p.numel()) for name, p in named if p.ndim > 1 and "positions" not in name)
    return 4 * fixed + 16 * trained + (2 * matrices if mode.precision == "bf16" else 0)


def kept(shape: Shape, mode: Mode, clips: int, seconds: float, text: int) -> int:
    """Bytes of activations that autograd keeps for a batch of `clips`, each of `seconds` and `text` tokens."""
    positions, tokens, targets = (round(seconds * POSITIONS_PER_SECOND), PREFIX + text, text + 1)
    width, size = shape.width, mode.size
    layer = (4 * width, 4 * width) if mode.checkpointed else (encoder_layer(shape, mode), decoder_layer(shape, mode))
    convolutions = size * (2 * MEL_BANDS + 2 * 2 * width + width)  # inputs of both and of their GELUs
    shared = size * width  # the output, cast once and read by each decoder layer
    cross = 0 if mode.checkpointed else shape.decoder_layers * cross_keys(shape, mode)
    per_position = convolutions + shape.encoder_layers * layer[0] + 4 * width + 8 + shared + cross
    per_token = shape.decoder_layers * layer[1] + 4 * width + 8
    per_target = 4 * VOCABULARY + size * width
    return clips * (positions * per_position + tokens * per_token + targets * per_target)


def encoder_layer(shape: Shape, mode: Mode) -> int:
    """Bytes an encoder position: attention and feed-forward block."""
    return attention(shape, mode, inputs=3) + feed_forward(shape, mode)


def decoder_layer(shape: Shape, mode: Mode) -> int:
    """Bytes a token: self-attention, the queries' side of the cross-attention, feed-forward block."""
    queries = 4 * shape.width + mode.size * 4 * shape.width + 8 + 4 * shape.heads
    return attention(shape, mode, inputs=3) + queries + feed_forward(shape, mode)


def attention(shape: Shape, mode: Mode, inputs: int) -> int:
    """Input of the norm; of the projections (under autocast each has its own copy); q, k, v; result, twice; sums."""
    copies = inputs if mode.precision == "bf16" else 1
    return 4 * shape.width + mode.size * shape.width * (copies + 3 + 2) + 8 + 4 * shape.heads


def feed_forward(shape: Shape, mode: Mode) -> int:
    """Input of the norm, input of the first matrix, input and output of the GELU."""
    return 4 * shape.width + mode.size * (shape.width + 2 * shape.feed_forward) + 8


def cross_keys(shape: Shape, mode: Mode) -> int:
    """Bytes an encoder position and decoder layer: keys and values."""
    return mode.size * shape.width * 2


def peak(shape: Shape, mode: Mode, clips: int, seconds: float) -> int:
    """Bytes at the fullest moment of a step."""
    text = round(TOKENS_PER_SECOND * seconds)
    positions = round(seconds * POSITIONS_PER_SECOND)
    workspace = clips * max(encoder_layer(shape, mode) * positions, 8 * VOCABULARY * (text + 1))
    return states(shape, mode) + kept(shape, mode, clips, seconds, text) + workspace


def largest(shape: Shape, mode: Mode, gigabytes: int) -> int | None:
    """Padded seconds of the largest micro-batch at the edge of 4 s; None where a clip of 30 s does not fit."""
    room = gigabytes * 1e9 * USABLE
    if peak(shape, mode, 1, LONGEST) > room:
        return None
    empty = peak(shape, mode, 0, EDGE)
    return int((room - empty) // (peak(shape, mode, 1, EDGE) - empty) * EDGE)


def measured(shape: Shape, mode: Mode, seconds: int) -> int:
    """Bytes that autograd really keeps on a CPU for one clip, its weights in fp32 apart."""
    objective = random_objective(shape, mode.checkpointed)
    text, storages = TOKENS_PER_SECOND * seconds, dict[int, int]()

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    decoder_input, targets = (torch.zeros((1, length), dtype=torch.long) for length in (PREFIX + text, text + 1))
    bf16 = torch.autocast("cpu", torch.bfloat16, enabled=mode.precision == "bf16")
    with saved_tensors_hooks(pack, lambda tensor: tensor), bf16:
        objective(torch.zeros(1, MEL_BANDS, 100 * seconds), Labels(decoder_input, targets, torch.tensor([text])))
    weights = {p.untyped_storage().data_ptr() for p in objective.parameters()}
    return sum(size for address, size in storages.items() if address not in weights)


@cache
def random_objective(shape: Shape, checkpointed: bool) -> Objective:
    """A model in training mode, its weights drawn."""
    network = without_padding(WhisperForConditionalGeneration(shape.config()))
    if checkpointed:
        checkpoint_gradients(network)
    return Objective(network, VOCABULARY, label_smoothing=0.0, ctc_weight=0.0).train()


def check(shape: Shape, mode: Mode, seconds: int) -> float:
    """Measured over computed bytes of what grows with the batch."""
    grown = measured(shape, mode, 2 * seconds) - measured(shape, mode, seconds)
    text = TOKENS_PER_SECOND * seconds
    computed = kept(shape, mode, 1, 2 * seconds, 2 * text) - kept(shape, mode, 1, seconds, text)
    return round(grown / computed, 4)


def epoch_petaflop(shape: Shape, edges: Edges | None) -> float:
    """10^15 operations of an epoch: forward, and twice that backward; without edges all clips are padded to 30 s."""
    total = 0.0
    for share, low, high in MIX:
        for seconds in np.linspace(low, high, 400, endpoint=False):
            padded = LONGEST if edges is None else edges.seconds[edges.index(round(seconds * SAMPLE_RATE))]
            total += share / 400 * forward(shape, padded, PREFIX + MEAN_TOKENS_PER_SECOND * seconds)
    return 3 * total * CLIPS / sum(share for share, _, _ in MIX) / 1e15


def chosen_edges(features: FeatureParams, shape: Shape) -> Edges:
    """What training would choose for the published lengths."""
    seconds = [
        float(length)
        for share, low, high in MIX
        for length in np.linspace(low, high, round(20_000 * share), endpoint=False)
    ]
    edges = choose_edges(seconds, features.shapes, features.longest, features.tail, shape.width)
    return Edges(edges, features.tail)


def forward(shape: Shape, seconds: float, tokens: float) -> float:
    """Operations of one clip: a product of matrices of n x k and k x m counts 2 n k m."""
    d, t = shape.width, seconds * POSITIONS_PER_SECOND
    convolutions = 2 * (2 * t) * 3 * MEL_BANDS * d + 2 * t * 3 * d * d
    encoder = shape.encoder_layers * (24 * d * d * t + 4 * t * t * d)
    layer = 28 * d * d * tokens + 4 * d * d * t + 4 * tokens * t * d + 4 * tokens * tokens * d
    return convolutions + encoder + shape.decoder_layers * layer + 2 * d * VOCABULARY * tokens


def figures() -> dict[str, Any]:
    """All numbers of the record."""
    presets = {name: load_params(PRESETS / f"azerbaijani-whisper-{name}.yaml") for name in NAMES}
    shapes = {name: Shape.of(params.model) for name, params in presets.items()}
    floors = {}
    for name, shape in shapes.items():
        padded, edges = (epoch_petaflop(shape, e) for e in (None, chosen_edges(presets[name].features, shape)))
        seconds = [round(work * 1e15 / PEAK) for work in (padded, edges)]
        floors[name] = {
            "pflop_padded_to_30_s": round(padded, 1),
            "pflop_at_the_edges": round(edges, 1),
            "h200_seconds_padded_to_30_s": seconds[0],
            "h200_seconds_at_the_edges": seconds[1],
        }
    return {
        "how": "computed from the shapes of layers; only `check` is measured, on a CPU; nothing was measured on a GPU",
        "states_gb": {
            name: {mode.precision: round(states(shape, mode) / 1e9, 2) for mode in MODES if not mode.checkpointed}
            for name, shape in shapes.items()
        },
        "micro_batch_padded_seconds": {
            name: {mode.name: {str(gpu): largest(shape, mode, gpu) for gpu in GPUS} for mode in MODES}
            for name, shape in shapes.items()
        },
        "check_measured_over_computed_by_seconds": {
            mode.name: {str(seconds): check(shapes["tiny"], mode, seconds) for seconds in CHECKED_SECONDS}
            for mode in MODES
        },
        "epoch": floors,
    }


def tables(numbers: Mapping[str, Any]) -> str:
    """The tables of docs/scaling.md."""
    held = numbers["states_gb"]
    head = ["preset", "precision", "states", *(f"{gpu} GB" for gpu in GPUS)]
    rows = [
        [name, mode, f"{held[name][mode[:4]]:.1f} GB", *("-" if s is None else f"{s:,}" for s in by_gpu.values())]
        for name, modes in numbers["micro_batch_padded_seconds"].items()
        for mode, by_gpu in modes.items()
    ]
    work = [[name, *(f"{value:,}" for value in values.values())] for name, values in numbers["epoch"].items()]
    floor_head = ["preset", "PFLOP, padded to 30 s", "PFLOP, at the edges", "s, padded to 30 s", "s, at the edges"]
    return f"{_table(head, rows, 2)}\n\n{_table(floor_head, work, 1)}\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], words: int) -> str:
    rule = ["---"] * words + ["--:"] * (len(head) - words)
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, rule, *rows))


def main() -> None:
    """Computes, checks, writes the record and prints the tables."""
    numbers = figures()
    print(tables(numbers))
    print(write_record("memory-table", "python -m benchmarks.memory_table", ["torch", "transformers"], numbers))


if __name__ == "__main__":
    main()
