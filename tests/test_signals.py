"""Contract: the first signal is noted and the work goes on, Ctrl-C twice ends at once, data workers hear of nothing."""

import multiprocessing
import os
import signal
import threading
import time
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
import torch

from asr.training import data_workers
from asr.training.batches import Planner
from asr.training.data import TrainingSet
from asr.training.guards.signals import ENDING, Signals
from asr.training.loading import loaded_batches
from tests.models import tiny_corpus, tiny_model

linux = pytest.mark.skipif(data_workers.START_METHOD != "fork", reason="a child that imports all libraries takes long")


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", ENDING, ids=lambda number: number.name)
def test_the_first_signal_is_noted_and_told(number: signal.Signals, capfd: pytest.CaptureFixture[str]) -> None:
    with Signals() as signals:
        assert signals.received is None
        send(number)
        assert signals.received == number
    told = capfd.readouterr().err
    assert number.name in told
    assert "finishing what is at hand" in told
    assert told.strip().count("\n") == 0


@pytest.mark.parametrize("first", ENDING, ids=lambda number: number.name)
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGUSR1], ids=lambda number: number.name)
def test_what_a_scheduler_repeats_changes_nothing(
    first: signal.Signals, second: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    with Signals() as signals:
        send(first)
        capfd.readouterr()
        send(second)
        send(second)
        assert signals.received == first
    assert capfd.readouterr().err == ""


def test_the_handlers_of_before_come_back_also_after_an_error() -> None:
    before = [signal.getsignal(number) for number in ENDING]
    during = []

    def run() -> None:
        with Signals():
            during.extend(signal.getsignal(number) for number in ENDING)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run()
    assert [signal.getsignal(number) for number in ENDING] == before
    assert not set(during) & set(before)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_outside_of_the_main_thread_it_does_nothing() -> None:
    before = [signal.getsignal(number) for number in ENDING]
    seen = []

    def run() -> None:
        with Signals() as signals:
            seen.append([signal.getsignal(number) for number in ENDING])
            seen.append(signals.received)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [before, None]


def test_a_closed_terminal_does_not_stop_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(descriptor: int, content: bytes) -> int:
        raise BrokenPipeError(descriptor, content)

    monkeypatch.setattr(os, "write", broken)
    with Signals() as signals:
        send(signal.SIGTERM)
        assert signals.received == signal.SIGTERM


def _interrupted_twice() -> None:
    with Signals():
        send(signal.SIGINT)
        send(signal.SIGINT)
        os._exit(1)


@linux
def test_ctrl_c_twice_ends_at_once_with_status_130() -> None:
    child = multiprocessing.get_context("fork").Process(target=_interrupted_twice)
    child.start()
    child.join(5)
    assert child.exitcode == 130


def _train(ready: Connection, data: TrainingSet, for_ever: bool) -> None:
    """Takes batches with two workers, in a process group of its own, until a signal came, and then some more."""
    os.setsid()
    torch.set_num_threads(1)  # the threads of OpenMP do not survive a fork, and waiting for them never ends
    with Signals() as signals, loaded_batches(data, Planner.fixed(data.edge_indices(), 3, 1), 0, 2) as batches:
        next(batches)
        workers = {child.pid for child in multiprocessing.active_children()}
        ready.send(sorted(workers))
        while signals.received is None:
            next(batches)
        time.sleep(0.05)  # a worker that the signal ends is gone by now
        taken = len(list(islice(batches, 12)))
        ready.send((signals.received, taken, {child.pid for child in multiprocessing.active_children()} == workers))
        while for_ever:
            next(batches)
    ready.send(len(multiprocessing.active_children()))


def _started(for_ever: bool) -> tuple[multiprocessing.process.BaseProcess, Connection, list[int]]:
    """A process that trains, what it reports, and its workers."""
    utterances, clips = tiny_corpus(12)
    model = tiny_model()
    data = TrainingSet.build(utterances, clips, model.tokenizer, model.edges, "az")
    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=_train, args=(theirs, data, for_ever))
    child.start()
    assert ours.poll(20), "the child does not start"
    return child, ours, ours.recv()


@linux
@pytest.mark.parametrize("number", ENDING, ids=lambda number: number.name)
def test_a_signal_to_all_processes_of_a_run_leaves_its_data_workers_at_work(number: signal.Signals) -> None:
    child, reports, workers = _started(for_ever=False)
    assert len(workers) == 2
    os.killpg(child.pid or 0, number)
    assert reports.poll(10)
    assert reports.recv() == (number, 12, True)
    assert reports.recv() == 0
    child.join(5)
    assert child.exitcode == 0


@linux
def test_the_workers_end_with_a_run_that_is_killed() -> None:
    child, _, workers = _started(for_ever=True)
    child.kill()
    child.join(5)
    assert not _left_alive(workers)


@linux
def test_the_workers_end_with_a_run_that_ctrl_c_ends_twice() -> None:
    child, reports, workers = _started(for_ever=True)
    os.killpg(child.pid or 0, signal.SIGINT)
    assert reports.poll(10)
    os.killpg(child.pid or 0, signal.SIGINT)
    child.join(5)
    assert child.exitcode == 130
    assert not _left_alive(workers)


def _left_alive(processes: list[int]) -> list[int]:
    """Those that run after five seconds still."""
    deadline = time.monotonic() + 5
    while (alive := [process for process in processes if _lives(process)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return alive


def _lives(process: int) -> bool:
    """A process that has ended stays listed until its parent asks for its status."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
