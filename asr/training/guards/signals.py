"""A run that is asked to end does so at a good moment: between two steps, with a checkpoint.

Schedulers send SIGTERM some seconds before SIGKILL, Slurm also SIGUSR1 (`--signal=USR1@120`), a person presses
Ctrl-C, a lost connection sends SIGHUP unless `nohup` was used. The handler only notes this; the loop looks after
every step.
"""

import contextlib
import os
import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP)
"""Signals that ask a run to end."""


class Signals:
    """Notes the first of the signals that ask a run to end; a context manager, which restores the old handlers.

    What comes after the first is ignored, since schedulers repeat themselves, except for Ctrl-C: it ends the process
    at once with status 130. A checkpoint is saved as a whole or not at all, so the last one stands even then.

    Only the main thread may install handlers; elsewhere this does nothing, and `received` stays None.
    """

    received: int | None
    """Number of the first signal."""

    def __init__(self) -> None:
        self.received = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Signals":
        if threading.current_thread() is threading.main_thread():
            wanted = [number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN]
            self._before = {number: signal.signal(number, self._note) for number in wanted}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # None: set outside of Python
        self._before = {}

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002  # the form of a handler
        if self.received is None:
            self.received = number
            _say(f"{signal.Signals(number).name}: finishing what is at hand, then saving; Ctrl-C ends at once")
        elif number == signal.SIGINT:
            _say("SIGINT again: ending at once; the last checkpoint stands")
            os._exit(128 + signal.SIGINT)


def _say(line: str) -> None:
    """Below the progress bar; not `print`, which fails where the signal struck inside another one."""
    with contextlib.suppress(OSError):  # a closed terminal: nobody reads, and the run must still end well
        os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, f"\n{line}\n".encode())
