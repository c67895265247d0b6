"""Contract: every clip once an epoch, one length a micro-batch, the same plan in every run."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.training.batches import Planner

SECONDS = (1.0, 2.0, 4.0)
edge_lists = st.lists(st.integers(0, 2), min_size=1, max_size=80)
sizes = st.integers(1, 9)


def planner(edges: list[int], batch_size: int = 4, micro_batch_seconds: float = 1000.0, seed: int = 1) -> Planner:
    return Planner(edges, SECONDS, batch_size, micro_batch_seconds, seed)


@given(edge_lists, sizes, st.floats(1, 20), st.integers(0, 5))
def test_every_clip_appears_exactly_once_an_epoch(edges: list[int], size: int, budget: float, epoch: int) -> None:
    steps = planner(edges, size, budget).epoch(epoch)
    assert Counter(clip for step in steps for batch in step for clip in batch.clips) == Counter(range(len(edges)))


@given(edge_lists, sizes, st.floats(1, 20))
def test_a_micro_batch_holds_one_length_and_keeps_its_budget(edges: list[int], size: int, budget: float) -> None:
    for step in planner(edges, size, budget).epoch(0):
        for batch in step:
            assert {edges[clip] for clip in batch.clips} == {batch.edge}
            assert len(batch.clips) == 1 or len(batch.clips) * SECONDS[batch.edge] <= budget


@given(edge_lists, sizes)
def test_all_steps_but_one_have_batch_size_clips(edges: list[int], size: int) -> None:
    counts = [sum(len(batch.clips) for batch in step) for step in planner(edges, size).epoch(0)]
    assert sorted(counts, reverse=True)[:-1] == [size] * (len(counts) - 1)
    assert 1 <= min(counts) <= size


@given(edge_lists, sizes, st.floats(1, 20))
def test_cutting_into_micro_batches_does_not_change_which_clips_make_a_step(
    edges: list[int], size: int, budget: float
) -> None:
    def clips(micro_batch_seconds: float) -> list[set[int]]:
        steps = planner(edges, size, micro_batch_seconds).epoch(2)
        return [{clip for batch in step for clip in batch.clips} for step in steps]

    assert clips(budget) == clips(1e9)


def test_the_plan_follows_from_seed_and_epoch_alone() -> None:
    edges = [i % 3 for i in range(50)]
    assert planner(edges).epoch(3) == planner(edges).epoch(3)
    assert planner(edges).epoch(3) != planner(edges).epoch(4)
    assert planner(edges).epoch(3) != planner(edges, seed=2).epoch(3)


def test_the_stream_of_steps_runs_through_the_epochs() -> None:
    plan = planner([0] * 8)
    stream = plan.steps()
    drawn = [next(stream) for _ in range(5)]
    assert [epoch for epoch, _ in drawn] == [0, 0, 1, 1, 2]
    assert [step for _, step in drawn[:4]] == plan.epoch(0) + plan.epoch(1)


@pytest.mark.parametrize("epochs", [20])
def test_neighbours_change_from_epoch_to_epoch(epochs: int) -> None:
    plan = planner([0] * 12)
    pairs = Counter(frozenset(batch.clips) for epoch in range(epochs) for step in plan.epoch(epoch) for batch in step)
    assert max(pairs.values()) < epochs / 2
