"""Contract: an epoch pads some clips further, the same ones in every run, and to no length that was not foreseen."""

from collections import Counter
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.features import Edges
from asr.pcm import SAMPLE_RATE
from asr.training.batches import Planner
from asr.training.padding import Padding

EDGES = Edges((1.0, 1.5, 2.0, 3.0, 6.0), tail=0.1)
lengths = st.lists(st.integers(100, 6 * SAMPLE_RATE), min_size=1, max_size=60)
shares = st.sampled_from([(0.0, 0.0), (0.3, 0.0), (0.0, 0.2), (0.5, 0.5), (1.0, 0.0), (0.0, 1.0)])


def padding(
    samples: list[int], margin_share: float = 0.3, window_share: float = 0.1, margin: float = 2.0, seed: int = 1
) -> Padding:
    return Padding(EDGES, np.array(samples), margin, margin_share, window_share, seed)


def own(samples: list[int]) -> list[int]:
    return [EDGES.index(count) for count in samples]


@given(lengths)
def test_without_shares_every_clip_keeps_its_own_edge(samples: list[int]) -> None:
    assert padding(samples, 0.0, 0.0).epoch(3) == own(samples)


@given(lengths, shares, st.integers(0, 5))
def test_no_clip_gets_less_than_its_edge_or_more_than_its_longest_margin(
    samples: list[int], share: tuple[float, float], epoch: int
) -> None:
    margin_share, window_share = share
    found = padding(samples, margin_share, window_share).epoch(epoch)
    for count, least, edge in zip(samples, own(samples), found, strict=True):
        most = EDGES.index(min(count + 2 * SAMPLE_RATE, 6 * SAMPLE_RATE))
        assert least <= edge <= most or (window_share and edge == 4)


@given(lengths, shares, st.integers(0, 20))
def test_what_an_epoch_uses_is_among_the_candidates(samples: list[int], share: tuple[float, float], epoch: int) -> None:
    plan = padding(samples, *share)
    candidates = plan.candidates()
    for clip, edge in enumerate(plan.epoch(epoch)):
        assert clip in candidates[edge]


def test_the_shares_are_those_asked_for() -> None:
    samples = [SAMPLE_RATE] * 20_000
    found = Counter(padding(samples, margin_share=0.3, window_share=0.1).epoch(0))
    assert found[4] / 20_000 == pytest.approx(0.1 + 0.3 * 0.05, abs=0.01)  # a margin of 1.9 to 2 s needs more than 3 s
    # a margin of up to 0.4 s leaves a clip of 1 s with a tail of 0.1 s at the edge of 1.5 s
    assert found[1] / 20_000 == pytest.approx(0.6 + 0.3 * 0.2, abs=0.01)
    assert found[2] / 20_000 == pytest.approx(0.3 * 0.25, abs=0.01)


def test_every_epoch_draws_others_and_always_the_same() -> None:
    samples = [SAMPLE_RATE] * 200
    plan = padding(samples)
    assert plan.epoch(2) == padding(samples).epoch(2)
    assert plan.epoch(2) != plan.epoch(3)
    assert plan.epoch(2) != padding(samples, seed=2).epoch(2)


@given(lengths, shares, st.integers(1, 9), st.integers(0, 40))
def test_a_plan_with_changing_edges_has_equal_epochs_and_can_begin_at_any_batch(
    samples: list[int], share: tuple[float, float], size: int, start: int
) -> None:
    policy = padding(samples, *share)
    plan = Planner(policy.epoch, policy.candidates(), len(samples), size, 1)
    for epoch in range(3):
        steps = plan.epoch(epoch)
        assert len(steps) == plan.batches_in_an_epoch()
        edges = policy.epoch(epoch)
        assert sorted(clip for step in steps for micro in step for clip in micro.clips) == list(range(len(samples)))
        assert all(edges[clip] == micro.edge for step in steps for micro in step for clip in micro.clips)
    whole = list(islice(plan.batches(0), start + 3))
    assert list(islice(plan.batches(start), 3)) == whole[start:]
