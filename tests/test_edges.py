"""Contract: no set of edges wastes less than the chosen one, and a clip really goes where it was reckoned to go."""

from collections.abc import Callable, Sequence
from itertools import combinations, pairwise
from time import process_time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr import features
from asr.corpus import edges as module
from asr.corpus.edges import choose_edges, edge_indices, encoder_work, wasted_work
from asr.errors import UserError
from asr.features import Edges
from asr.pcm import SAMPLE_RATE

WIDTH = 768
TAIL = 0.1
BY_HAND = (1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0, 10.0, 14.0, 20.0, 30.0)
MIX = ((0.361, 0.1, 2), (0.472, 2, 5), (0.146, 5, 10), (0.020, 10, 20), (0.001, 20, 30))
"""Share of clips, and bounds of their length in seconds: the published table of LocalDoc/azerbaijani_asr."""
Chooser = Callable[[Sequence[float], int, float, float, int], tuple[float, ...]]

tails = st.sampled_from([0.0, 0.013, 0.02, 0.03, 0.1])
small = st.lists(st.integers(1, 12 * 320), min_size=1, max_size=14)
"""Samples of clips of at most 12 positions."""


def seconds_of(samples: Sequence[int]) -> list[float]:
    return [count / SAMPLE_RATE for count in samples]


def mix(clips: int) -> list[float]:
    """Durations spread evenly inside the published bins."""
    rng, parts = np.random.default_rng(1), []
    for share, low, high in MIX:
        parts.append(np.round(rng.uniform(low, high, round(share * clips)) * SAMPLE_RATE) / SAMPLE_RATE)
    return np.concatenate(parts).tolist()


def quantiles(seconds: Sequence[float], shapes: int, longest: float, tail: float, width: int) -> tuple[float, ...]:
    """What is commonly done: as many clips at each edge."""
    del width
    places = np.quantile(np.asarray(seconds) + tail, np.arange(1, shapes) / shapes)
    rounded = np.minimum(np.ceil(places * 50) / 50, longest)
    return tuple(sorted({*rounded.tolist(), longest}))


def greedy(seconds: Sequence[float], shapes: int, longest: float, tail: float, width: int) -> tuple[float, ...]:
    """One edge after another, each where it helps most beside those already there."""
    edges: tuple[float, ...] = (longest,)
    grid = [position / 50 for position in range(1, round(longest * 50))]
    while len(edges) < shapes:
        sets = [edges, *(tuple(sorted({*edges, edge})) for edge in grid)]
        best = min(sets, key=lambda candidate: wasted_work(seconds, candidate, tail, width))
        if best == edges:
            break
        edges = best
    return edges


def total_work(samples: Sequence[int], edges: tuple[float, ...], tail: float, width: int) -> int:
    """In whole numbers, by the rule that training itself follows."""
    rule = Edges(edges, tail)
    positions = [rule.padded_samples(rule.index(count)) // 320 for count in samples]
    return sum(6 * width * count + count**2 for count in positions)


def best_of_all(samples: Sequence[int], shapes: int, last: int, tail: float, width: int) -> tuple[float, ...]:
    """Least work, then fewest edges, then the smallest first edge, over every set of edges there is."""
    sets = [
        tuple(position / 50 for position in (*lower, last))
        for count in range(min(shapes, last))
        for lower in combinations(range(1, last), count)
    ]
    return min(sets, key=lambda edges: (total_work(samples, edges, tail, width), len(edges), edges))


@settings(max_examples=60, deadline=None)
@given(small, st.integers(1, 4), tails, st.sampled_from([1, 16, WIDTH]))
def test_no_set_of_edges_is_better_than_the_chosen_one(
    samples: list[int], shapes: int, tail: float, width: int
) -> None:
    last = -(-max(samples) // 320)
    wanted = best_of_all(samples, shapes, last, tail, width)
    assert choose_edges(seconds_of(samples), shapes, last / 50, tail, width) == wanted


@pytest.mark.parametrize("chooser", [quantiles, greedy])
def test_a_chooser_that_is_not_exact_is_told_apart(chooser: Chooser) -> None:
    samples = [320 * positions for positions in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)]
    wanted = best_of_all(samples, 3, 12, 0.0, WIDTH)
    assert choose_edges(seconds_of(samples), 3, 0.24, 0.0, WIDTH) == wanted == (0.08, 0.16, 0.24)
    samples += [320] * 5
    found = chooser(seconds_of(samples), 3, 0.24, 0.0, WIDTH)
    assert total_work(samples, found, 0.0, WIDTH) > total_work(
        samples, choose_edges(seconds_of(samples), 3, 0.24, 0.0, WIDTH), 0.0, WIDTH
    )


def first_that_holds(samples: int, edges: Sequence[float], tail: float) -> int:
    """The rule, one clip and one edge at a time."""
    fits = [index for index, edge in enumerate(edges) if samples + tail * SAMPLE_RATE <= edge * SAMPLE_RATE]
    return fits[0] if fits else len(edges) - 1


@given(st.lists(st.integers(0, 30 * SAMPLE_RATE), min_size=1, max_size=30), st.integers(1, 16), tails)
def test_clips_of_any_length_go_where_training_puts_them(samples: list[int], shapes: int, tail: float) -> None:
    edges = choose_edges(seconds_of(samples), shapes, 30.0, tail, WIDTH)
    assert edge_indices(np.array(samples), edges, tail).tolist() == [first_that_holds(n, edges, tail) for n in samples]
    assert [Edges(edges, tail).index(count) for count in samples] == edge_indices(
        np.array(samples), edges, tail
    ).tolist()


@pytest.mark.parametrize("tail", [0.0, 0.013, 0.02, 0.1, 0.15, 0.3])
def test_a_clip_that_just_fits_an_edge_goes_there_and_one_sample_more_does_not(tail: float) -> None:
    edges = [position / 50 for position in range(1, 1501)]
    room = [round((edge - tail) * SAMPLE_RATE) for edge in edges if edge > tail]
    samples = np.array([count + more for count in room for more in (-1, 0, 1)][:2000])
    assert edge_indices(samples, edges, tail).tolist() == [first_that_holds(n, edges, tail) for n in samples.tolist()]


@given(st.lists(st.integers(1, 10 * SAMPLE_RATE), min_size=1, max_size=40), tails)
def test_the_edges_are_whole_positions_in_rising_order_up_to_the_longest(samples: list[int], tail: float) -> None:
    edges = choose_edges(seconds_of(samples), 7, 10.0, tail, WIDTH)
    assert len(edges) <= 7
    assert edges[-1] == 10.0
    assert list(edges) == sorted(set(edges))
    assert all(edge == round(edge * 50) / 50 for edge in edges)


@given(st.lists(st.integers(1, 10 * SAMPLE_RATE), min_size=1, max_size=40), tails)
def test_more_shapes_never_waste_more(samples: list[int], tail: float) -> None:
    seconds = seconds_of(samples)
    waste = [wasted_work(seconds, choose_edges(seconds, n, 10.0, tail, WIDTH), tail, WIDTH) for n in range(1, 9)]
    assert all(after <= before + 1e-12 for before, after in pairwise(waste))


@pytest.mark.parametrize(
    ("samples", "edges"),
    [
        ([16000], (1.0, 10.0)),
        ([16000, 16000, 32000], (1.0, 2.0, 10.0)),
        ([16000, 160000], (1.0, 10.0)),
        ([160000], (10.0,)),
        ([15999, 15700, 16001], (1.0, 1.02, 10.0)),
    ],
)
def test_no_edge_is_without_use_but_the_longest_is_always_there(samples: list[int], edges: tuple[float, ...]) -> None:
    assert choose_edges(seconds_of(samples), 16, 10.0, 0.0, WIDTH) == edges


def test_of_equally_good_sets_the_one_with_the_smaller_first_edge_is_taken() -> None:
    # With a width of 1 the positions 1, 2, 3 cost 7, 16, 27: 11 (16 - 7) = 9 (27 - 16).
    samples = [320] * 11 + [640] * 9 + [960]
    assert total_work(samples, (0.02, 0.06), 0.0, 1) == total_work(samples, (0.04, 0.06), 0.0, 1)
    assert choose_edges(seconds_of(samples), 2, 0.06, 0.0, 1) == (0.02, 0.06)


def test_the_last_edge_takes_clips_without_their_tail() -> None:
    assert choose_edges([9.95, 9.9, 5.0], 2, 10.0, TAIL, WIDTH) == (5.1, 10.0)


def test_with_the_published_durations_16_shapes_waste_at_most_15_percent() -> None:
    seconds = mix(351_000)
    start = process_time()
    edges = choose_edges(seconds, 16, 30.0, TAIL, WIDTH)
    assert process_time() - start < 1.0
    waste = wasted_work(seconds, edges, TAIL, WIDTH)
    assert len(edges) == 16
    assert 0.140 < waste < 0.150
    assert waste < wasted_work(seconds, quantiles(seconds, 16, 30.0, TAIL, WIDTH), TAIL, WIDTH) - 0.05


def test_as_many_edges_chosen_by_hand_waste_more() -> None:
    seconds = mix(20_000)
    chosen = choose_edges(seconds, len(BY_HAND), 30.0, TAIL, WIDTH)
    assert wasted_work(seconds, chosen, TAIL, WIDTH) < wasted_work(seconds, BY_HAND, TAIL, WIDTH) - 0.01


def test_waste_is_the_work_on_padding_over_the_work_on_speech() -> None:
    # 1 s and 2 s at an edge of 2 s: 50 + 50^2 / 600 and 100 + 100^2 / 600 positions of work with a width of 100.
    own, padded = 50 + 2500 / 600 + 100 + 10000 / 600, 2 * (100 + 10000 / 600)
    assert wasted_work([1.0, 2.0], [2.0, 3.0], 0.0, 100) == pytest.approx(padded / own - 1)
    assert wasted_work([2.0], [2.0], 0.5, 100) == 0


def test_work_is_the_encoder_layers_count_of_operations() -> None:
    seconds = np.array([1.0, 3.42, 30.0])
    positions, width = seconds * 50, 384
    operations = 24 * width**2 * positions + 4 * positions**2 * width
    assert encoder_work(seconds, width) == pytest.approx(operations / (24 * width**2))
    assert module.POSITIONS_PER_SECOND == features.POSITIONS_PER_SECOND


def test_a_clip_beyond_the_longest_edge_is_refused_with_the_remedy() -> None:
    with pytest.raises(UserError, match=r"10\.50 s is longer than the last edge \(10 s\).*max_duration"):
        choose_edges([1.0, 10.5], 4, 10.0, TAIL, WIDTH)


def test_a_longest_edge_between_two_positions_is_refused() -> None:
    with pytest.raises(UserError, match=r"10\.01 s\) is no multiple of 0\.02 s"):
        choose_edges([1.0], 4, 10.01, TAIL, WIDTH)
