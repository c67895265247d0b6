"""How fast samples become log-mel, against transformers' and faster-whisper's extractors.

    python -m benchmarks.features [--clips 1024] [--rounds 5] [--threads 2] [--device cpu]

Generated speech with the duration mix of LocalDoc/azerbaijani_asr (`benchmarks.mix`) passes through each of these in
turn, in an order that rotates with the rounds, so that a busy moment hits all of them; a first round only warms up:

ours                            batches of one edge, from 16-bit samples: `padded_wave`, then `LogMel`; 16 edges
                                chosen from these clips, at most 32 clips a batch
extractor, 30 s, one by one     `WhisperFeatureExtractor` as it comes, one call a clip: what a preparation function that
                                is mapped over a data set does
extractor, 30 s, batches        the same with 32 clips a call
extractor, longest, batches     with `padding="longest"`, 32 clips in random order a call: what a collator does
extractor, longest, one by one  the same with one clip a call, so without any padding
faster-whisper, one by one      its numpy extractor, which does not pad to 30 s; only where the package is installed

All but the first get samples that are float32 already. Edges and batches are chosen beforehand. With `--device cuda`
transformers' extractor computes there too and, as it is made, brings its result back; ours stays.

`difference` is the largest one between our features and those of the extractor with `padding="longest"` on the same
samples, over all clips.

Writes benchmarks/results/features.json, or features-cuda.json. The target is 15 times the extractor as it comes.
"""

import argparse
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import WhisperFeatureExtractor

from asr.corpus.edges import choose_edges, edge_indices
from asr.features import HOP, Edges, LogMel, padded_wave
from asr.pcm import SAMPLE_RATE, Pcm16
from benchmarks.mix import speech_clips
from benchmarks.records import spread, write_record

BATCH = 32
MEL_BANDS = 80
SHAPES, LONGEST, TAIL, WIDTH = 16, 30.0, 0.1, 384
"""Of the edges: how many, the last one and the silence after a clip in seconds, whisper-tiny's hidden size."""
LIBRARIES = ("torch", "transformers", "numpy")
OURS = "ours"
DEFAULT = "extractor, 30 s, one by one"
NOT_INSTALLED = "not measured: pip install -r requirements-benchmarks.txt"


@dataclass(frozen=True)
class Bench:
    """The clips in the forms that the peers take, and what turns them into features."""

    batches: Sequence[tuple[Sequence[Pcm16], int]]
    """Ours: clips of one edge, and its samples."""
    waves: Sequence[NDArray[np.float32]]
    """The peers': full scale = 1, in random order."""
    log_mel: LogMel
    extractor: WhisperFeatureExtractor
    device: torch.device

    @classmethod
    def of(cls, clips: Sequence[Pcm16], device: torch.device) -> "Bench":
        """Chooses edges and batches."""
        waves = [clip.astype(np.float32) / np.float32(32768) for clip in clips]
        extractor = WhisperFeatureExtractor(feature_size=MEL_BANDS)
        return cls(batches_of(clips), waves, LogMel(MEL_BANDS).to(device), extractor, device)

    def ours(self) -> None:
        """Ours, left on the device."""
        for clips, samples in self.batches:
            self.log_mel(padded_wave(clips, samples).to(self.device))

    def extracted(self, clips: int, padding: str) -> None:
        """Features of transformers, `clips` a call."""
        for i in range(0, len(self.waves), clips):
            self._extract(self.waves[i : i + clips], padding)

    def difference(self) -> float:
        """The largest one between our features and the extractor's on the same samples."""
        return max(self._difference(padded_wave(clips, samples)) for clips, samples in self.batches)

    def _difference(self, wave: torch.Tensor) -> float:
        found = self.log_mel(wave.to(self.device)).cpu()
        return float((found - self._extract(list(wave.numpy()), "longest")).abs().max())

    def _extract(self, waves: Sequence[NDArray[np.float32]], padding: str) -> torch.Tensor:
        found = self.extractor(
            waves, sampling_rate=SAMPLE_RATE, padding=padding, return_tensors="pt", device=self.device.type
        )
        return torch.as_tensor(found.input_features)


def main() -> None:
    """Makes the clips, times all, prints and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    bench = Bench.of([clip.pcm for clip in speech_clips(args.clips, seed=1)], torch.device(args.device))
    peers = contestants(bench)
    with torch.inference_mode():
        difference = bench.difference()
        seconds = timed(peers, args.rounds, bench.device)
    figures = {"clips": args.clips, **audio(bench), "threads": args.threads, "device": args.device}
    figures |= speeds(seconds, args.clips) | {"difference": float(f"{difference:.2g}")}
    if not faster_whisper_installed():
        figures["faster-whisper, one by one"] = NOT_INSTALLED
    libraries = (*LIBRARIES, "faster-whisper") if faster_whisper_installed() else LIBRARIES
    options = f"--clips {args.clips} --rounds {args.rounds} --threads {args.threads} --device {args.device}"
    name = "features" if args.device == "cpu" else "features-cuda"
    path = write_record(name, f"python -m benchmarks.features {options}", libraries, figures)
    print(path.read_text(encoding="utf-8"))


def batches_of(clips: Sequence[Pcm16]) -> list[tuple[Sequence[Pcm16], int]]:
    """Clips of one edge each, at most `BATCH`, with the samples of the edge."""
    lengths = np.array([len(clip) for clip in clips])
    edges = Edges(choose_edges((lengths / SAMPLE_RATE).tolist(), SHAPES, LONGEST, TAIL, WIDTH), TAIL)
    found: list[tuple[Sequence[Pcm16], int]] = []
    of_clips = edge_indices(lengths, edges.seconds, TAIL)
    for edge in range(len(edges.seconds)):
        same = [clips[i] for i in np.flatnonzero(of_clips == edge).tolist()]
        found += [(same[i : i + BATCH], edges.padded_samples(edge)) for i in range(0, len(same), BATCH)]
    return found


def contestants(bench: Bench) -> dict[str, Callable[[], None]]:
    """What is timed, by name: each turns all clips into features."""
    found: dict[str, Callable[[], None]] = {
        OURS: bench.ours,
        DEFAULT: partial(bench.extracted, 1, "max_length"),
        "extractor, 30 s, batches": partial(bench.extracted, BATCH, "max_length"),
        "extractor, longest, batches": partial(bench.extracted, BATCH, "longest"),
        "extractor, longest, one by one": partial(bench.extracted, 1, "longest"),
    }
    if faster_whisper_installed():
        found["faster-whisper, one by one"] = partial(faster_whisper_extracted, bench.waves)
    return found


def faster_whisper_installed() -> bool:
    """It is optional."""
    return importlib.util.find_spec("faster_whisper") is not None


def faster_whisper_extracted(waves: Sequence[NDArray[np.float32]]) -> None:
    """faster-whisper's features."""
    from faster_whisper.feature_extractor import FeatureExtractor  # optional

    extractor = FeatureExtractor(feature_size=MEL_BANDS)
    for wave in waves:
        extractor(wave)


def timed(peers: Mapping[str, Callable[[], None]], rounds: int, device: torch.device) -> dict[str, list[float]]:
    """Seconds of each in each round, without the first round."""
    names = list(peers)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds + 1):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            start = synchronised(device)
            peers[name]()
            taken = synchronised(device) - start
            print(f"{name}: {taken:.2f} s", flush=True)
            if turn:
                seconds[name].append(taken)
    return seconds


def synchronised(device: torch.device) -> float:
    """The time at which the device has done all that it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return perf_counter()


def audio(bench: Bench) -> dict[str, object]:
    """How much there is, and how much more of it is computed."""
    samples = sum(len(wave) for wave in bench.waves)
    padded = sum(len(clips) * length for clips, length in bench.batches)
    return {
        "mean seconds of a clip": round(samples / SAMPLE_RATE / len(bench.waves), 3),
        "ours, frames computed / frames of the clips": round(padded / samples, 3),
        "30 s, frames computed / frames of the clips": round(30 * SAMPLE_RATE * len(bench.waves) / samples, 3),
        "ours, shapes": len({length // HOP for _, length in bench.batches}),
    }


def speeds(seconds: Mapping[str, Sequence[float]], clips: int) -> dict[str, object]:
    """Clips a second of each, and by how much ours is faster in each round."""
    figures: dict[str, object] = {
        f"{name}, clips/s": spread([clips / taken for taken in rounds]) for name, rounds in seconds.items()
    }
    for name in [name for name in seconds if name != OURS]:
        pairs = zip(seconds[name], seconds[OURS], strict=True)
        figures[f"ours over {name}"] = spread([theirs / ours for theirs, ours in pairs])
    return figures


if __name__ == "__main__":
    main()
