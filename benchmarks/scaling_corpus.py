"""What the preparation of a training run costs for a corpus of one size: seconds and memory of each part.

    python -m benchmarks.scaling_corpus train.jsonl [--rounds 3]

Called by `benchmarks.scaling`, once a size, with a split that `write_split` has made: in a process of its own, so that
no part finds memory that something else has left. Prints JSON.
"""

import argparse
import ctypes
import gc
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from transformers import WhisperTokenizer

from asr.corpus.clips import Utterance, read_split
from asr.corpus.edges import choose_edges
from asr.corpus.sample.sentences import sentences
from asr.features import Edges
from asr.files import write_jsonl
from asr.params import TrainParams, load_params
from asr.pcm import SAMPLE_RATE, Pcm16
from asr.training.batches import Planner
from asr.training.data import TrainingSet
from asr.training.padding import Padding
from benchmarks.mix import clip_lengths
from benchmarks.tiny import LANGUAGE, TARGET_POSITIONS, tokenizer

PRESET = Path(__file__).resolve().parent.parent / "presets" / "azerbaijani-whisper-tiny.yaml"
SHAPES, LONGEST, TAIL, WIDTH = 16, 30.0, 0.1, 384
CHARACTERS_PER_SECOND = 14.8
"""Of LocalDoc/azerbaijani_asr."""
DISTINCT = 5_000
"""Sentences from which the texts are put together."""
CLEAR_REFS, STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


T = TypeVar("T")


@dataclass(frozen=True)
class Cost:
    """Of one part in one round."""

    seconds: float
    mebibytes: float | None
    """The most memory that the part took beyond what was held before; None where the system does not tell."""


class Noise:
    """Clips without audio of their own: each is the beginning of one stretch of noise."""

    def __init__(self, clips: int) -> None:
        samples = lengths(clips)
        self._samples = samples.tolist()
        self._noise = np.random.default_rng(1).integers(-9999, 9999, int(samples.max())).astype(np.int16)

    def __getitem__(self, clip_id: str, /) -> Pcm16:
        """Samples of the clip with this number."""
        return self._noise[: self._samples[int(clip_id)]]


class Watch:
    """Times parts by name."""

    def __init__(self) -> None:
        self.costs: dict[str, list[Cost]] = defaultdict(list)

    def __call__(self, name: str, part: Callable[[], T]) -> T:
        """What `part` returns."""
        gc.collect()
        before = resident_mebibytes(reset=True)
        start = perf_counter()
        result = part()
        seconds = perf_counter() - start
        after = resident_mebibytes(reset=False)
        self.costs[name].append(Cost(seconds, None if before is None or after is None else after - before))
        return result


def main() -> None:
    """Measures, and prints the costs of all rounds; the first one only counts for memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("split", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    watch, names = Watch(), tokenizer()
    with args.split.open(encoding="utf-8") as file:
        noise = Noise(sum(1 for _ in file))
    for _ in range(args.rounds + 1):
        prepare_run(watch, args.split, noise, names)
    json.dump({name: [asdict(cost) for cost in rounds] for name, rounds in watch.costs.items()}, sys.stdout)


def prepare_run(watch: Watch, split: Path, noise: Noise, names: WhisperTokenizer) -> None:
    """All that grows with the corpus, from the file of the split to the plan of the first epoch."""
    params = run_params()
    corpus = watch("read the split", lambda: read_split(split))
    seconds = [utterance.duration for utterance in corpus]
    edges = watch("choose edges", lambda: Edges(choose_edges(seconds, SHAPES, LONGEST, TAIL, WIDTH), TAIL))
    data = watch("tokenise", lambda: TrainingSet.build(corpus, noise, names, edges, LANGUAGE))
    watch("check labels", lambda: data.require_fitting_labels(TARGET_POSITIONS, ctc=False))
    padding = watch("clips' lengths", lambda: Padding.of(edges, data.samples(), params))
    candidates = watch("edges' candidates", padding.candidates)
    planner = Planner(padding.epoch, candidates, len(corpus), params.batch_size, params.seed)
    watch("plan an epoch", lambda: planner.epoch(0))


def run_params() -> TrainParams:
    """Of a preset, with the extra padding that a part of the clips gets."""
    return replace(load_params(PRESET).train, margin=1.0, margin_share=0.2, window_share=0.05)


def write_split(path: Path, clips: int) -> None:
    """A split file with clips of the corpus' lengths, and as much text as is spoken in them."""
    rng = np.random.default_rng(1)
    distinct = sentences(DISTINCT, rng)
    starts = rng.integers(DISTINCT, size=clips).tolist()
    write_jsonl(path, (vars(_utterance(*row, distinct)) for row in enumerate(zip(lengths(clips), starts, strict=True))))


def lengths(clips: int) -> NDArray[np.int64]:
    """Samples of each clip, shape = (clips,)."""
    return clip_lengths(clips, np.random.default_rng(1))


def _utterance(number: int, length_and_start: tuple[int, int], distinct: Sequence[str]) -> Utterance:
    seconds = int(length_and_start[0]) / SAMPLE_RATE
    text = spoken(distinct, length_and_start[1], max(2, round(seconds * CHARACTERS_PER_SECOND)))
    return Utterance(f"{number:06d}", text, seconds, f"g{number // 20}", "noise", f"{number:064x}")


def spoken(distinct: Sequence[str], start: int, characters: int) -> str:
    """Sentences from `start` on, cut off after so many characters."""
    text, place = distinct[start], start
    while len(text) < characters:
        place += 1
        text += f" {distinct[place % len(distinct)]}"
    return text[:characters].strip()


def resident_mebibytes(reset: bool) -> float | None:
    """The largest resident memory since the last reset; after a reset, what is held now."""
    if not CLEAR_REFS.exists():
        return None
    if reset:
        ctypes.CDLL(None).malloc_trim(0)  # memory that was freed would hide what the next part takes
        CLEAR_REFS.write_text("5", encoding="ascii")  # 5: begin anew with the largest resident memory
    lines = STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) / 1024


def read_costs(output: str) -> dict[str, list[Cost]]:
    """What `main` has printed."""
    content: dict[str, list[dict[str, Any]]] = json.loads(output)
    return {name: [Cost(**cost) for cost in rounds] for name, rounds in content.items()}


if __name__ == "__main__":
    main()
