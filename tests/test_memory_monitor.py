"""Contract: memory has four levels, leaks are told from noise, and clean-up happens only when memory is short."""

import timeit
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from asr.training.observe import memory, pressure
from asr.training.observe.growth import LOOKS, WARM_UP_LOOKS
from asr.training.observe.memory import RAM, Level, MemoryMonitor, Thresholds, thresholds_for
from asr.training.observe.pressure import Measured, SystemProbe, find_limits
from asr.training.observe.tensors import largest_tensors

CPU, CUDA, MPS = torch.device("cpu"), torch.device("cuda"), torch.device("mps")
MIB, GIB = 2**20, 2**30
CALM = Measured(2 * GIB, 0.3, 10 * GIB, 12 * GIB, 0.2)


class FakeProbe:
    """Memory as a test says, with a counter of clean-ups."""

    def __init__(self, now: Measured = CALM, frees: int = 0) -> None:
        self.now = now
        self.frees = frees
        self.released = 0
        self.measured = 0

    def measure(self) -> Measured:
        self.measured += 1
        return self.now

    def release(self) -> None:
        self.released += 1
        self.now = replace(self.now, device_bytes=self.now.device_bytes - self.frees)


def monitor(probe: FakeProbe, device: torch.device = CUDA, thresholds: Thresholds | None = None) -> MemoryMonitor:
    return MemoryMonitor(device, thresholds, probe, interval_seconds=0)


@pytest.mark.parametrize(
    ("device", "ram", "on_device", "level"),
    [
        (CUDA, 0.0, 0.5999, Level.NORMAL),
        (CUDA, 0.0, 0.60, Level.RAISED),
        (CUDA, 0.0, 0.7499, Level.RAISED),
        (CUDA, 0.0, 0.75, Level.HIGH),
        (CUDA, 0.0, 0.8499, Level.HIGH),
        (CUDA, 0.0, 0.85, Level.CRITICAL),
        (CUDA, 0.0, 1.0, Level.CRITICAL),
        (CUDA, 0.7499, 0.0, Level.NORMAL),
        (CUDA, 0.75, 0.0, Level.RAISED),
        (CUDA, 0.85, 0.60, Level.HIGH),
        (CUDA, 0.93, 0.0, Level.CRITICAL),
        (MPS, 0.0, 0.6999, Level.NORMAL),
        (MPS, 0.0, 0.70, Level.RAISED),
        (MPS, 0.0, 0.85, Level.HIGH),
        (MPS, 0.0, 0.95, Level.CRITICAL),
        (CPU, 0.7499, 0.0, Level.NORMAL),
        (CPU, 0.75, 0.0, Level.RAISED),
        (CPU, 0.85, 0.0, Level.HIGH),
        (CPU, 0.9299, 0.0, Level.HIGH),
        (CPU, 0.93, 0.0, Level.CRITICAL),
    ],
)
def test_the_level_is_the_higher_one_of_ram_and_device(
    device: torch.device, ram: float, on_device: float, level: Level
) -> None:
    probe = FakeProbe(replace(CALM, ram_share=ram, device_share=on_device))
    assert monitor(probe, device).look(1).level == level


def test_thresholds_are_the_devices_own_and_can_be_set() -> None:
    assert thresholds_for(CUDA) == Thresholds(0.60, 0.75, 0.85)
    assert thresholds_for(CPU) == RAM
    probe = FakeProbe(replace(CALM, ram_share=0.2, device_share=0.2))
    assert monitor(probe, CUDA, Thresholds(0.1, 0.2, 0.3)).look(1).level == Level.HIGH
    assert monitor(probe, CPU, Thresholds(0.1, 0.15, 0.2)).look(1).level == Level.CRITICAL


def test_a_reading_holds_what_was_measured() -> None:
    reading = monitor(FakeProbe()).look(7)
    assert (reading.step, reading.growth_bytes_per_step) == (7, 0.0)
    assert {name: getattr(reading, name) for name in vars(CALM)} == vars(CALM)


def at(level: Level) -> Measured:
    return replace(CALM, device_share={Level.RAISED: 0.6, Level.HIGH: 0.8, Level.CRITICAL: 0.9}.get(level, 0.1))


@pytest.mark.parametrize(
    ("level", "times"), [(Level.NORMAL, 0), (Level.RAISED, 0), (Level.HIGH, 1), (Level.CRITICAL, 1)]
)
def test_clean_up_happens_only_when_memory_is_high_or_critical(level: Level, times: int) -> None:
    probe = FakeProbe(at(level))
    watched = monitor(probe)
    text = watched.relieve(watched.look(1))
    assert probe.released == times
    assert bool(text) == bool(times)
    assert ("largest tensors" in text) == (level == Level.CRITICAL)


def test_a_clean_up_that_did_not_help_rests_and_then_rests_longer() -> None:
    probe = FakeProbe(at(Level.HIGH))
    watched = monitor(probe)
    done = [step for step in range(1, 400) if watched.relieve(watched.look(step))]
    assert done == [1, 1 + memory.REST_LOOKS, 1 + 3 * memory.REST_LOOKS, 1 + 7 * memory.REST_LOOKS]


def test_a_clean_up_that_helped_is_repeated_and_says_what_it_freed() -> None:
    probe = FakeProbe(at(Level.HIGH), frees=512 * MIB)
    watched = monitor(probe)
    assert [watched.relieve(watched.look(step)) for step in (1, 2)] == [
        "memory is high (RAM 30% full, cuda 80%): a clean-up freed 512 MiB"
    ] * 2


def leaks(sizes: np.ndarray, on_device: bool = False, steps_a_look: int = 20) -> list[tuple[int, str]]:
    """Looks at which something was said."""
    probe = FakeProbe()
    watched = monitor(probe)
    said = []
    for number, size in enumerate(sizes.astype(int).tolist()):
        probe.now = replace(CALM, device_bytes=size) if on_device else replace(CALM, ram_bytes=size)
        watched.look(number * steps_a_look)
        if text := watched.leak():
            said.append((number, text))
    return said


ENOUGH = WARM_UP_LOOKS + LOOKS
Series = Callable[[np.random.Generator, np.ndarray], np.ndarray]


@pytest.mark.parametrize("on_device", [False, True])
def test_a_planted_leak_is_found_once_enough_looks_are_there_and_said_again_later(on_device: bool) -> None:
    looks = np.arange(2 * LOOKS + WARM_UP_LOOKS + 5)
    said = leaks(2 * GIB + 2 * MIB * looks, on_device)
    assert [number for number, _ in said] == [ENOUGH - 1, ENOUGH - 1 + LOOKS]
    assert f"{'cuda' if on_device else 'RAM'} grew by" in said[0][1]
    assert "(0.1 MiB a step)" in said[0][1]


@pytest.mark.parametrize("seed", range(5))
def test_a_leak_is_found_beneath_noise_and_evaluation_spikes(seed: int) -> None:
    rng, looks = np.random.default_rng(seed), np.arange(3 * LOOKS)
    spikes = np.where(looks % 11 == 0, 800 * MIB, 0)
    assert leaks(2 * GIB + 2 * MIB * looks + rng.uniform(0, 30 * MIB, len(looks)) + spikes)


@pytest.mark.parametrize(
    "series",
    [
        pytest.param(lambda rng, n: rng.uniform(0, 300 * MIB, len(n)), id="noise"),
        pytest.param(lambda rng, n: rng.normal(0, 100 * MIB, len(n)), id="normal noise"),
        pytest.param(lambda rng, n: 400.0 * MIB * (n > rng.integers(len(n))), id="one step up"),
        pytest.param(lambda rng, n: 100.0 * MIB * (n // (len(n) // 3) + 0 * rng.random()), id="three steps up"),
        pytest.param(lambda rng, n: 800.0 * MIB * (n % rng.integers(5, 30) == 0), id="evaluations"),
        pytest.param(lambda rng, n: 10.0 * MIB * n * (rng.random(len(n)) < 0.6), id="ever higher spikes"),
        pytest.param(lambda rng, n: 900 * MIB * (1 - np.exp(-n / rng.uniform(2, 15))), id="warm-up"),
        pytest.param(lambda rng, n: -5.0 * MIB * n + rng.uniform(0, MIB, len(n)), id="falling"),
        pytest.param(lambda rng, n: 5.0 * MIB * np.sin(n / 9) + rng.uniform(0, MIB, len(n)), id="waves"),
    ],
)
def test_what_is_no_leak_raises_no_alarm(series: Series) -> None:
    looks = np.arange(160)
    said = [leaks(2 * GIB + series(np.random.default_rng(seed), looks)) for seed in range(6)]
    assert said == [[]] * 6


def test_the_slope_is_the_median_one_of_the_faster_figure() -> None:
    probe = FakeProbe()
    watched = monitor(probe)
    for number in range(ENOUGH):
        spike = 5 * GIB * (number % 10 == 0)
        probe.now = replace(CALM, ram_bytes=1000 * number, device_bytes=70_000 * number + spike)
        reading = watched.look(number * 10)
    assert reading.growth_bytes_per_step == pytest.approx(7000)


def test_looks_that_come_too_fast_repeat_the_last_one() -> None:
    probe = FakeProbe()
    watched = MemoryMonitor(CUDA, probe=probe, interval_seconds=60)
    first = watched.look(1)
    assert watched.look(2) == replace(first, step=2)
    assert probe.measured == 1


def test_a_measurement_costs_less_than_its_share_of_the_interval_between_two() -> None:
    """The best of many repetitions: a busy machine can only make a call slower."""
    watched = MemoryMonitor(CPU, interval_seconds=0)
    steps = iter(range(10**6))

    def line() -> None:
        watched.relieve(watched.look(next(steps)))
        watched.leak()

    timeit.repeat(line, number=1, repeat=ENOUGH)
    assert min(timeit.repeat(line, number=1, repeat=100)) < 0.002 * memory.INTERVAL_SECONDS


def test_the_system_is_measured_in_plausible_bytes() -> None:
    held = np.ones(64 * MIB, dtype=np.uint8)
    probe = SystemProbe(CPU)
    with_it = probe.measure()
    del held
    without = probe.measure()
    assert 48 * MIB < with_it.ram_bytes - without.ram_bytes < 80 * MIB
    assert 0 < with_it.ram_share < 1
    assert (with_it.device_bytes, with_it.device_peak_bytes, with_it.device_share) == (0, 0, 0.0)
    probe.release()


def test_children_count_while_they_live() -> None:
    import subprocess
    import sys

    hold = "x = bytearray(64 * 2**20); print('ready', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        probe = SystemProbe(CPU)
        with_it = probe.measure().ram_bytes
        child.communicate(b"\n")
    assert with_it - probe.measure().ram_bytes > 60 * MIB


def test_cuda_counts_the_peak_of_live_tensors_and_what_others_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {"allocated_bytes": {"all": {"current": 10, "peak": 30}}, "reserved_bytes": {"all": {"current": 40}}}
    monkeypatch.setattr(torch.cuda, "memory_stats_as_nested_dict", lambda _: counts)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (40, 100))  # 60 used: 40 reserved here, 20 elsewhere
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda _: None)
    measured = SystemProbe(CUDA).measure()
    assert (measured.device_bytes, measured.device_peak_bytes, measured.device_share) == (10, 30, 0.5)


def group(folder: Path, version: int, limit: str, usage: int, droppable: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    limit_name, usage_name, line = pressure.VERSIONS[version]
    (folder / limit_name).write_text(f"{limit}\n")
    (folder / usage_name).write_text(f"{usage}\n")
    (folder / "memory.stat").write_text(f"anon 5\n{line} {droppable}\nfile 7\n")


@pytest.mark.parametrize(("version", "no_limit"), [(1, str(2**63 - 4096)), (2, "max")])
@pytest.mark.parametrize("path", ["/job/step", "/only/the/host/knows/this/path", "/../..", "/"])
def test_the_limit_of_a_control_group_counts(tmp_path: Path, version: int, no_limit: str, path: str) -> None:
    base = tmp_path / "memory" if version == 1 else tmp_path
    group(base, version, "1000", 700, 100)
    group(base / "job", version, "500", 480, 30)
    group(base / "job" / "step", version, no_limit, 90, 0)
    membership = tmp_path / "membership"
    membership.write_text(f"3:cpu:/x\n{'4:memory' if version == 1 else '0:'}:{path}\n")
    limits = find_limits(membership, tmp_path, machine_bytes=10**6)
    assert [limit.share() for limit in limits] == ([0.9, 0.6] if path == "/job/step" else [0.6])
    assert find_limits(membership, tmp_path, machine_bytes=400) == []
    for limit in limits:
        limit.usage.unlink()
        assert limit.share() == 0


def test_without_control_groups_there_is_no_limit(tmp_path: Path) -> None:
    assert find_limits(tmp_path / "absent", tmp_path, 10**9) == []


def test_the_largest_tensors_are_named_once_a_storage_with_gradients() -> None:
    big = torch.zeros(1237, 1001, requires_grad=True)
    big.sum().backward()
    views = [big.detach()[1:], big.detach()[:, :5]]
    small = torch.zeros(1009, 997, dtype=torch.float64)
    empty = torch.empty(10**9, device="meta")
    found = largest_tensors(1000)
    mine = [item for item in found if "1237" in item[0] or "1009" in item[0] or "meta" in item[0]]
    assert mine == [
        ("float64 (1009, 997) cpu", 1009 * 997 * 8),
        ("float32 (1237, 1001) cpu", 1237 * 1001 * 4),
        ("float32 (1237, 1001) cpu", 1237 * 1001 * 4),
    ]
    assert largest_tensors(2) == found[:2]
    assert [len(views), small.numel(), empty.numel()] == [2, 1009 * 997, 10**9]
