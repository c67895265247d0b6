"""Contract: what does not fit into memory shows before step 1, and the search finds the most that does fit."""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr.errors import UserError
from asr.features import LogMel
from asr.models.tokenizer import end_id
from asr.training.data import TrainingSet
from asr.training.guards import rehearsal
from asr.training.guards.rehearsal import (
    as_in_mid_run,
    limits_from_seconds,
    rehearse,
    search_limits,
    state_to_come,
    worst_batch,
)
from asr.training.objective import Objective
from tests.models import tiny_corpus, tiny_model

CPU = torch.device("cpu")
SECONDS = (1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0)
ONE_CLIP = r"memory\.micro_batch_of_one"
edges_wanted = st.dictionaries(st.integers(0, len(SECONDS) - 1), st.integers(1, 400), min_size=1)


FREED: list[torch.device] = []


@pytest.fixture(scope="module", autouse=True)
def counted_clean_up() -> Iterator[None]:
    """A real one walks through all objects of the process, which thousands of attempts have no time for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rehearsal, "free_memory", FREED.append)
        yield


@dataclass
class Memory:
    """A device that has room for `budget`: what one clip takes depends on its length in three ways."""

    budget: float
    linear: float = 1.0
    """A second of activations."""
    quadratic: float = 0.0
    """Times the squared length: attention."""
    text: float = 0.0
    """A clip, whatever its length: logits."""
    tried: list[tuple[int, int]] = field(default_factory=list)

    def clip(self, edge: int) -> float:
        length = SECONDS[edge]
        return self.linear * length + self.quadratic * length**2 + self.text

    def fits(self, edge: int, clips: int) -> bool:
        return clips * self.clip(edge) <= self.budget

    def attempt(self, edge: int, clips: int) -> None:
        self.tried.append((edge, clips))
        if not self.fits(edge, clips):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.00 GiB.")


memories = st.builds(
    Memory,
    budget=st.floats(2000, 50000),
    linear=st.floats(0.1, 10),
    quadratic=st.floats(0, 1),
    text=st.floats(0, 100),
)


def most_by_trying_all(memory: Memory, edge: int, wanted: int) -> int:
    """The most clips of which ten ninths fit, or one."""
    return max(n for n in range(1, wanted + 1) if n == 1 or memory.fits(edge, math.ceil(n * 10 / 9)))


@given(memories, edges_wanted)
def test_the_search_finds_what_trying_every_number_finds(memory: Memory, wanted: dict[int, int]) -> None:
    limits = search_limits(memory.attempt, SECONDS, wanted, CPU)
    assert limits == {edge: most_by_trying_all(memory, edge, clips) for edge, clips in wanted.items()}
    assert list(limits) == sorted(wanted)


@given(memories, edges_wanted)
def test_the_search_needs_few_attempts_and_repeats_none(memory: Memory, wanted: dict[int, int]) -> None:
    search_limits(memory.attempt, SECONDS, wanted, CPU)
    assert len(set(memory.tried)) == len(memory.tried)
    for edge, clips in wanted.items():
        tries = sum(tried == edge for tried, _ in memory.tried)
        assert tries <= 2 * math.log2(math.ceil(clips * 10 / 9)) + 2


def test_the_search_begins_at_the_longest_edge_uses_what_it_learns_and_frees_memory_between() -> None:
    memory = Memory(budget=300.0)
    FREED.clear()
    limits = search_limits(memory.attempt, SECONDS, dict.fromkeys(range(len(SECONDS)), 200), CPU)
    assert FREED.count(CPU) == len(memory.tried)
    assert limits == {0: 200, 1: 180, 2: 135, 3: 90, 4: 54, 5: 27, 6: 13, 7: 9}
    assert memory.tried[0] == (7, 1)
    assert next(clips for edge, clips in memory.tried if edge == 6) == 15  # as many seconds as 10 clips of 30 s


def test_a_shorter_clip_with_a_longer_text_is_searched_for_itself() -> None:
    memory = Memory(budget=1000.0)
    memory.clip = lambda edge: {7: 30.0, 6: 100.0, 0: 300.0}[edge]  # type: ignore[method-assign]
    assert search_limits(memory.attempt, SECONDS, {0: 64, 6: 64, 7: 64}, CPU) == {0: 2, 6: 9, 7: 29}


def test_on_a_large_device_the_batch_is_not_cut() -> None:
    memory = Memory(budget=1e9)
    assert search_limits(memory.attempt, SECONDS, {0: 256, 7: 1}, CPU) == {0: 256, 7: 1}
    assert (7, 2) not in memory.tried


def test_a_device_too_small_for_one_clip_is_named_with_its_edge() -> None:
    with pytest.raises(UserError, match=rf"{ONE_CLIP}: one clip of 20 s .*CUDA out of memory"):
        search_limits(Memory(budget=19.0).attempt, SECONDS, {0: 4, 6: 4}, CPU)
    with pytest.raises(UserError, match=rf"{ONE_CLIP}: one clip of 20 s "):
        rehearse(Memory(budget=19.0).attempt, SECONDS, {0: 4, 6: 4})


def wrong_shape(edge: int, clips: int) -> None:
    raise RuntimeError(f"shape '[{edge}, {clips}]' is invalid")


@pytest.mark.parametrize(
    "run",
    [
        lambda: rehearse(wrong_shape, SECONDS, {3: 8}),
        lambda: search_limits(wrong_shape, SECONDS, {3: 8}, CPU),
    ],
    ids=["rehearse", "search"],
)
def test_another_error_passes_as_it_is(run: Callable[[], object]) -> None:
    with pytest.raises(RuntimeError, match=r"shape '\[3, \d+\]' is invalid"):
        run()


@given(st.lists(st.floats(0.1, 30), min_size=1, max_size=16), st.floats(1, 2000))
def test_seconds_become_the_most_clips_that_they_hold(lengths: list[float], seconds: float) -> None:
    for edge, clips in limits_from_seconds(lengths, seconds).items():
        assert clips >= 1
        assert clips == 1 or clips * lengths[edge] <= seconds * (1 + 1e-6)
        assert (clips + 1) * lengths[edge] > seconds


def test_seconds_that_hold_a_whole_number_of_clips_lose_none_to_rounding() -> None:
    assert limits_from_seconds((0.1, 0.8, 30.0), 2.4) == {0: 24, 1: 3, 2: 1}


def test_the_rehearsal_begins_with_the_costliest_and_stays_cheap() -> None:
    memory = Memory(budget=1e9)
    rehearse(memory.attempt, SECONDS, {0: 64, 3: 60, 5: 24, 6: 6, 7: 1})
    assert memory.tried == [(5, 24), (0, 64), (7, 1)]
    memory.tried.clear()
    rehearse(memory.attempt, SECONDS, {7: 8})
    assert memory.tried == [(7, 8)]


@given(st.sampled_from(["linear", "quadratic", "text"]), st.floats(1, 5000), st.integers(1, 300), st.floats(1, 500))
def test_limits_that_do_not_fit_are_refused_whatever_takes_the_memory(
    taker: str, budget: float, batch_size: int, seconds: float
) -> None:
    memory = Memory(budget, **{"linear": 0.0, taker: 1.0})
    limits = {edge: min(clips, batch_size) for edge, clips in limits_from_seconds(SECONDS, seconds).items()}
    if all(memory.fits(edge, clips) for edge, clips in limits.items()):
        rehearse(memory.attempt, SECONDS, limits)
    else:
        with pytest.raises(UserError, match=r"^memory\."):
            rehearse(memory.attempt, SECONDS, limits)


@pytest.mark.parametrize(("budget", "fit"), [(130.0, 4), (100.0, 2), (31.0, 1)])
def test_a_micro_batch_that_does_not_fit_is_named_with_a_value_that_does(budget: float, fit: int) -> None:
    memory = Memory(budget)
    limits = limits_from_seconds(SECONDS, 240.0)
    with pytest.raises(UserError, match=r"^memory\.worst_batch: 8 clips of 30 s \(240 s with padding\)") as caught:
        rehearse(memory.attempt, SECONDS, limits)
    message = str(caught.value)
    assert "\n" not in message
    assert f"{fit} do (CUDA out of memory. Tried to allocate 1.00 GiB.)" in message
    assert "train.batch_size, and with it the experiment, stays the same" in message
    advised = re.search(r"lower train\.micro_batch_seconds to (\d+) or less, or set it to null", message)
    assert advised is not None
    rehearse(memory.attempt, SECONDS, limits_from_seconds(SECONDS, float(advised[1])))


@pytest.fixture(scope="module")
def setting() -> Iterator[tuple[Objective, TrainingSet]]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # more only slow so small a network down, much so where they are busy
    torch.manual_seed(0)
    model = tiny_model()
    utterances, clips = tiny_corpus()
    data = TrainingSet.build(utterances, clips, model.tokenizer, model.edges, "az")
    yield Objective(model.network, end_id(model.tokenizer), label_smoothing=0.1, ctc_weight=0.5), data
    torch.set_num_threads(threads)


def of(edge: int, data: TrainingSet) -> list[int]:
    return [clip for clip, own in enumerate(data.edge_indices()) if own == edge]


@pytest.mark.parametrize("clips", [1, 3, 20])
@pytest.mark.parametrize("edge", [1, 2])
def test_the_worst_batch_holds_the_longest_texts_of_its_edge(
    setting: tuple[Objective, TrainingSet], edge: int, clips: int
) -> None:
    _, data = setting
    edges = data.edge_indices()
    loaded = worst_batch(data, edge, clips, of(edge, data))
    of_edge = sorted((len(data.texts[i]) for i, own in enumerate(edges) if own == edge), reverse=True)
    assert {edges[clip] for clip in loaded.clips} == {edge}
    assert [len(data.texts[clip]) for clip in loaded.clips] == [of_edge[i % len(of_edge)] for i in range(clips)]
    assert len(set(loaded.clips)) == min(clips, len(of_edge))
    assert loaded.wave.shape == (clips, data.edges.padded_samples(edge))
    assert loaded.labels.targets.shape == (clips, of_edge[0] + 1)


def forward_backward(objective: Objective, data: TrainingSet, edge: int, clips: int) -> None:
    loaded = worst_batch(data, edge, clips, of(edge, data))
    sum(objective(LogMel(80)(loaded.wave), loaded.labels)).backward()


def adamw(objective: Objective) -> torch.optim.Optimizer:
    return torch.optim.AdamW(objective.parameters(), lr=1e-3, fused=True)


def test_the_state_that_is_reserved_is_the_one_that_the_first_update_brings(
    setting: tuple[Objective, TrainingSet],
) -> None:
    objective, data = setting
    optimizer = adamw(objective)
    reserved = [(tensor.shape, tensor.dtype) for tensor in state_to_come(optimizer)]
    assert not optimizer.state
    forward_backward(objective, data, 2, 2)
    optimizer.step()
    optimizer.zero_grad()
    moments = [state[name] for state in optimizer.state.values() for name in ("exp_avg", "exp_avg_sq")]
    assert sorted(map(str, reserved)) == sorted(str((tensor.shape, tensor.dtype)) for tensor in moments)
    assert state_to_come(optimizer) == []


@pytest.mark.parametrize("fails", [False, True])
def test_an_attempt_as_in_mid_run_leaves_nothing_behind(setting: tuple[Objective, TrainingSet], fails: bool) -> None:
    objective, _ = setting
    optimizer = adamw(objective)
    before = [parameter.clone() for parameter in objective.parameters()]

    def attempt() -> None:
        with as_in_mid_run(optimizer):
            assert all(parameter.grad is not None for parameter in objective.parameters() if parameter.requires_grad)
            if fails:
                raise torch.OutOfMemoryError("CUDA out of memory.")

    if fails:
        with pytest.raises(torch.OutOfMemoryError):
            attempt()
    else:
        attempt()
    assert not optimizer.state
    assert all(parameter.grad is None for parameter in objective.parameters())
    assert all(torch.equal(a, b) for a, b in zip(objective.parameters(), before, strict=True))


def test_the_search_with_a_real_network_finds_what_is_allowed_and_changes_nothing(
    setting: tuple[Objective, TrainingSet],
) -> None:
    objective, data = setting
    optimizer, before = adamw(objective), [parameter.clone() for parameter in objective.parameters()]

    def attempt(edge: int, clips: int) -> None:
        with as_in_mid_run(optimizer):
            forward_backward(objective, data, edge, clips)
            if clips * data.edges.seconds[edge] > 9:
                raise torch.OutOfMemoryError("CUDA out of memory.")

    assert search_limits(attempt, data.edges.seconds, {1: 4, 2: 4}, CPU) == {1: 3, 2: 2}
    assert all(torch.equal(a, b) for a, b in zip(objective.parameters(), before, strict=True))
