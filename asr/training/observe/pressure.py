"""How full the memory of the machine and of the device is, as the system tells it."""

import logging
import math
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Protocol

import psutil  # type: ignore[import-untyped]  # it ships no type information
import torch

from asr.training.guards.oom import free_memory

LOG = logging.getLogger(__name__)
CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
CHILDREN_SECONDS = 60.0
"""A search for child processes reads every process of the machine (1 ms for 84), so it is not done at every look."""


@dataclass(frozen=True)
class Measured:
    """Memory at one moment; zeros where there is no device."""

    ram_bytes: int
    """Held by this process and its children alone: mapped files, such as the clips, and shared memory do not count."""
    ram_share: float
    """Of the machine's memory, or of the process's limit where that is nearer, in use by whomever."""
    device_bytes: int
    """In live tensors."""
    device_peak_bytes: int
    """The most of it since the last measurement."""
    device_share: float
    """Of the device's memory: the peak, and what others hold."""


class Probe(Protocol):
    """Where figures come from and where clean-up is done."""

    def measure(self) -> Measured:
        """Memory now."""

    def release(self) -> None:
        """Gives back what nobody uses any more."""


class SystemProbe:
    """The process, its children, the machine, control groups, and the device's allocator."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._process = psutil.Process()
        self._children: list[psutil.Process] = []
        self._searched_at = -math.inf
        self._limits = find_limits(MEMBERSHIP, CGROUPS, psutil.virtual_memory().total)

    def measure(self) -> Measured:
        """Memory now; begins a new peak of the device."""
        return Measured(self._ram_bytes(), self._ram_share(), *_device_memory(self._device))

    def release(self) -> None:
        """Collects cycles and empties the device's cache."""
        free_memory(self._device)

    def _ram_bytes(self) -> int:
        if monotonic() - self._searched_at >= CHILDREN_SECONDS:
            self._children = self._process.children(recursive=True)
            self._searched_at = monotonic()
        return _private_bytes(self._process) + sum(map(_private_bytes, self._children))

    def _ram_share(self) -> float:
        machine = psutil.virtual_memory()
        return float(max([1 - machine.available / machine.total, *(limit.share() for limit in self._limits)]))


def _private_bytes(process: psutil.Process) -> int:
    try:
        memory = process.memory_info()
    except psutil.Error:  # a child that has ended, or that became another user's
        return 0
    return int(memory.rss - getattr(memory, "shared", 0))  # only Linux tells what is shared


def _device_memory(device: torch.device) -> tuple[int, int, float]:
    """Bytes in tensors, their peak, and the share in use at the peak.

    What the allocator has cached is not in use: PyTorch gives it back before it runs out.
    """
    if device.type == "cuda":
        counts = torch.cuda.memory_stats_as_nested_dict(device)
        free, total = torch.cuda.mem_get_info(device)
        others = total - free - counts["reserved_bytes"]["all"]["current"]
        peak = counts["allocated_bytes"]["all"]["peak"]
        torch.cuda.reset_peak_memory_stats(device)
        return counts["allocated_bytes"]["all"]["current"], peak, (peak + others) / total
    if device.type == "mps":  # it tells no peak; what its driver holds comes close
        held = torch.mps.driver_allocated_memory()
        return torch.mps.current_allocated_memory(), held, held / torch.mps.recommended_max_memory()
    return 0, 0, 0.0


@dataclass(frozen=True)
class Limit:
    """A control group that may hold less memory than the machine has: a container, a batch system's job."""

    usage: Path
    statistics: Path
    droppable: str
    """The line of the statistics that counts cached files which the system drops when memory is short."""
    limit_bytes: int

    def share(self) -> float:
        """In use; 0 once the group can no longer be read."""
        try:
            words = self.statistics.read_text(encoding="ascii").split()
            used = int(self.usage.read_text(encoding="ascii"))
        except OSError as error:  # the process was moved and its old group is gone
            LOG.debug("the memory limit of %s no longer counts: %s", self.usage.parent, error)
            return 0.0
        return max(0, used - int(words[words.index(self.droppable) + 1])) / self.limit_bytes


VERSIONS = {
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    2: ("memory.max", "memory.current", "inactive_file"),
}
"""Names of control groups' files (kernel documentation, cgroup-v1/memory.rst and cgroup-v2.rst)."""


def find_limits(membership: Path, root: Path, machine_bytes: int) -> list[Limit]:
    """Limits below the machine's memory in the groups of this process and above them.

    Args:
        membership: `/proc/self/cgroup`, absent but on Linux.
        root: where control groups are mounted.
        machine_bytes: a limit above it is none.
    """
    found = []
    for line in membership.read_text(encoding="utf-8").splitlines() if membership.exists() else []:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            found += _limits_of(root, path, 2, machine_bytes)
        elif "memory" in controllers.split(","):
            found += _limits_of(root / "memory", path, 1, machine_bytes)
    return found


def _limits_of(base: Path, path: str, version: int, machine_bytes: int) -> list[Limit]:
    """From the group up to `base`; inside a container `path` may be the host's, and then only `base` exists."""
    limit_name, usage_name, droppable = VERSIONS[version]
    names = [part for part in path.split("/") if part not in ("", "..")]
    found = []
    for depth in range(len(names), -1, -1):
        folder = base.joinpath(*names[:depth])
        text = (folder / limit_name).read_text(encoding="ascii").strip() if (folder / limit_name).exists() else "max"
        if text != "max" and int(text) < machine_bytes:
            found.append(Limit(folder / usage_name, folder / "memory.stat", droppable, int(text)))
    return found
