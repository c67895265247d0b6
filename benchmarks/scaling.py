"""How cost grows: with the length of a clip, and with the number of clips in the corpus.

    python -m benchmarks.scaling [--rounds 3] [--threads 2] [--batch-seconds 30] [--clips 1000 10000 100000 351019]

length      milliseconds a clip, and the arithmetic it needs, in training and in transcription, for clips of
            1, 2, 3, 5, 10, 20 and 30 s, Whisper's tiny size with random weights, fp32 on the CPU
            (benchmarks/scaling_length.py)
corpus      seconds and memory of what is done once before the first step, or once an epoch, and grows with the
            corpus: reading the split, choosing the edges, tokenising, the checks of the labels, the lengths of the
            clips, and the plan of an epoch (benchmarks/scaling_corpus.py). `exponent` is the slope between the two
            largest sizes on logarithmic axes: 1 is cost in proportion to the number of clips, 2 in proportion to
            its square. No audio is read.

A first round does not count. Writes benchmarks/results/scaling.json.
"""

import argparse
import math
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import scaling_length
from benchmarks.records import spread, write_record
from benchmarks.scaling_corpus import Cost, read_costs, write_split
from benchmarks.tiny import WIDTH_LAYERS_HEADS

ROOT = Path(__file__).resolve().parent.parent
SIZES = (1_000, 10_000, 100_000, 351_019)
"""The last is the size of LocalDoc/azerbaijani_asr."""
LIBRARIES = ("torch", "transformers", "tokenizers", "numpy")

Costs = Mapping[str, Sequence[Cost]]
"""Of each part, one entry a round."""


def main() -> None:
    """Measures both, prints and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--size", choices=sorted(WIDTH_LAYERS_HEADS), default="tiny")
    parser.add_argument("--batch-seconds", type=int, default=30)
    parser.add_argument("--clips", type=int, nargs="+", default=list(SIZES))
    args = parser.parse_args()
    by_length = scaling_length.measured(args.size, args.batch_seconds, args.rounds, args.threads)
    by_clips = {clips: corpus_costs(clips, args.rounds) for clips in sorted(args.clips)}
    figures = {"size": args.size, **by_length, **dict(corpus_figures(by_clips))}
    path = write_record("scaling", _command(args), LIBRARIES, figures)
    print(path.read_text(encoding="utf-8"))


def corpus_costs(clips: int, rounds: int) -> Costs:
    """Of each part, measured in a process that does nothing else."""
    with tempfile.TemporaryDirectory(prefix="scaling-") as folder:
        split = Path(folder) / "train.jsonl"
        write_split(split, clips)
        command = [sys.executable, "-m", "benchmarks.scaling_corpus", str(split), "--rounds", str(rounds)]
        done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    costs = read_costs(done.stdout)
    for name, rounds_of_it in costs.items():
        print(f"{clips} clips, {name}: {rounds_of_it[-1].seconds:.3f} s", flush=True)
    return costs


def corpus_figures(by_clips: Mapping[int, Costs]) -> Iterator[tuple[str, Any]]:
    """Seconds without the first round, memory from the first one, and how both grow."""
    for clips, costs in by_clips.items():
        for name, rounds in costs.items():
            yield f"{name}, {clips} clips, s", spread([cost.seconds for cost in rounds[1:]])
            if rounds[0].mebibytes is not None:
                yield f"{name}, {clips} clips, MiB", round(rounds[0].mebibytes, 1)
    if len(by_clips) > 1:
        few, many = sorted(by_clips)[-2:]
        for name in by_clips[many]:
            less, more = (_median_seconds(by_clips[clips][name]) for clips in (few, many))
            yield f"{name}, exponent from {few} to {many} clips", round(exponent(few, less, many, more), 2)


def exponent(few: int, less: float, many: int, more: float) -> float:
    """Power of the number of clips with which a cost grows from `less` to `more`."""
    return math.log(more / less) / math.log(many / few)


def _median_seconds(rounds: Sequence[Cost]) -> float:
    return statistics.median(cost.seconds for cost in rounds[1:])


def _command(args: argparse.Namespace) -> str:
    clips = " ".join(map(str, args.clips))
    options = f"--rounds {args.rounds} --threads {args.threads} --size {args.size} --batch-seconds {args.batch_seconds}"
    return f"python -m benchmarks.scaling {options} --clips {clips}"


if __name__ == "__main__":
    main()
