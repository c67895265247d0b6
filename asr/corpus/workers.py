"""Processes that decode the parts of a source, watched so that no file can stop or hang them all.

A worker decodes in its own process, which costs nothing on good files. Before it decodes it notes the
time. A worker that dies, or decodes one file for too long, is replaced, and its part is
done again with every foreign file decoded in a child process (`asr.isolation`): there the file that did
it becomes a row with a reason.
"""

import gc
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from ctypes import c_double
from multiprocessing.connection import Connection, wait
from multiprocessing.sharedctypes import RawArray
from types import TracebackType
from typing import Any

from asr.audio import decode
from asr.corpus.part import Job, decode_part
from asr.corpus.startup import leave_pandas_out, one_thread_each
from asr.errors import UserError
from asr.isolation import DECODE_SECONDS, IsolatedDecoder
from asr.pcm import Decode, Encoded, Sound

POLL_SECONDS = 0.2
MAX_WORKERS = 16
"""Beyond this the disk is the limit."""
CLIPS, SINCE = 0, 1
"""Places in a worker's report: clips done, and since when it decodes (0: it does not)."""


def usable_cores() -> int:
    """Cores this process may use, at most `MAX_WORKERS`."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MAX_WORKERS)


class Watched:
    """A `Decode` that reports when it is at work."""

    def __init__(self, report: Any, decoder: Decode) -> None:
        self._report = report
        self._decoder = decoder

    def __call__(self, data: Encoded, name: str = "", /) -> Sound:
        """The sound in `data`; see `asr.audio.decode`."""
        self._report[SINCE] = time.monotonic()
        try:
            return self._decoder(data, name)
        finally:
            self._report[SINCE] = 0


class Worker:
    """A process that does one job after the other."""

    def __init__(self, seconds: float, decoder: Decode) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.report = RawArray(c_double, 2)
        self.job: Job | None = None
        self.careful = False
        self._seconds = seconds
        self._process = context.Process(target=_serve, args=(theirs, self.report, seconds, decoder))
        with one_thread_each():
            self._process.start()
        theirs.close()

    def start(self, job: Job, careful: bool) -> None:
        """Hands over a job; `careful` isolates every foreign file."""
        self.job, self.careful = job, careful
        self.pipe.send((job, careful))

    def take_clips(self) -> int:
        """Clips done since the last call."""
        done, self.report[CLIPS] = int(self.report[CLIPS]), 0
        return done

    def hangs(self) -> bool:
        """Whether it has decoded one file for too long."""
        since = self.report[SINCE]
        return bool(since) and not self.careful and time.monotonic() - since > self._seconds

    def end(self) -> int:
        """Ends the process, if it still runs, and returns its exit status."""
        if self._process.is_alive() and self.pipe.closed is False:
            self._process.kill()
        self.pipe.close()
        self._process.join()
        return self._process.exitcode or 0


class Crew:
    """A number of workers that share out jobs; a context manager, which ends them when it is left."""

    def __init__(self, size: int, seconds: float = DECODE_SECONDS, decoder: Decode = decode) -> None:
        self._size = size
        self._seconds = seconds
        self._decoder = decoder
        self._workers: list[Worker] = []

    def __enter__(self) -> "Crew":
        """Starts the processes, so that they load what they need while this one opens the source."""
        while len(self._workers) < self._size:
            self._workers.append(Worker(self._seconds, self._decoder))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for worker in self._workers:
            worker.end()
        self._workers = []

    def run(self, jobs: Iterable[Job], progress: Callable[[int], object]) -> None:
        """Does all jobs; `progress` is told of clips as they are done.

        Raises:
            UserError: a row of the source does not fit, the disk is full, or a job loses its worker twice.
        """
        assert self._workers, "a crew works inside its `with` block only"
        waiting = deque((job, False) for job in jobs)
        while waiting or any(worker.job for worker in self._workers):
            self._hand_out(waiting)
            wait([worker.pipe for worker in self._workers], POLL_SECONDS)
            for worker in list(self._workers):
                progress(worker.take_clips())
                self._attend(worker, waiting)

    def _hand_out(self, waiting: deque[tuple[Job, bool]]) -> None:
        for worker in self._workers:
            if worker.job is None and waiting:
                worker.start(*waiting.popleft())

    def _attend(self, worker: Worker, waiting: deque[tuple[Job, bool]]) -> None:
        """Takes an answer, or replaces a worker that gives none."""
        if worker.hangs():
            self._replace(worker, waiting)
        elif worker.job is not None and worker.pipe.poll():
            try:
                refusal = worker.pipe.recv_bytes().decode()
            except (EOFError, ConnectionError):
                self._replace(worker, waiting)
                return
            if refusal:
                raise UserError(refusal)
            worker.job = None

    def _replace(self, worker: Worker, waiting: deque[tuple[Job, bool]]) -> None:
        self._workers[self._workers.index(worker)] = Worker(self._seconds, self._decoder)
        status, job = worker.end(), worker.job
        assert job is not None
        if worker.careful:
            raise UserError(
                f"a process that reads audio ended twice (status {status}) in part {job.number} of the source: most "
                "often memory ran out; close other programs and run prepare again, it goes on where it was"
            )
        waiting.appendleft((job, True))


def _serve(pipe: Connection, report: Any, seconds: float, decoder: Decode) -> None:
    """Leaves Ctrl-C to the parent, which ends its workers, and ends with the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    leave_pandas_out()
    gc.freeze()  # what the imports made lives for ever: collecting garbage need not look at it,
    gc.set_threshold(50_000)  # nor often, since clips hold no cycles
    while True:
        try:
            job, careful = pipe.recv()
        except EOFError:
            return
        pipe.send_bytes(_refusal(job, careful, report, seconds, decoder).encode())


def _refusal(job: Job, careful: bool, report: Any, seconds: float, decoder: Decode) -> str:
    """Does a job; why it cannot be done, or nothing."""

    def tick() -> None:
        report[CLIPS] += 1

    try:
        if careful:
            with IsolatedDecoder(seconds, decoder) as isolated:
                decode_part(job, isolated, tick)
        else:
            decode_part(job, Watched(report, decoder), tick)
    except UserError as error:
        return str(error)
    except OSError as error:
        return f"{error.filename or job.folder}: {error.strerror or error}; make room or give access, and run again"
    return ""


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
