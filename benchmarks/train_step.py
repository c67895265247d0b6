"""Clips a second in training, against transformers' `Seq2SeqTrainer`, on equal weights, clips and batches.

    python -m benchmarks.train_step [--clips 192] [--rounds 3] [--threads 2]
    python -m benchmarks.train_step --device cuda --size small --precision bf16 --batch-size 256 --clips 8192 \
        --padded-clips 1024 --workers 8 --peak-tflops 990

Whisper of the named size with random weights and the real vocabulary; synthesised speech in the duration mix of
LocalDoc/azerbaijani_asr. A step is features, forward, backward, clipping of the gradient, AdamW. No augmentation and no
auxiliary loss anywhere, nothing saved, logged or evaluated. On a CPU ours runs with deterministic operations, as the
stage does, and the others without.

ours                   the parts of the training loop; every clip at its own edge
ours, preset's padding the same with the margins and full windows that the presets give to a share of the clips
30 s                   the standard recipe: features of 30 s in the collator
30 s, features before  the same, features made before the clock starts
longest                random batches padded to their longest clip, with this repository's unpadded encoder
longest, grouped       the same, batches grouped by length by the library's own function

With so few clips a large part of ours are leftovers of their edge, which share batches of many small micro-batches; in
a corpus of LocalDoc's size nearly all batches are whole. The padded ones take a subset with the same mix, since
a step of theirs costs the same whatever the clips. One warm-up, then rounds in which everyone takes a turn, every
second one in reverse order; ratios are taken round by round.

`useful` FLOPs are those of each clip at its own length (benchmarks/flops.py), `computed` those of the shapes that went
through the model. On CUDA the others take the largest micro-batch of a list that fits, and accumulate.

Writes benchmarks/results/train-step.json, or train-step-cuda.json.
"""

import argparse
import gc
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from asr.corpus.edges import wasted_work
from asr.devices import choose_compute
from asr.stage import run
from benchmarks.mix import Spoken, speech_clips
from benchmarks.records import spread, write_record
from benchmarks.step_bench import Bench, Block
from benchmarks.step_ours import ours
from benchmarks.step_peers import Peer, largest_fitting, train
from benchmarks.tiny import WIDTH_LAYERS_HEADS, whisper

PEERS = {
    "30 s": Peer("max_length"),
    "30 s, features before": Peer("max_length", features_before=True),
    "longest": Peer("longest"),
    "longest, grouped": Peer("longest", grouped=True),
}
OURS = "ours"
MICRO_BATCHES = (256, 128, 64, 32, 16, 8)
WARM_UP_BATCHES = 2
Blocks = Mapping[str, Sequence[Block]]


@dataclass(frozen=True)
class Side:
    """Someone who is measured."""

    clips: Sequence[Spoken]
    steps: Callable[[Sequence[Spoken]], Block]


def main() -> None:
    """Measures all sides, prints and writes the record."""
    args = parsed()
    compute = choose_compute(args.device, args.precision, args.threads)
    bench = Bench(whisper(args.size), compute, args.batch_size, args.workers, args.compile)
    clips = speech_clips(args.clips, seed=1)
    sides = sides_of(bench, clips, subset(clips, args.padded_clips or args.batch_size), args.peers)
    blocks = measured(sides, args.rounds, WARM_UP_BATCHES * bench.batch_size)
    record = figures(bench, clips, blocks, args.peak_tflops)
    name = "train-step-cuda" if compute.device.type == "cuda" else "train-step"
    path = write_record(name, command(args), ("torch", "transformers", "accelerate", "openai-whisper"), record)
    print(path.read_text(encoding="utf-8"))


def parsed() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=192)
    parser.add_argument("--padded-clips", type=int, help="for those at 30 s; default: one batch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=16, help="clips in one optimizer step, for everyone")
    parser.add_argument("--size", choices=sorted(WIDTH_LAYERS_HEADS), default="tiny")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", choices=("fp32", "bf16", "fp16"), default="fp32")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=0, help="processes that read ahead, for everyone")
    parser.add_argument("--compile", action="store_true", help="train.compile, for ours; CUDA only")
    parser.add_argument("--peers", nargs="*", choices=sorted(PEERS), default=list(PEERS))
    parser.add_argument("--peak-tflops", type=float, help="of the device in this precision: reports the share used")
    return parser.parse_args()


def command(args: argparse.Namespace) -> str:
    """The arguments that differ from the defaults of none, written out."""
    words = ["python -m benchmarks.train_step"]
    for name, value in vars(args).items():
        option = f"--{name.replace('_', '-')}"
        if value is True:
            words.append(option)
        elif name == "peers" and value != list(PEERS):
            words.append(" ".join([option, *(repr(peer) for peer in value)]))
        elif value not in (None, False) and name != "peers":
            words.append(f"{option} {value}")
    return " ".join(words)


def subset(clips: Sequence[Spoken], count: int) -> list[Spoken]:
    """As many of them, evenly spread over their lengths, so that the mix stays."""
    by_length = sorted(clips, key=lambda clip: clip.seconds)
    return [by_length[int((place + 0.5) * len(clips) / count)] for place in range(count)]


def sides_of(bench: Bench, clips: Sequence[Spoken], few: Sequence[Spoken], peers: Sequence[str]) -> dict[str, Side]:
    """Everyone who takes part."""
    sides = {
        OURS: Side(clips, lambda some: ours(bench, some, extra_padding=False)),
        "ours, preset's padding": Side(clips, lambda some: ours(bench, some, extra_padding=True)),
    }
    for name in peers:
        own, peer = few if PEERS[name].padding == "max_length" else clips, PEERS[name]
        fitting = [size for size in MICRO_BATCHES if bench.batch_size % size == 0]
        at_once = largest_fitting(bench, clips, peer, fitting)
        print(f"{name}: {at_once} clips at once", flush=True)
        sides[name] = Side(own, partial(train, bench, peer=peer, at_once=at_once))
    return sides


def measured(sides: Mapping[str, Side], rounds: int, warm_up: int) -> dict[str, list[Block]]:
    """A block of every side in each round, after one of at most `warm_up` clips that does not count."""
    blocks: dict[str, list[Block]] = {name: [] for name in sides}
    for turn in range(rounds + 1):
        order = list(sides) if turn % 2 else list(sides)[::-1]
        for name in order:
            side = sides[name]
            block = side.steps(side.clips if turn else side.clips[:warm_up])
            free()
            print(f"{name}: {block.clips} clips in {block.seconds:.1f} s, {block.rate:.2f} clips/s", flush=True)
            if turn:
                blocks[name].append(block)
    return blocks


def free() -> None:
    """Gives memory back before another's turn."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def figures(bench: Bench, clips: Sequence[Spoken], blocks: Blocks, peak_tflops: float | None) -> dict[str, Any]:
    """All that is reported.

    Raises:
        AssertionError: a loss is not finite, or weights differed before the first step.
    """
    seconds, model = [clip.seconds for clip in clips], bench.model
    record: dict[str, Any] = {
        "device": bench.compute.device_class,
        "precision": bench.compute.precision,
        "clips": len(clips),
        "mean seconds": round(sum(seconds) / len(clips), 3),
        "edges, s": list(model.edges.seconds),
        "ours, encoder work on padding": round(
            wasted_work(seconds, model.edges.seconds, model.edges.tail, model.network.config.d_model), 3
        ),
        "loss of a model that knows nothing": round(math.log(model.network.config.vocab_size), 2),
    }
    for name, own in blocks.items():
        record |= {f"{name}, {figure}": value for figure, value in of_one(own, peak_tflops).items()}
    for name, others in blocks.items():
        if name != OURS:
            pairs = list(zip(blocks[OURS], others, strict=True))
            record[f"ours over {name}, ratio of clips/s"] = spread([a.rate / b.rate for a, b in pairs])
            record[f"ours over {name}, by FLOPs"] = _digits(_flops(others[0]) / _flops(blocks[OURS][0]))
    return record


def of_one(blocks: Sequence[Block], peak_tflops: float | None) -> dict[str, Any]:
    """Figures of one side; its losses show that it learns from the same start."""
    first = blocks[0]
    assert all(math.isfinite(block.last_loss) for block in blocks), "a loss is not finite"
    useful = [block.useful / block.seconds for block in blocks]
    found: dict[str, Any] = {
        "clips/s": spread([block.rate for block in blocks]),
        "useful GFLOP/s": spread([value / 1e9 for value in useful]),
        "computed GFLOP/s": spread([block.computed / block.seconds / 1e9 for block in blocks]),
        "computed over useful FLOPs": _digits(first.computed / first.useful),
        "loss of the first step": _digits(first.first_loss),
        "loss of the last step": _digits(first.last_loss),
    }
    if peak_tflops:
        found["useful share of the peak"] = spread([value / peak_tflops / 1e12 for value in useful])
    return found


def _flops(block: Block) -> float:
    """Computed for each useful one: clips differ between sides, their mix does not."""
    return block.computed / block.useful


def _digits(value: float) -> float:
    return float(f"{value:.4g}")


if __name__ == "__main__":
    run(main)
