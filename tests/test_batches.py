"""Contract: every clip once an epoch, one length a micro-batch, the same plan in every run and from any batch on."""

from collections import Counter
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from asr.training.batches import Planner

edge_lists = st.lists(st.integers(0, 2), min_size=1, max_size=80)
sizes = st.integers(1, 9)


def planner(edges: list[int], batch_size: int = 4, seed: int = 1) -> Planner:
    return Planner.fixed(edges, batch_size, seed)


@given(edge_lists, sizes, st.integers(0, 5))
def test_every_clip_appears_exactly_once_an_epoch(edges: list[int], size: int, epoch: int) -> None:
    steps = planner(edges, size).epoch(epoch)
    assert Counter(clip for step in steps for batch in step for clip in batch.clips) == Counter(range(len(edges)))


@given(edge_lists, sizes)
def test_a_micro_batch_holds_one_length_and_a_step_each_length_once(edges: list[int], size: int) -> None:
    for step in planner(edges, size).epoch(0):
        for batch in step:
            assert {edges[clip] for clip in batch.clips} == {batch.edge}
        lengths = [batch.edge for batch in step]
        assert lengths == sorted(set(lengths))


@given(edge_lists, sizes)
def test_all_steps_but_one_have_batch_size_clips(edges: list[int], size: int) -> None:
    counts = [sum(len(batch.clips) for batch in step) for step in planner(edges, size).epoch(0)]
    assert sorted(counts, reverse=True)[:-1] == [size] * (len(counts) - 1)
    assert 1 <= min(counts) <= size


@given(edge_lists, sizes)
def test_only_what_is_left_over_at_each_length_makes_steps_of_several(edges: list[int], size: int) -> None:
    whole = sum(len(step) == 1 and len(step[0].clips) == size for step in planner(edges, size).epoch(0))
    assert whole >= sum(count // size for count in Counter(edges).values())


@given(edge_lists, sizes, st.integers(0, 5))
def test_every_epoch_has_as_many_batches_as_counted_beforehand(edges: list[int], size: int, epoch: int) -> None:
    plan = planner(edges, size)
    assert plan.batches_in_an_epoch() == len(plan.epoch(epoch))


@given(edge_lists, sizes, st.integers(0, 60))
def test_from_any_batch_on_the_stream_is_the_rest_of_the_whole_one(edges: list[int], size: int, start: int) -> None:
    plan = planner(edges, size)
    whole = list(islice(plan.batches(0), start + 5))
    assert list(islice(plan.batches(start), 5)) == whole[start:]


def test_the_stream_of_batches_runs_through_the_epochs() -> None:
    plan = planner([0, 1, 1, 0, 0, 1, 0, 0])
    assert list(islice(plan.batches(0), 6)) == plan.epoch(0) + plan.epoch(1) + plan.epoch(2)


def test_the_plan_follows_from_seed_and_epoch_alone() -> None:
    edges = [i % 3 for i in range(50)]
    assert planner(edges).epoch(3) == planner(edges).epoch(3)
    assert planner(edges).epoch(3) != planner(edges).epoch(4)
    assert planner(edges).epoch(3) != planner(edges, seed=2).epoch(3)


def test_neighbours_change_from_epoch_to_epoch() -> None:
    epochs, plan = 20, planner([0] * 12)
    pairs = Counter(frozenset(batch.clips) for epoch in range(epochs) for step in plan.epoch(epoch) for batch in step)
    assert max(pairs.values()) < epochs / 2
