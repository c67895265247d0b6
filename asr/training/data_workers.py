"""Processes that read batches ahead, watched: the death of one, its silence and what it cannot read have names.

`torch.utils.data.DataLoader` would serve, but for what happens on a bad day. It tells of a dead worker by an exception
out of a signal handler, which can strike in the middle of a save; it ends its workers with SIGTERM, which these must
survive, as it is meant for the run; its workers share locks, which a killed one may keep for ever. Here a worker has a
pipe of its own: the end of that file is its death.
"""

import gc
import multiprocessing
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Literal

import torch

from asr.errors import UserError
from asr.training.batches import Step
from asr.training.data import TrainingSet
from asr.training.guards.signals import ENDING
from asr.training.loaded import Batch, Loaded, load
from asr.training.objective import Labels
from asr.training.shared_memory import receive, send, shared

START_SECONDS = 120.0
"""Longest wait for a worker's start: without `fork` it imports all libraries anew."""
END_SECONDS = 1.0
"""Given to all workers together to end by themselves; the time to read one batch is enough."""
START_METHOD: Literal["fork", "spawn"] = "fork" if sys.platform == "linux" else "spawn"
"""A fork shares the store's maps and the texts; Apple's libraries do not survive one."""

CAUSES: dict[int, str] = {
    signal.SIGKILL: "most often memory ran out",
    signal.SIGBUS: "most often a file of data/clips was cut while in use",
}
"""What stands behind the signals that end a worker."""


class Worker:
    """A process that reads the batches it is asked for, in their order."""

    def __init__(self, data: TrainingSet, inherited: Sequence[Connection]) -> None:
        """Starts it; `inherited` are the ends of other workers' pipes that a forked process must let go."""
        context: Any = multiprocessing.get_context(START_METHOD)  # type stubs give the choice of two no `Process`
        self.pipe, theirs = context.Pipe()
        foreign = [*inherited, self.pipe] if START_METHOD == "fork" else []
        self.process: BaseProcess = context.Process(target=_serve, args=(theirs, foreign, data), daemon=True)
        with _signals_held():
            self.process.start()
        theirs.close()
        self._data = data
        self._asked: deque[tuple[int, Step]] = deque()

    def ask(self, number: int, step: Step) -> None:
        """Orders batch `number` of the run."""
        self._asked.append((number, step))
        with self._watched():
            self.pipe.send(step)

    def take(self, seconds: float) -> Batch:
        """The batch ordered first.

        Raises:
            UserError: the worker died, gives no answer in `seconds`, or could not read the batch.
        """
        _, step = self._asked[0]
        labels = self.receive(seconds)
        if isinstance(labels, UserError):
            raise labels
        with self._watched():
            waves = [receive(self.pipe, (len(batch.clips), -1)) for batch in step]
        self._asked.popleft()
        parts = zip(step, waves, labels, strict=True)
        return tuple(
            Loaded(batch.edge, batch.clips, wave, Labels(*map(torch.from_numpy, arrays)))
            for batch, wave, arrays in parts
        )

    def receive(self, seconds: float) -> Any:
        """What the worker says next: that it is ready, then the labels of a batch or why there are none.

        Raises:
            UserError: the worker died, or says nothing in `seconds`.
        """
        with self._watched():
            # Twice: who was stopped and continued, by Ctrl-Z or a scheduler, finds the first wait over.
            if self.pipe.poll(seconds / 2) or self.pipe.poll(seconds / 2):
                return self.pipe.recv()
        self.process.kill()
        raise UserError(self._hung(seconds))

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """The end of a pipe is the death of its worker."""
        try:
            yield
        except (EOFError, ConnectionError) as error:
            raise UserError(self._died()) from error

    def _died(self) -> str:
        self.process.join(END_SECONDS)
        code = self.process.exitcode or 0
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"status {code}"
        return (
            f"data.worker_died: data worker {self.process.pid} ended with {how} before {self._awaited()}: "
            f"{CAUSES.get(-code, 'it may have said why above')}; mend that or lower train.workers, and run again; "
            "train.workers: 0 shows the fault of a clip"
        )

    def _hung(self, seconds: float) -> str:
        return (
            f"data.worker_hung: data worker {self.process.pid} took more than {seconds:g} s for {self._awaited()}: "
            "most often the disk or network share with data/clips does not answer; look at it and run again; "
            "train.workers: 0 waits for it without limit"
        )

    def _awaited(self) -> str:
        if not self._asked:
            return "its start"
        number, step = self._asked[0]
        ids = ", ".join(self._data.utterances[clip].id for batch in step for clip in batch.clips)
        return f"batch {number} of clips {ids}"


def start_all(crew: list[Worker], workers: int, data: TrainingSet) -> None:
    """Adds `workers` workers to the crew; those who start are ended by `end_all` also where this fails."""
    for _ in range(workers):
        crew.append(Worker(data, [worker.pipe for worker in crew]))
    for worker in crew:
        worker.receive(START_SECONDS)


def end_all(crew: Sequence[Worker]) -> None:
    """A worker ends when its pipe does; one that does not is killed."""
    for worker in crew:
        worker.pipe.close()
    deadline = time.monotonic() + END_SECONDS
    for worker in crew:
        worker.process.join(max(0.0, deadline - time.monotonic()))
    for worker in crew:
        worker.process.kill()
        worker.process.join(END_SECONDS)


@contextmanager
def _signals_held() -> Iterator[None]:
    """Blocks signals that ask the run to end; processes started here never hear of them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(pipe: Connection, foreign: Sequence[Connection], data: TrainingSet) -> None:
    """What a worker does; it ends with the process that started it, however that ends."""
    for end in foreign:
        end.close()  # else this copy would keep another worker's pipe open
    gc.freeze()  # looking for garbage in what was inherited would copy its pages
    torch.set_num_threads(1)
    try:
        pipe.send("ready")
        while True:
            _answer(pipe, data, pipe.recv())
    except (EOFError, ConnectionError):
        return


def _answer(pipe: Connection, data: TrainingSet, step: Step) -> None:
    """Sends labels as arrays, which are small, and samples as memory; or why there are none."""
    try:
        batch = [load(data, micro) for micro in step]
        waves = [shared(loaded.wave) for loaded in batch]
    except UserError as error:
        pipe.send(error)
        return
    pipe.send([[tensor.numpy() for tensor in vars(loaded.labels).values()] for loaded in batch])
    for wave in waves:
        send(pipe, wave)
