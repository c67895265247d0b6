"""Where the time of a training step goes: waiting for clips, the phases of the computation, and what is left.

The profiler stands between the lines of the loop and changes nothing: while steps run it neither waits for the
device nor reads from it. What a figure means depends on the device.

CPU     Host times. Everything is done when a phase ends, so a share is what it says.
CUDA    Times between two events on the device's stream, read in `report` and `total`. A phase lasts from where the
        device comes to its first kernel to where it leaves its last, with the pauses between kernels. `wait` is how
        long the device stood idle while the host waited for clips: a wait during which the device still works costs
        nothing and counts nothing. `gap` is the time on the host's clock that none of these explains.
MPS     Host times of a device that works behind the host's back: only `wait` can be told, as the verdict says.
"""

from dataclasses import dataclass
from time import perf_counter

import torch

from asr.training.observe.clocks import PHASES, DevicePhase, HostPhase, NoPhase, Spent, Stream, synchronize

STARVED = 0.05
"""A device that is behind the host by at most this share of a pass's computation waits for launches."""


@dataclass(frozen=True)
class Bottleneck:
    """Something other than computing that can take too much of a step."""

    limit: float
    """Share of a step that is no cause for concern."""
    what: str
    remedy: str


BOTTLENECKS = {
    "wait": Bottleneck(
        0.1, "waiting for clips", "raise train.workers, which changes no result, or put data/clips on a faster disk"
    ),
    "transfer": Bottleneck(
        0.1, "moving clips to the device", "raise train.micro_batch_seconds, so that they move in fewer pieces"
    ),
    "optimizer": Bottleneck(
        0.25,
        "the optimizer, which costs the same for few clips and for many",
        "a larger train.batch_size needs fewer steps for the same clips, but is another experiment",
    ),
    "gap": Bottleneck(
        0.25,
        "work outside the phases (Python, launches, logging)",
        "raise train.micro_batch_seconds if it cuts batches, or train.log_every; a larger train.batch_size helps "
        "too, but is another experiment",
    ),
}
LAUNCHES = (
    "the device waits for the host to launch its work: raise train.micro_batch_seconds if it cuts batches; a larger "
    "train.batch_size costs hardly more time a step, but is another experiment"
)


@dataclass(frozen=True)
class Profile:
    """Means over some steps."""

    steps: int
    seconds_per_step: float
    shares: tuple[tuple[str, float], ...]
    """Each phase's share of the time, `gap` last; they sum to 1."""
    clips_per_second: float
    audio_per_second: float
    """Seconds of real audio a second: times real time."""
    launch_bound: bool = False
    """Computing waits for the host's launches; known on CUDA only."""
    phases_known: bool = True
    """False on a device of which only `wait` can be told."""

    def verdict(self) -> str:
        """One sentence: what takes the time, and what to do about it."""
        shares = dict(self.shares)
        names = list(BOTTLENECKS) if self.phases_known else ["wait"]
        worst = max(names, key=lambda name: shares[name] - BOTTLENECKS[name].limit)
        if shares[worst] > BOTTLENECKS[worst].limit:
            return f"{shares[worst]:.0%} of a step is {BOTTLENECKS[worst].what}: {BOTTLENECKS[worst].remedy}"
        if not self.phases_known:
            return f"{1 - shares['wait']:.0%} of a step is not waiting for clips; more cannot be told on this device"
        computing = f"{shares['forward'] + shares['backward']:.0%} of a step is computing"
        if self.launch_bound:
            return f"{computing}, in which {LAUNCHES}"
        return f"{computing} (forward {shares['forward']:.0%}, backward {shares['backward']:.0%}), as it should be"


class Profiler:
    """Adds up the time of phases and steps.

    The clock runs from the first phase on and stands still from a pause to the next phase. All other time counts:
    what no phase claims is the gap.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._window = Spent()
        self._past = Spent()
        self._stream = Stream(self._window) if device.type == "cuda" else None
        self._phases = {name: self._stopwatch(name) for name in PHASES}
        self._nothing = NoPhase()
        self._pause = Pause(self)
        self._settled_at: float | None = None  # the window holds everything up to here; None: the clock stands still

    def phase(self, name: str) -> HostPhase | DevicePhase | NoPhase:
        """A context whose time counts as `name`, one of `PHASES`. Phases follow each other and do not nest.

        Within a pause it counts nothing.
        """
        if self._settled_at is None:
            if self._pause.depth:
                return self._nothing
            synchronize(self._device)
            self._settled_at = self._now()
        return self._phases[name]

    def pause(self) -> "Pause":
        """A context whose time counts nowhere: evaluations, checkpoints, rehearsals. Waits for the device first."""
        return self._pause

    def end_step(self, clips: int, seconds_of_audio: float) -> None:
        """Counts a batch.

        Args:
            clips: of all its micro-batches.
            seconds_of_audio: real ones, without padding.
        """
        self._window.steps += 1
        self._window.clips += clips
        self._window.audio += seconds_of_audio

    def report(self) -> Profile | None:
        """Means over the steps since the last report, None without any. Waits for the device."""
        self._settle()
        profile = self._profile(self._window)
        if profile:
            self._past.add(self._window)
            self._window.clear()
        return profile

    def total(self) -> Profile | None:
        """Means over all steps so far, None without any. Waits for the device."""
        self._settle()
        whole = Spent()
        whole.add(self._past)
        whole.add(self._window)
        return self._profile(whole)

    def stop(self) -> None:
        """The clock stands still until the next phase."""
        self._settle()
        self._settled_at = None

    def _settle(self) -> None:
        """Puts everything up to now into the window."""
        if self._settled_at is None:
            return
        synchronize(self._device)
        if self._stream:
            self._stream.read_all()
        before, self._settled_at = self._settled_at, self._now()
        self._window.seconds += self._settled_at - before

    def _now(self) -> float:
        now = perf_counter()
        if self._stream:
            self._stream.begin(now)
        return now

    def _stopwatch(self, name: str) -> HostPhase | DevicePhase:
        return DevicePhase(name, self._stream) if self._stream else HostPhase(name, self._window)

    def _profile(self, spent: Spent) -> Profile | None:
        if not spent.steps or not spent.seconds:
            return None
        claimed = sum(spent.phases.values())
        whole = max(spent.seconds, claimed)  # the host's clock and the device's differ by microseconds
        computing = spent.phases["forward"] + spent.phases["backward"]
        return Profile(
            steps=spent.steps,
            seconds_per_step=spent.seconds / spent.steps,
            shares=(*((name, spent.phases[name] / whole) for name in PHASES), ("gap", (whole - claimed) / whole)),
            clips_per_second=spent.clips / spent.seconds,
            audio_per_second=spent.audio / spent.seconds,
            launch_bound=self._stream is not None and spent.behind < STARVED * computing,
            phases_known=self._device.type in ("cpu", "cuda"),
        )


class Pause:
    """Stops a profiler's clock; may nest."""

    __slots__ = ("_profiler", "depth")

    def __init__(self, profiler: Profiler) -> None:
        self._profiler = profiler
        self.depth = 0

    def __enter__(self) -> None:
        self._profiler.stop()
        self.depth += 1

    def __exit__(self, *_: object) -> None:
        self.depth -= 1
