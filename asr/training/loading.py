"""The batches of a run as tensors, read in this process or ahead by data workers.

Worker k of n reads every n-th batch of the plan, and nothing is drawn at random: the number of workers changes
neither order nor bits.
"""

from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle

from asr.training.batches import Planner, Step
from asr.training.data import TrainingSet
from asr.training.data_workers import Worker, end_all, start_all
from asr.training.loaded import Batch, Loaded, load

__all__ = ["AHEAD", "WORKER_SECONDS", "Batch", "Loaded", "load", "loaded_batches"]

WORKER_SECONDS = 8.0
"""Longest wait for a worker; a batch takes milliseconds. With the end of the others, within ten seconds."""
AHEAD = 2
"""Batches that a worker reads ahead."""


@contextmanager
def loaded_batches(
    data: TrainingSet,
    planner: Planner,
    start: int,
    workers: int,
    seconds: float = WORKER_SECONDS,
    pin: bool = False,
) -> Iterator[Iterator[Batch]]:
    """The batches from number `start` of the run on, without end, read ahead by `workers` processes.

    Leaving the context ends the workers. They are deaf to the signals that ask a run to end: Ctrl-C reaches all
    processes of a terminal, and the run still needs batches then.

    Args:
        data: the training set.
        planner: says which clips make which batch.
        start: batches that the run has taken before.
        workers: processes; 0 reads in this one.
        seconds: longest wait for a worker.
        pin: give page-locked tensors, made one batch ahead; for CUDA.

    Raises:
        UserError: from the iterator. `data.worker_died` or `data.worker_hung` with the worker's process id and the
            clips it was to read, `data.no_shared_memory`, or what `load` raises.
    """
    plan = enumerate(planner.batches(start), start)
    crew: list[Worker] = []
    batches = _read_ahead(crew, plan, seconds) if workers else _read_here(data, plan)
    stream = _pinned(batches) if pin else batches
    try:
        start_all(crew, workers, data)
        for worker in crew * AHEAD:
            worker.ask(*next(plan))
        yield stream
    finally:
        stream.close()
        end_all(crew)


def _read_here(data: TrainingSet, plan: Iterator[tuple[int, Step]]) -> Generator[Batch, None, None]:
    for _, step in plan:
        yield tuple(load(data, batch) for batch in step)


def _read_ahead(
    crew: Sequence[Worker], plan: Iterator[tuple[int, Step]], seconds: float
) -> Generator[Batch, None, None]:
    for worker in cycle(crew):
        batch = worker.take(seconds)
        worker.ask(*next(plan))
        yield batch


def _pinned(batches: Iterator[Batch]) -> Generator[Batch, None, None]:
    """Page-locked copies, each made while the step before it computes."""
    with ThreadPoolExecutor(1) as beside:
        coming = beside.submit(_next_pinned, batches)
        while True:
            batch = coming.result()
            coming = beside.submit(_next_pinned, batches)
            yield batch


def _next_pinned(batches: Iterator[Batch]) -> Batch:
    return tuple(loaded.pin_memory() for loaded in next(batches))
