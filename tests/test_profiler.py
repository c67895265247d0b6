"""Contract: a profile says where the time of a step goes, sums to one, and names the knob that helps."""

import timeit
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr.training.observe import clocks, profiler
from asr.training.observe.clocks import PHASES
from asr.training.observe.profiler import Profile, Profiler

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
GOOD = {"wait": 1.0, "transfer": 2.0, "forward": 30.0, "backward": 60.0, "optimizer": 5.0, "gap": 2.0}


class Time:
    """A clock that tests move: the host's, and that of a device with a queue of work."""

    def __init__(self) -> None:
        self.host = 0.0
        self.device = 0.0
        self.synchronized = 0

    def launch(self, host_seconds: float, device_seconds: float, kernels: int = 100) -> None:
        """The host hands over work; the device begins each kernel when it is free and the kernel is there."""
        for _ in range(kernels):
            self.host += host_seconds / kernels
            self.device = max(self.device, self.host) + device_seconds / kernels

    def synchronize(self, _: object = None) -> None:
        self.host = max(self.host, self.device)
        self.synchronized += 1


class Event:
    """What the profiler uses of `torch.cuda.Event`."""

    time: Time
    made = 0

    def __init__(self, enable_timing: bool) -> None:
        assert enable_timing
        Event.made += 1

    def record(self) -> None:
        self.at = self.time.device = max(self.time.device, self.time.host)

    def query(self) -> bool:
        return self.at <= self.time.host

    def elapsed_time(self, end: "Event") -> float:
        assert max(self.at, end.at) <= self.time.host, "PyTorch raises for events that the device has not reached"
        return (end.at - self.at) * 1e3


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Iterator[Time]:
    fake = Time()
    monkeypatch.setattr(clocks, "perf_counter", lambda: fake.host)
    monkeypatch.setattr(profiler, "perf_counter", lambda: fake.host)
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "synchronize", fake.synchronize)
    monkeypatch.setattr(Event, "time", fake, raising=False)
    monkeypatch.setattr(Event, "made", 0)
    return fake


def host_steps(watched: Profiler, time: Time, milliseconds: dict[str, float], count: int = 4) -> None:
    """Steps of a device that is done when the host is."""
    for _ in range(count):
        for name in PHASES:
            with watched.phase(name):
                time.host += milliseconds[name] / 1e3
        time.host += milliseconds["gap"] / 1e3
        watched.end_step(8, 24.0)


def reported(watched: Profiler) -> Profile:
    profile = watched.report()
    assert profile is not None
    return profile


def test_shares_times_and_rates_are_means_over_the_steps(time: Time) -> None:
    watched = Profiler(CPU)
    host_steps(watched, time, GOOD)
    profile = reported(watched)
    assert dict(profile.shares) == pytest.approx({name: ms / 100 for name, ms in GOOD.items()})
    assert [name for name, _ in profile.shares] == [*PHASES, "gap"]
    assert (profile.steps, profile.seconds_per_step) == (4, pytest.approx(0.1))
    assert (profile.clips_per_second, profile.audio_per_second) == (pytest.approx(80), pytest.approx(240))


@given(st.lists(st.tuples(*[st.floats(0, 1e4)] * 6), min_size=1, max_size=5))
def test_shares_sum_to_one_whatever_the_times(rows: list[tuple[float, ...]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        fake = Time()
        patch.setattr(clocks, "perf_counter", lambda: fake.host)
        patch.setattr(profiler, "perf_counter", lambda: fake.host)
        watched = Profiler(CPU)
        for row in rows:
            host_steps(watched, fake, dict(zip(GOOD, row, strict=True)), count=1)
        profile = watched.report()
        if profile is not None:
            assert sum(share for _, share in profile.shares) == pytest.approx(1, abs=1e-9)
            assert all(0 <= share <= 1 for _, share in profile.shares)
            assert profile.verdict()
        else:
            assert fake.host == 0


@pytest.mark.parametrize(
    ("slow", "milliseconds", "words"),
    [
        (None, 0, "90% of a step is computing (forward 30%, backward 60%), as it should be"),
        ("wait", 100, "waiting for clips: raise train.workers"),
        ("transfer", 100, "moving clips"),
        ("optimizer", 100, "the optimizer"),
        ("gap", 100, "outside the phases"),
        ("forward", 200, "as it should be"),
        ("backward", 200, "as it should be"),
    ],
)
def test_the_verdict_names_a_planted_slow_phase_and_its_knob(
    time: Time, slow: str | None, milliseconds: float, words: str
) -> None:
    watched = Profiler(CPU)
    host_steps(watched, time, {**GOOD, slow: milliseconds} if slow else GOOD)
    assert words in reported(watched).verdict()


def test_real_waiting_is_named() -> None:
    from time import sleep

    watched = Profiler(CPU)
    for _ in range(3):
        with watched.phase("wait"):
            sleep(0.01)
        with watched.phase("forward"):
            sum(range(1000))
        watched.end_step(1, 1.0)
    assert "train.workers" in reported(watched).verdict()


def test_a_report_starts_a_new_window_and_the_total_is_the_whole_run(time: Time) -> None:
    watched = Profiler(CPU)
    assert watched.report() is None
    assert watched.total() is None
    host_steps(watched, time, GOOD, count=3)
    assert reported(watched).steps == 3
    assert watched.report() is None
    host_steps(watched, time, {**GOOD, "wait": 101.0}, count=1)
    assert dict(reported(watched).shares)["wait"] == pytest.approx(101 / 200)
    host_steps(watched, time, GOOD, count=1)
    total = watched.total()
    assert total is not None
    assert (total.steps, total.seconds_per_step) == (5, pytest.approx(0.6 / 5))
    assert total == watched.total(), "asking for it changes nothing"


def test_pauses_and_the_time_before_the_first_phase_count_nowhere(time: Time) -> None:
    watched = Profiler(CPU)
    time.host += 50
    with watched.pause(), watched.phase("forward"):  # a rehearsal
        time.host += 50
    host_steps(watched, time, GOOD, count=1)
    with watched.pause():
        time.host += 50
        with watched.pause(), watched.phase("forward"):
            time.host += 50
        with watched.phase("forward"):
            time.host += 50
    host_steps(watched, time, GOOD, count=1)
    profile = reported(watched)
    assert profile.seconds_per_step == pytest.approx(0.1)
    assert dict(profile.shares)["forward"] == pytest.approx(0.3)


def test_a_phase_that_ends_with_an_error_counts_and_lets_it_out(time: Time) -> None:
    watched = Profiler(CPU)

    def runs_out_of_memory() -> None:
        with watched.phase("forward"):
            time.host += 1
            raise MemoryError

    with pytest.raises(MemoryError):
        runs_out_of_memory()
    host_steps(watched, time, GOOD, count=1)
    assert dict(reported(watched).shares)["forward"] == pytest.approx(1.03 / 1.1)


def device_steps(
    watched: Profiler, time: Time, host: dict[str, float], device: dict[str, float], count: int = 4
) -> None:
    """Steps of a device with a queue; times in ms, `wait` is the host's alone."""
    for _ in range(count):
        for name in PHASES:
            with watched.phase(name):
                if name == "wait":
                    time.host += host[name] / 1e3
                else:
                    time.launch(host[name] / 1e3, device[name] / 1e3)
        watched.end_step(8, 24.0)


QUICK = {"wait": 1.0, "transfer": 0.1, "forward": 5.0, "backward": 9.0, "optimizer": 1.0}


def test_on_a_device_phases_last_as_long_as_the_device_takes(time: Time) -> None:
    watched = Profiler(CUDA)
    device_steps(watched, time, QUICK, GOOD)
    profile = reported(watched)
    assert dict(profile.shares)["forward"] == pytest.approx(30 / 97, rel=0.02)
    assert dict(profile.shares)["backward"] == pytest.approx(60 / 97, rel=0.02)
    assert profile.seconds_per_step == pytest.approx(0.097, rel=0.02)
    assert sum(share for _, share in profile.shares) == pytest.approx(1)
    assert "as it should be" in profile.verdict()


def test_waiting_counts_only_while_the_device_stands_idle(time: Time) -> None:
    watched = Profiler(CUDA)
    device_steps(watched, time, {**QUICK, "wait": 60.0}, GOOD, count=20)
    assert dict(reported(watched).shares)["wait"] < 0.05, "the device works meanwhile"
    device_steps(watched, time, {**QUICK, "wait": 200.0}, GOOD, count=20)
    profile = reported(watched)
    assert dict(profile.shares)["wait"] > 0.5
    assert "train.workers" in profile.verdict()


def test_a_device_that_waits_for_launches_is_told_from_one_that_computes(time: Time) -> None:
    watched = Profiler(CUDA)
    device_steps(watched, time, {**QUICK, "forward": 40.0, "backward": 80.0}, GOOD)
    profile = reported(watched)
    assert profile.launch_bound
    assert "waits for the host to launch" in profile.verdict()
    device_steps(watched, time, QUICK, GOOD)
    assert not reported(watched).launch_bound


def test_no_step_waits_for_the_device_and_events_are_used_again(time: Time) -> None:
    watched = Profiler(CUDA)
    device_steps(watched, time, QUICK, GOOD, count=1)
    before = time.synchronized
    device_steps(watched, time, QUICK, GOOD, count=200)
    assert time.synchronized == before
    time.synchronize()
    device_steps(watched, time, QUICK, GOOD, count=60)
    made = Event.made
    assert made < 2 * (201 + 60) * len(PHASES), "those that the device has left behind were read on the way"
    reported(watched)
    device_steps(watched, time, QUICK, GOOD, count=60)
    assert Event.made == made


def test_a_device_without_readable_phases_says_only_what_it_knows() -> None:
    shares = (("wait", 0.02), *((name, 0.0) for name in PHASES[1:]), ("gap", 0.98))
    assert "98% of a step is not waiting" in Profile(1, 1.0, shares, 1.0, 1.0, phases_known=False).verdict()
    waiting = (("wait", 0.9), *shares[1:5], ("gap", 0.1))
    assert "train.workers" in Profile(1, 1.0, waiting, 1.0, 1.0, phases_known=False).verdict()


def test_the_calls_of_a_step_cost_less_than_one_percent_of_the_shortest_step() -> None:
    """The smoke preset's takes 6 ms. The best of many repetitions: a busy machine can only make a call slower."""
    watched = Profiler(CPU)

    def step() -> None:
        for name in PHASES:
            with watched.phase(name):
                pass
        watched.end_step(8, 16.0)

    assert min(timeit.repeat(step, number=20, repeat=50)) / 20 < 0.01 * 6e-3
