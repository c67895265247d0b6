"""Stopwatches of a step's phases: the host's clock, or events on a CUDA device's stream.

They are objects that are made once and entered often; a generator context would cost several times as much.
"""

from collections import deque
from dataclasses import dataclass, field
from time import perf_counter

import torch

PHASES = ("wait", "transfer", "forward", "backward", "optimizer")
"""What the loop names; what is left of a step is its gap."""
DRAIN = 256
"""Measured phases that may lie unread before those that the device has left behind are read."""


@dataclass
class Spent:
    """Sums over some steps."""

    steps: int = 0
    clips: int = 0
    audio: float = 0.0
    """Seconds of real audio."""
    seconds: float = 0.0
    """Host seconds of everything but pauses."""
    behind: float = 0.0
    """Seconds that the device was behind the host at the end of a backward pass, over all passes; CUDA only."""
    phases: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PHASES, 0.0))
    """Seconds of each."""

    def add(self, other: "Spent") -> None:
        """Adds another sum to this one."""
        self.steps += other.steps
        self.clips += other.clips
        self.audio += other.audio
        self.seconds += other.seconds
        self.behind += other.behind
        for name, seconds in other.phases.items():
            self.phases[name] += seconds

    def clear(self) -> None:
        """Back to nothing, in place: stopwatches keep a reference to `phases`."""
        self.steps, self.clips, self.audio, self.seconds, self.behind = 0, 0, 0.0, 0.0, 0.0
        self.phases.update(dict.fromkeys(PHASES, 0.0))


class NoPhase:
    """A phase that nobody measures."""

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


class HostPhase:
    """A phase on the host's clock."""

    __slots__ = ("_began", "_name", "_seconds")

    def __init__(self, name: str, spent: Spent) -> None:
        self._name = name
        self._seconds = spent.phases
        self._began = 0.0

    def __enter__(self) -> None:
        self._began = perf_counter()

    def __exit__(self, *_: object) -> None:
        self._seconds[self._name] += perf_counter() - self._began


@dataclass(frozen=True)
class Timed:
    """One phase on the device."""

    name: str
    start: torch.cuda.Event
    end: torch.cuda.Event
    left_at: float
    """Host seconds when the host had handed all the phase's work to the device."""


class Stream:
    """Events on the current stream of a CUDA device that wait to be read; read ones are used again."""

    def __init__(self, spent: Spent) -> None:
        self._spent = spent
        self._unread: deque[Timed] = deque()
        self._unused: list[torch.cuda.Event] = []
        self._origin = _event()
        self._origin_at = 0.0

    def begin(self, now: float) -> None:
        """Reads both clocks together; the device has nothing to do at this moment, and all phases are read."""
        assert not self._unread
        self._origin.record()
        self._origin_at = now

    def record(self) -> torch.cuda.Event:
        """An event behind all the work that the device has been given so far."""
        event = self._unused.pop() if self._unused else _event()
        event.record()
        return event

    def add(self, timed: Timed) -> None:
        """A phase that the host has left; the device may be far from it."""
        self._unread.append(timed)
        if len(self._unread) >= DRAIN:
            while self._unread and self._unread[0].end.query():  # type: ignore[no-untyped-call]  # PyTorch's
                self._read(self._unread.popleft())

    def read_all(self) -> None:
        """Reads what is left, after a synchronisation."""
        while self._unread:
            self._read(self._unread.popleft())

    def _read(self, timed: Timed) -> None:
        self._spent.phases[timed.name] += timed.start.elapsed_time(timed.end) / 1e3  # ms
        if timed.name == "backward":
            self._spent.behind += self._origin.elapsed_time(timed.end) / 1e3 - (timed.left_at - self._origin_at)
        self._unused += (timed.start, timed.end)


class DevicePhase:
    """A phase between two events on the device's stream."""

    __slots__ = ("_name", "_start", "_stream")

    def __init__(self, name: str, stream: Stream) -> None:
        self._name = name
        self._stream = stream
        self._start: torch.cuda.Event | None = None

    def __enter__(self) -> None:
        self._start = self._stream.record()

    def __exit__(self, *_: object) -> None:
        assert self._start is not None
        self._stream.add(Timed(self._name, self._start, self._stream.record(), perf_counter()))


def synchronize(device: torch.device) -> None:
    """Waits until the device has done all its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def _event() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]  # PyTorch does not type it
