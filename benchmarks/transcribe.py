"""How fast short clips become text, against four other engines with the same weights, greedy, side by side.

    python -m benchmarks.transcribe [--clips 96] [--copies 4] [--rounds 5] [--threads 2] [--size tiny] [--device cpu]

The clips are generated Azerbaijani speech with the lengths of LocalDoc/azerbaijani_asr. The model has the dimensions
and the vocabulary of Whisper and has learnt these very clips (`benchmarks.trained_tiny`: some minutes the first time),
padded to 30 s as well as not, so that every engine should write the same words and end where they end: what is
measured here is speed, and the error rates say only that all engines do the same work. Compared are

ours                    this repository's `Transcriber`, clips padded to the edges, at once and one by one
transformers pipeline   `pipeline("automatic-speech-recognition")` with batches of 1, 8 and 16
openai-whisper          `whisper.decode`, batches of 1 and 16
faster-whisper          `WhisperModel.transcribe` in float32 and int8, one clip a call, as it has it
CTranslate2             the engine below faster-whisper, in float32 and int8, fed as no user of it does: our batches
                        and features, not padded

The engines take turns, one round after the other, each round in another order. What a clip costs an engine that pads to
30 s, or that takes clips one by one, does not depend on how many there are; such an engine gets one of `rounds` equal
shares of the clips each round, every share with the same mix of lengths, and in the end has had all of them. Engines
that put clips of like length together get all clips every round, each `--copies` times: a test set of hundreds of
clips, which is still a small one. A turn before the first round does not count. Ratios are formed within a round.

On `--device cuda` CTranslate2 and faster-whisper are left out, ours and the pipeline compute in bf16, openai-whisper
in fp16; a GPU needs more copies.

Writes benchmarks/results/transcribe.json (transcribe-cuda.json), and fails where a target is missed.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, TypeVar

import torch

from asr.devices import choose_compute
from asr.errors import UserError
from asr.files import read_json
from asr.models.build import EXPERIMENT
from asr.pcm import Pcm16
from asr.scoring.wer import score
from benchmarks.mix import Spoken, speech_clips
from benchmarks.peers_decoding import FASTER_WHISPER, LANGUAGE, PIPELINE, Peer, Place, all_peers
from benchmarks.records import Spread, spread, write_record
from benchmarks.tiny import WIDTH_LAYERS_HEADS, require, tokenizer
from benchmarks.trained_tiny import trained

LIBRARIES = ("torch", "transformers", "openai-whisper", "faster-whisper", "ctranslate2")
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
WARM_UP_CLIPS = 4
"""For the engines whose inputs all have one shape or that take one clip; the others meet all their shapes."""
PAUSE_SECONDS = 0.5
"""Between turns: threads of the engine before spin on for up to 0.2 s."""
TIMES_PIPELINE = 5.0
"""What ours must be at least, in clips a second, where it is compared with the pipeline's best batch."""

T = TypeVar("T")


@dataclass(frozen=True)
class Turn:
    """One engine's part in one round."""

    clips: tuple[int, ...]
    texts: tuple[str, ...]
    """In the order of `clips`."""
    seconds: float


Turns = Mapping[str, Sequence[Turn]]
"""Of each engine, round by round; ours first."""


def main() -> None:
    """Measures, prints and writes the record; status 1 where a target is missed."""
    args = _arguments()
    try:
        figures = measured(args)
    except UserError as error:
        sys.exit(f"error: {error}")
    print(json.dumps(figures, indent=2, ensure_ascii=False))
    if not args.no_record:
        name = "transcribe" if args.device == "cpu" else f"transcribe-{args.device}"
        print(write_record(name, _command(args), LIBRARIES, figures))
    missed = [name for name, met in figures["targets"].items() if not met]
    if missed:
        sys.exit(f"missed: {'; '.join(missed)}")


def measured(args: argparse.Namespace) -> dict[str, Any]:
    """All figures.

    Raises:
        UserError: a package or the device is missing.
    """
    for package in ("whisper", "faster_whisper", "ctranslate2"):
        require(package)
    compute = choose_compute(args.device, "auto", args.threads)
    folder = trained(args.size, args.clips, args.seed, compute.device)
    peers = all_peers(folder, Place(compute.device, DTYPES[compute.precision], args.threads))
    spoken = speech_clips(args.clips, args.seed)
    turns = all_turns(peers, [clip.pcm for clip in spoken], args.rounds, args.copies)
    return {
        "threads": args.threads,
        "device": compute.device_class,
        "precision of ours and of the pipeline": compute.precision,
        "model": args.size,
        "clips": len(spoken),
        "copies of each clip, for engines that put like lengths together": args.copies,
        "seconds of audio": round(sum(clip.seconds for clip in spoken), 1),
        "clips that the model knows": read_json(folder / EXPERIMENT)["known"],
        **results(turns, spoken),
    }


def all_turns(peers: Sequence[Peer], clips: Sequence[Pcm16], rounds: int, copies: int) -> dict[str, list[Turn]]:
    """Lets every engine take its turn in every round, after a turn that does not count."""
    shares = dealt([len(clip) for clip in clips], rounds)
    everything = tuple(range(len(clips))) * copies
    for peer in peers:
        take_turn(peer, clips, everything if peer.batches_alike else shares[0][:WARM_UP_CLIPS])
    found: dict[str, list[Turn]] = {peer.name: [] for peer in peers}
    for number, share in enumerate(shares):
        for peer in rotated(peers, number):
            turn = take_turn(peer, clips, everything if peer.batches_alike else share)
            print(f"{peer.name}: {len(turn.clips) / turn.seconds:.2f} clips/s", flush=True)
            found[peer.name].append(turn)
    return found


def take_turn(peer: Peer, clips: Sequence[Pcm16], chosen: tuple[int, ...]) -> Turn:
    """Has the chosen clips transcribed; texts are on the CPU when the clock stops."""
    given = [clips[i] for i in chosen]
    time.sleep(PAUSE_SECONDS)
    start = time.perf_counter()
    texts = peer.transcribe(given)
    return Turn(chosen, tuple(texts), time.perf_counter() - start)


def dealt(lengths: Sequence[int], shares: int) -> list[tuple[int, ...]]:
    """The clips' numbers in as many shares, each with the same mix of lengths."""
    by_length = sorted(range(len(lengths)), key=lambda i: lengths[i])
    rows = [by_length[start : start + shares] for start in range(0, len(by_length), shares)]
    # Every second row is dealt from behind: else the first share would get the shortest of each.
    turned = [row[::-1] if number % 2 else row for number, row in enumerate(rows)]
    return [tuple(row[share] for row in turned if share < len(row)) for share in range(shares)]


def rotated(items: Sequence[T], by: int) -> list[T]:
    """The same items, beginning with another one."""
    start = by % len(items)
    return [*items[start:], *items[:start]]


def results(turns: Turns, spoken: Sequence[Spoken]) -> dict[str, Any]:
    """What each engine did, how ours compares, and whether that is enough."""
    best = max((name for name in turns if name.startswith(PIPELINE)), key=lambda name: median(rates(turns[name])))
    ratios = {name: ratio(turns, name) for name in list(turns)[1:]}
    exact = next((name for name in turns if name == f"{FASTER_WHISPER} float32"), None)
    targets = {f"at least {TIMES_PIPELINE:g} times the pipeline's best": ratios[best].median >= TIMES_PIPELINE}
    if exact:
        targets["faster than faster-whisper in float32"] = ratios[exact].median > 1
    return {
        "engines": {name: engine_results(turns, name, spoken) for name in turns},
        "ours over": {name: asdict(value) for name, value in ratios.items()},
        "the pipeline's best": best,
        "targets": targets,
    }


def engine_results(turns: Turns, name: str, spoken: Sequence[Spoken]) -> dict[str, Any]:
    """Speeds of one engine, and what it wrote."""
    texts, ours = last_texts(turns[name]), last_texts(next(iter(turns.values())))
    seconds = [sum(spoken[i].seconds for i in turn.clips) / turn.seconds for turn in turns[name]]
    scores = score([spoken[i].text for i in texts], [*texts.values()], LANGUAGE)
    written = tokenizer()([*texts.values()], add_special_tokens=False).input_ids
    return {
        "clips/s": asdict(spread(rates(turns[name]))),
        "seconds of audio a second (RTFx)": asdict(spread(seconds)),
        "WER": round(scores.normalized.wer, 4),
        "clips with the same text as ours": round(sum(texts[i] == ours[i] for i in texts) / len(texts), 4),
        "tokens written": sum(len(row) + 1 for row in written),
    }


def rates(turns: Sequence[Turn]) -> list[float]:
    """Clips a second of each round."""
    return [len(turn.clips) / turn.seconds for turn in turns]


def ratio(turns: Turns, name: str) -> Spread:
    """Clips a second of ours over those of another engine, round by round."""
    ours = rates(next(iter(turns.values())))
    return spread([mine / other for mine, other in zip(ours, rates(turns[name]), strict=True)])


def last_texts(turns: Sequence[Turn]) -> dict[int, str]:
    """What the engine wrote for each clip, the last time it had it; in the clips' order."""
    found = {clip: text for turn in turns for clip, text in zip(turn.clips, turn.texts, strict=True)}
    return dict(sorted(found.items()))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--size", choices=sorted(WIDTH_LAYERS_HEADS), default="tiny")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument(
        "--copies", type=int, default=4, help="of each clip, for engines that put like lengths together"
    )
    parser.add_argument("--no-record", action="store_true", help="print only")
    return parser.parse_args()


def _command(args: argparse.Namespace) -> str:
    names = ("clips", "copies", "rounds", "seed", "threads", "size", "device")
    return " ".join(["python -m benchmarks.transcribe", *(f"--{name} {getattr(args, name)}" for name in names)])


if __name__ == "__main__":
    main()
