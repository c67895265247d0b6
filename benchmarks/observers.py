"""What it costs to watch a training run: the profiler in every step, the memory monitor at every log line.

    python -m benchmarks.observers [--rounds 20] [--threads 2]

For the presets `sample` and `smoke`, with their networks, batches of eight clips of noise of 2 s and 30 tokens of text:

direct      the calls of one step alone, timed over thousands of repetitions, as us a step and as a share of the
            median step without them; what is done at a log line is divided by the steps between two lines. For the
            monitor this is the worst case that its rule allows: a measurement at every log line, but none sooner
            than 0.5 s after the last, and a search for child processes every 60 s.
together    blocks of steps from one log line to the next, watched and unwatched in turn, so that a busy moment hits
            both; the median over the rounds of watched / unwatched - 1. Its spread is the machine's noise, which is
            larger than what is measured here: it shows that nothing large hides beside the direct figures.

Writes benchmarks/results/observers.json. The bounds are 1 % for the profiler and 0.2 % for the monitor.
"""

import argparse
import statistics
import timeit
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch

from asr.corpus.clips import Utterance
from asr.features import LogMel
from asr.models.build import build
from asr.models.tokenizer import end_id
from asr.params import Params, load_params
from asr.pcm import SAMPLE_RATE
from asr.training.batches import MicroBatch
from asr.training.data import TrainingSet
from asr.training.objective import Objective
from asr.training.observe.growth import LOOKS, WARM_UP_LOOKS
from asr.training.observe.memory import INTERVAL_SECONDS, MemoryMonitor
from asr.training.observe.pressure import CHILDREN_SECONDS, SystemProbe
from asr.training.observe.profiler import Profiler
from benchmarks.records import Spread, spread, write_record

ROOT = Path(__file__).resolve().parent.parent
CPU = torch.device("cpu")
SECONDS = 1.9
"""Of a clip; with its tail it fills an edge of 2 s."""
TEXT = "Saat üçə on dəqiqə qalıb, gedək."
BOUNDS = {"profiler": 0.01, "monitor": 0.002}


@dataclass(frozen=True)
class Bench:
    """A training step of a preset, written out so that it can be run with and without observers."""

    data: TrainingSet
    objective: Objective
    log_mel: LogMel
    optimizer: torch.optim.Optimizer
    params: Params

    def step(self, profiler: Profiler) -> None:
        """One batch in one micro-batch, with the phases of the training loop."""
        with profiler.phase("wait"):
            batch = MicroBatch(self.data.edge_indices()[0], tuple(range(len(self.data.utterances))))
            wave, labels = self.data.wave(batch), self.data.labels(batch)
        with profiler.phase("transfer"):
            wave = wave.to(CPU)
        log_mel = self.log_mel(wave)
        with profiler.phase("forward"):
            cross_entropy, ctc = self.objective(log_mel, labels)
        with profiler.phase("backward"):
            ((cross_entropy + ctc) / int(labels.lengths.sum())).backward()
        torch.nn.utils.clip_grad_norm_(self.objective.parameters(), 1.0)
        with profiler.phase("optimizer"):
            self.optimizer.step()
        self.optimizer.zero_grad()
        profiler.end_step(len(batch.clips), SECONDS * len(batch.clips))


class Unwatched(Profiler):
    """The same calls, as cheap as a call can be: a pause that never ends."""

    def __init__(self) -> None:
        super().__init__(CPU)
        self.pause().__enter__()


def main() -> None:
    """Measures both presets, prints and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--rounds", type=int, default=20, help="blocks of the sample preset; ten times as many of smoke"
    )
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    figures: dict[str, Any] = {"bounds": BOUNDS}
    for preset, rounds in (("sample", args.rounds), ("smoke", 10 * args.rounds)):
        bench = make_bench(load_params(ROOT / "presets" / f"{preset}.yaml"))
        figures |= {f"{preset}, {name}": value for name, value in measured(bench, rounds).items()}
    command = f"python -m benchmarks.observers --rounds {args.rounds} --threads {args.threads}"
    path = write_record("observers", command, ("torch", "transformers", "psutil", "numpy"), figures)
    print(path.read_text(encoding="utf-8"))


def make_bench(params: Params) -> Bench:
    """The network of a preset with random weights, and one batch."""
    rng = np.random.default_rng(1)
    names = [f"clip{i}" for i in range(params.train.batch_size)]
    noise = {n: rng.integers(-9999, 9999, int(SECONDS * SAMPLE_RATE)).astype(np.int16) for n in names}
    utterances = [Utterance(name, TEXT, SECONDS, "g", "benchmark", "") for name in names]
    model = build(params.model, params.features, "az", utterances)
    data = TrainingSet.build(utterances, noise, model.tokenizer, model.edges, "az")
    train = params.train
    objective = Objective(model.network, end_id(model.tokenizer), train.label_smoothing, train.ctc_weight)
    optimizer = torch.optim.AdamW(objective.parameters(), lr=1e-4, fused=True)
    return Bench(data, objective.train(), LogMel(model.network.config.num_mel_bins), optimizer, params)


def measured(bench: Bench, rounds: int) -> dict[str, Any]:
    """All figures of one preset."""
    every = bench.params.train.log_every
    unwatched, watched = together(bench, rounds, every)
    step = statistics.median(unwatched) / every
    profiler = profiler_seconds(every)
    look, search = look_seconds(), search_seconds()
    monitor = look / max(1.0, INTERVAL_SECONDS / (every * step)) / every + search * step / CHILDREN_SECONDS
    return {
        "steps between log lines": every,
        "step unwatched, ms": _milliseconds(unwatched, every),
        "profiler direct, us/step": _digits(profiler * 1e6),
        "profiler direct, share of a step": _digits(profiler / step),
        "monitor, one look with verdict, us": _digits(look * 1e6),
        "monitor, search for children, us": _digits(search * 1e6),
        "monitor direct, us/step": _digits(monitor * 1e6),
        "monitor direct, share of a step": _digits(monitor / step),
        "together, watched / unwatched - 1": spread([b / a - 1 for a, b in zip(unwatched, watched, strict=True)]),
    }


def together(bench: Bench, rounds: int, every: int) -> tuple[list[float], list[float]]:
    """Seconds of blocks of steps, unwatched and watched, as pairs whose order alternates; the first ones warm up."""
    off, on, monitor = Unwatched(), Profiler(CPU), MemoryMonitor(CPU)
    pairs = []
    for number in range(rounds + 2):
        seconds = {}
        for watched in (bool(number % 2), not number % 2):
            start = perf_counter()
            for _ in range(every):
                bench.step(on if watched else off)
            if watched:
                observe(on, monitor, number)
            seconds[watched] = perf_counter() - start
            on.stop()
        pairs.append((seconds[False], seconds[True]))
    return [pair[0] for pair in pairs[2:]], [pair[1] for pair in pairs[2:]]


def observe(profiler: Profiler, monitor: MemoryMonitor, step: int) -> None:
    """What is done at a log line."""
    profile = profiler.report()
    assert profile is not None
    profile.verdict()
    monitor.relieve(monitor.look(step))
    monitor.leak()


def profiler_seconds(every: int) -> float:
    """Of the profiler's calls in one step, with its part of a log line."""
    profiler = Profiler(CPU)

    def step() -> None:
        for name in ("wait", "transfer", "forward", "backward", "optimizer"):
            with profiler.phase(name):
                pass
        profiler.end_step(8, 16.0)

    def line() -> None:
        profiler.end_step(8, 16.0)
        profile = profiler.report()
        assert profile is not None
        profile.verdict()

    return _seconds(step, 2000) + _seconds(line, 500) / every


def look_seconds() -> float:
    """Of one measurement with all that follows from it, the window of looks full; without a search for children."""
    monitor = MemoryMonitor(CPU, interval_seconds=0)
    step = 0

    def line() -> None:
        nonlocal step
        step += 1
        monitor.relieve(monitor.look(step))
        monitor.leak()

    for _ in range(WARM_UP_LOOKS + LOOKS):
        line()
    return _seconds(line, 200)


def search_seconds() -> float:
    """Of one measurement that searches for child processes, with the making of a probe: an upper bound."""
    return _seconds(lambda: SystemProbe(CPU).measure(), 10)


def _seconds(call: Callable[[], object], count: int) -> float:
    """Of one call: the median of seven repetitions."""
    return statistics.median(timeit.repeat(call, number=count, repeat=7)) / count


def _milliseconds(blocks: list[float], every: int) -> Spread:
    return spread([seconds / every * 1e3 for seconds in blocks])


def _digits(value: float) -> float:
    return float(f"{value:.3g}")


if __name__ == "__main__":
    main()
