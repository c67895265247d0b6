"""Watches memory while training runs: how near its end is, whether it leaks, and clean-up when it is short.

It looks when the log is written, never in every step, and cleans up only under pressure: a clean-up that is not
needed makes the device's allocator start anew. Out-of-memory errors themselves are `guards.oom`'s business.
"""

import enum
from dataclasses import dataclass, replace
from time import monotonic

import torch

from asr.training.observe.growth import LOOKS, Growth
from asr.training.observe.pressure import Measured, Probe, SystemProbe
from asr.training.observe.tensors import largest_tensors

INTERVAL_SECONDS = 0.5
"""A look takes 0.1 to 1 ms; looks that come faster repeat the last one, which keeps their cost below 0.2 %."""
REST_LOOKS = 50
"""Looks without clean-up after one that did not help; twice as many after the next."""
HELPED_SHARE = 0.01
"""Of the memory held: what a clean-up must free to have helped."""
NAMED_TENSORS = 5
MIB = 2**20


class Level(enum.IntEnum):
    """How near memory is to its end."""

    NORMAL = 0
    RAISED = 1
    HIGH = 2
    CRITICAL = 3


@dataclass(frozen=True)
class Thresholds:
    """Shares in use from which on a level holds."""

    raised: float
    high: float
    critical: float

    def __post_init__(self) -> None:
        assert 0 < self.raised <= self.high <= self.critical <= 1

    def level(self, share: float) -> Level:
        """The highest level whose threshold is reached."""
        return Level(sum(share >= limit for limit in (self.raised, self.high, self.critical)))


CUDA = Thresholds(0.60, 0.75, 0.85)
"""One batch of longer clips can take a quarter more at once, and fragments of 5 to 10 % are usual."""
MPS = Thresholds(0.70, 0.85, 0.95)
"""Of the working set that the system recommends; beyond it memory is swapped, which is slow but not the end."""
RAM = Thresholds(0.75, 0.85, 0.93)
"""Pages of files are not counted, so what is in use is needed; it changes slowly, but its end is the kernel's kill."""


def thresholds_for(device: torch.device) -> Thresholds:
    """The device's own memory, or RAM where it has none."""
    return {"cuda": CUDA, "mps": MPS}.get(device.type, RAM)


@dataclass(frozen=True)
class Reading:
    """One look; see `pressure.Measured` for what is counted."""

    step: int
    ram_bytes: int
    ram_share: float
    device_bytes: int
    device_peak_bytes: int
    device_share: float
    level: Level
    """The higher one of RAM and device."""
    growth_bytes_per_step: float
    """The robust slope over the last looks, of RAM or of the device, whichever grows faster; 0 in the beginning."""


class MemoryMonitor:
    """Readings, leaks and clean-up of one run."""

    def __init__(
        self,
        device: torch.device,
        thresholds: Thresholds | None = None,
        probe: Probe | None = None,
        interval_seconds: float = INTERVAL_SECONDS,
    ) -> None:
        """Begins to watch.

        Args:
            device: where the model is.
            thresholds: of the device, or of RAM where it is the CPU; by default those of `thresholds_for`.
            probe: where figures come from.
            interval_seconds: shortest time between two measurements.
        """
        self._device = device
        chosen = thresholds or thresholds_for(device)
        self._of_ram, self._of_device = (chosen if device.type == "cpu" else RAM), chosen
        self._probe = probe or SystemProbe(device)
        self._interval_seconds = interval_seconds
        self._last: Reading | None = None
        self._looked_at = 0.0
        self._looks = 0
        self._clean_up_from, self._rest = 0, REST_LOOKS
        self._grown = {"RAM": Growth(), device.type: Growth()} if device.type != "cpu" else {"RAM": Growth()}
        self._leak_from = 0

    def look(self, step: int) -> Reading:
        """Memory after a step; figures of the last look if that was a moment ago."""
        if self._last is not None and monotonic() - self._looked_at < self._interval_seconds:
            return replace(self._last, step=step)
        measured = self._probe.measure()
        self._looks += 1
        for name, growth in self._grown.items():
            growth.add(step, measured.ram_bytes if name == "RAM" else measured.device_bytes)
        fastest = max(growth.bytes_per_step() for growth in self._grown.values())
        self._last = Reading(step, **vars(measured), level=self._level(measured), growth_bytes_per_step=fastest)
        self._looked_at = monotonic()
        return self._last

    def relieve(self, reading: Reading) -> str:
        """Cleans up if memory is high or critical, and says what came of it; "" if nothing was done.

        A clean-up that did not help is not repeated for a number of looks, which doubles each time.
        """
        if reading.level < Level.HIGH or self._looks < self._clean_up_from:
            return ""
        before, self._last = self._probe.measure(), None
        self._probe.release()
        freed = _held(before) - _held(self._probe.measure())
        text = f"memory is {reading.level.name.lower()} ({self._shares(reading)}): "
        if freed >= HELPED_SHARE * _held(before):
            self._rest = REST_LOOKS
            text += f"a clean-up freed {freed / MIB:,.0f} MiB"
        else:
            self._clean_up_from, self._rest = self._looks + self._rest, 2 * self._rest
            text += "a clean-up freed nothing to speak of; lower train.micro_batch_seconds or train.workers"
        return text + self._named_tensors() if reading.level == Level.CRITICAL else text

    def leak(self) -> str:
        """One sentence if memory grows without end, else "".

        It is said once; again only if it still grows when all looks are new.
        """
        if self._looks < self._leak_from:
            return ""
        self._leak_from = self._looks + 1
        for name, growth in self._grown.items():
            if grown := growth.grown():
                self._leak_from = self._looks + LOOKS
                return (
                    f"memory leaks: {name} grew by {grown / MIB:,.0f} MiB over {growth.steps} steps and never fell "
                    f"back ({growth.bytes_per_step() / MIB:.3g} MiB a step); if it runs out, the same command goes on "
                    "from the last checkpoint"
                )
        return ""

    def _level(self, measured: Measured) -> Level:
        return max(self._of_ram.level(measured.ram_share), self._of_device.level(measured.device_share))

    def _shares(self, reading: Reading) -> str:
        ram = f"RAM {reading.ram_share:.0%} full"
        return ram if self._device.type == "cpu" else f"{ram}, {self._device.type} {reading.device_share:.0%}"

    def _named_tensors(self) -> str:
        tensors = [f"{what} {size / MIB:,.0f} MiB" for what, size in largest_tensors(NAMED_TENSORS)]
        return f"; largest tensors: {', '.join(tensors) or 'none'}"


def _held(measured: Measured) -> int:
    return measured.ram_bytes + measured.device_bytes
