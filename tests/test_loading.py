"""Contract: data workers change neither order nor bits, and one that dies, hangs or cannot read has a name."""

import errno
import multiprocessing
import os
import re
import resource
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import pytest
import torch

from asr.errors import UserError
from asr.pcm import Pcm16
from asr.training import data_workers
from asr.training.batches import MicroBatch, Planner
from asr.training.data import TrainingSet
from asr.training.guards.signals import ENDING
from asr.training.loading import Batch, Loaded, load, loaded_batches
from tests.models import tiny_corpus, tiny_model

linux = pytest.mark.skipif(data_workers.START_METHOD != "fork", reason="each worker would import all libraries anew")
BAD = "clip03"


@dataclass(frozen=True)
class Faulty:
    """Clips of which one does something else than come back."""

    clips: Mapping[str, Pcm16]
    fault: Callable[[], object]

    def __getitem__(self, clip_id: str) -> Pcm16:
        if clip_id == BAD:
            self.fault()
        return self.clips[clip_id]


def raising(error: Exception) -> Callable[[], object]:
    def fault() -> object:
        raise error

    return fault


@pytest.fixture(scope="module")
def data() -> TrainingSet:
    utterances, clips = tiny_corpus(14)
    model = tiny_model()
    return TrainingSet.build(utterances, clips, model.tokenizer, model.edges, "az")


@pytest.fixture(scope="module")
def planner(data: TrainingSet) -> Planner:
    return Planner.fixed(data.edge_indices(), 3, seed=1)


def faulty(data: TrainingSet, fault: Callable[[], object]) -> TrainingSet:
    return replace(data, clips=Faulty(data.clips, fault))


def in_bytes(batches: Sequence[Batch]) -> list[list[tuple[object, ...]]]:
    """All that a batch is made of, so that equal means the same bits."""

    def content(tensor: torch.Tensor) -> tuple[object, ...]:
        return tensor.dtype, tuple(tensor.shape), tensor.contiguous().numpy().tobytes()

    return [
        [
            (
                loaded.edge,
                loaded.clips,
                *map(content, (loaded.wave, *vars(loaded.labels).values())),
            )
            for loaded in batch
        ]
        for batch in batches
    ]


def taken(
    data: TrainingSet, planner: Planner, start: int, workers: int, count: int = 9
) -> list[list[tuple[object, ...]]]:
    with loaded_batches(data, planner, start, workers) as batches:
        return in_bytes(list(islice(batches, count)))


def children() -> Iterator[int]:
    return (child.pid for child in multiprocessing.active_children() if child.pid)


def test_a_micro_batch_is_loaded_as_the_plan_names_it(data: TrainingSet, planner: Planner) -> None:
    for batch in planner.epoch(0)[0]:
        loaded = load(data, batch)
        assert (loaded.edge, loaded.clips) == (batch.edge, batch.clips)
        assert loaded.wave.shape == (len(batch.clips), data.edges.padded_samples(batch.edge))
        assert loaded.wave.dtype == torch.float32
        for row, clip in zip(loaded.wave, batch.clips, strict=True):
            samples = data.clips[data.utterances[clip].id]
            assert torch.equal(row[: len(samples)] * 32768, torch.from_numpy(samples).float())
            assert not row[len(samples) :].any()
        assert loaded.labels.lengths.tolist() == [len(data.texts[clip]) for clip in batch.clips]


@linux
def test_workers_change_neither_order_nor_bits_from_any_start(data: TrainingSet, planner: Planner) -> None:
    whole = taken(data, planner, 0, workers=0, count=20)
    epoch = planner.batches_in_an_epoch()
    for start, workers in [(0, 1), (0, 2), (1, 2), (epoch - 1, 2), (epoch, 3), (epoch + 2, 2)]:
        assert taken(data, planner, start, workers) == whole[start : start + 9], (start, workers)


@linux
def test_reading_ahead_leaves_the_random_numbers_alone(data: TrainingSet, planner: Planner) -> None:
    before = torch.get_rng_state()
    taken(data, planner, 0, workers=2)
    assert torch.equal(torch.get_rng_state(), before)


@linux
def test_a_batch_stays_as_it_is_when_the_workers_are_gone(data: TrainingSet, planner: Planner) -> None:
    with loaded_batches(data, planner, 0, 2) as batches:
        kept = list(islice(batches, 5))
        at_once = in_bytes(kept)
    assert in_bytes(kept) == at_once == taken(data, planner, 0, 0, 5)


@linux
@pytest.mark.parametrize("fault", [None, raising(RuntimeError("the step failed"))], ids=["quietly", "by an error"])
def test_no_worker_outlives_the_context(
    data: TrainingSet, planner: Planner, fault: Callable[[], object] | None
) -> None:
    def run() -> None:
        with loaded_batches(data, planner, 0, 3) as batches:
            next(batches)
            assert len(list(children())) == 3
            if fault:
                fault()

    if fault:
        with pytest.raises(RuntimeError, match="the step failed"):
            run()
    else:
        run()
    assert list(children()) == []


@linux
def test_a_killed_worker_is_reported_with_its_id_and_its_clips(data: TrainingSet, planner: Planner) -> None:
    with loaded_batches(data, planner, 0, 2, seconds=5) as batches:
        next(batches)
        killed = min(children())
        os.kill(killed, signal.SIGKILL)
        start = time.monotonic()
        with pytest.raises(
            UserError, match=rf"data\.worker_died: data worker {killed} ended with signal SIGKILL"
        ) as told:
            list(islice(batches, 6))
        assert time.monotonic() - start < 2
    assert re.search(r"before batch \d+ of clips clip\d\d, clip\d\d", str(told.value))
    assert "\n" not in str(told.value)
    assert list(children()) == []


@linux
def test_a_worker_that_ends_by_itself_is_reported_with_its_status(data: TrainingSet, planner: Planner) -> None:
    with (
        pytest.raises(UserError, match=rf"worker_died: data worker \d+ ended with status 7 before batch .*{BAD}"),
        loaded_batches(faulty(data, lambda: os._exit(7)), planner, 0, 2, seconds=5) as batches,
    ):
        list(islice(batches, 6))


@linux
def test_a_worker_that_hangs_is_reported_in_time_and_ended(data: TrainingSet, planner: Planner) -> None:
    start = time.monotonic()
    with (
        pytest.raises(UserError, match=rf"worker_hung: data worker \d+ took more than 0\.4 s for batch \d+ .*{BAD}"),
        loaded_batches(faulty(data, lambda: time.sleep(60)), planner, 0, 2, seconds=0.4) as batches,
    ):
        list(islice(batches, 6))
    assert time.monotonic() - start < 3
    assert list(children()) == []


@linux
def test_leaving_does_not_wait_for_a_worker_that_is_stuck(
    data: TrainingSet, planner: Planner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_workers, "END_SECONDS", 0.2)
    start = time.monotonic()
    with loaded_batches(faulty(data, lambda: time.sleep(60)), planner, 0, 2):
        pass
    assert time.monotonic() - start < 3
    assert list(children()) == []


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=linux)])
@pytest.mark.parametrize(
    ("error", "words"),
    [
        (KeyError("gone"), "KeyError 'gone'"),
        (OSError(errno.EIO, "Input/output error"), "OSError .*Input/output error"),
        (ValueError("buffer is smaller than requested size"), "ValueError buffer is smaller"),
        (UserError("data/clips: no clip 'x'; run prepare again"), "data/clips: no clip 'x'"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_a_clip_that_cannot_be_read_is_named_the_same_with_and_without_workers(
    data: TrainingSet, planner: Planner, workers: int, error: Exception, words: str
) -> None:
    bad = faulty(data, raising(error))
    at = next(number for number, step in enumerate(planner.epoch(0)) if _holds(data, step))
    with loaded_batches(bad, planner, 0, workers) as batches:
        good = in_bytes(list(islice(batches, at)))
        with pytest.raises(UserError, match=rf"^data\.clip_unreadable: clip {BAD}: {words}") as told:
            next(batches)
    assert good == taken(data, planner, 0, 0, at)
    assert "dvc checkout data/clips" in str(told.value)


def test_a_clip_that_can_be_read_the_second_time_leaves_the_whole_micro_batch_under_suspicion(
    data: TrainingSet, planner: Planner
) -> None:
    errors = iter([OSError("a hiccup")])

    def once() -> None:
        for error in errors:
            raise error

    batch = next(batch for step in planner.epoch(0) for batch in step if _holds(data, (batch,)))
    names = ", ".join(data.utterances[clip].id for clip in batch.clips)
    with pytest.raises(UserError, match=f"clip {names}: OSError a hiccup"):
        load(faulty(data, once), batch)


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=linux)])
def test_a_label_that_teaches_something_wrong_keeps_its_own_code(
    data: TrainingSet, planner: Planner, workers: int
) -> None:
    wrong = replace(data, prefix=(*data.prefix, data.end + 1), end=data.texts[0][0])
    with (
        pytest.raises(UserError, match=r"^label\."),
        loaded_batches(wrong, planner, 0, workers) as batches,
    ):
        list(islice(batches, 6))


@pytest.fixture
def no_room() -> Iterator[None]:
    """A limit on the size of files, which workers inherit."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@linux
@pytest.mark.usefixtures("no_room")
def test_samples_that_find_no_room_between_two_processes_are_reported(data: TrainingSet, planner: Planner) -> None:
    with (
        pytest.raises(UserError, match=r"data\.no_shared_memory: .* MiB of samples .*File too large"),
        loaded_batches(data, planner, 0, 1) as batches,
    ):
        next(batches)


@linux
def test_taking_batches_leaves_no_file_open(data: TrainingSet, planner: Planner) -> None:
    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = open_files()
    with loaded_batches(data, planner, 0, 2) as batches:
        at_first = [open_files() for _ in islice(batches, 4)][-1]
        assert [open_files() for _ in islice(batches, 20)][-1] <= at_first
    del batches
    assert open_files() <= before


@linux
@pytest.mark.parametrize("number", ENDING, ids=lambda number: number.name)
def test_a_signal_that_asks_the_run_to_end_does_not_end_a_worker(
    data: TrainingSet, planner: Planner, number: signal.Signals
) -> None:
    with loaded_batches(data, planner, 0, 2, seconds=5) as batches:
        next(batches)
        workers = set(children())
        for worker in workers:
            os.kill(worker, number)
        time.sleep(0.05)
        assert len(list(islice(batches, 12))) == 12
        assert set(children()) == workers


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=linux)])
def test_page_locked_batches_come_one_ahead_and_in_order(
    data: TrainingSet, planner: Planner, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a CUDA device has such memory; here the copy is made as elsewhere."""
    made: list[tuple[int, ...]] = []

    def copied(loaded: Loaded) -> Loaded:
        made.append(loaded.clips)
        return replace(loaded, wave=loaded.wave.clone())

    monkeypatch.setattr(Loaded, "pin_memory", copied)
    with loaded_batches(data, planner, 2, workers, pin=True) as batches:
        assert in_bytes(list(islice(batches, 5))) == taken(data, planner, 2, 0, 5)
    steps = list(islice(planner.batches(2), 6))
    assert made == [batch.clips for step in steps for batch in step]


def _holds(data: TrainingSet, step: Sequence[MicroBatch]) -> bool:
    return any(data.utterances[clip].id == BAD for batch in step for clip in batch.clips)
