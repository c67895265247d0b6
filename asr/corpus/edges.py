"""Which few input lengths waste least: edges chosen from the corpus' durations by an exact optimisation.

A clip is padded to the first edge that holds it, so every edge costs a shape to compile and every gap between
edges costs work on silence. Quantiles put the edges where the clips are and leave the longest clips, which cost
most, to one wide gap; here the total work itself is minimised, over all sets of edges.

Work is that of Whisper's encoder: with T positions (50 a second) and width d, a layer needs 24 d^2 T + 4 T^2 d
operations, that is T + T^2 / (6 d) in units of 24 d^2. The convolutions and the decoder's reading of the encoder
are linear in T as well and left out: they would only weaken the small second term.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from asr.errors import UserError
from asr.pcm import SAMPLE_RATE

POSITIONS_PER_SECOND = 50
"""Encoder positions a second: the second convolution halves the 100 frames."""
IMPOSSIBLE = 2**61
"""More than any sum of work, and twice it still fits into 64 bits."""


def encoder_work(seconds: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Relative work of the encoder for inputs of these lengths (s), in positions: T + T^2 / (6 d).

    Args:
        seconds: lengths of any shape.
        width: d, the model's hidden size.
    """
    positions = seconds * POSITIONS_PER_SECOND
    return np.asarray(positions + positions**2 / (6 * width))


def edge_indices(samples: NDArray[np.int64], edges: Sequence[float], tail: float) -> NDArray[np.int64]:
    """The edge of each clip, shape = (clips,): the first that holds it.

    Args:
        samples: length of each clip, shape = (clips,).
        edges: rising (s); the last takes clips without their tail too.
        tail: silence that a clip should have after it (s).

    Raises:
        UserError: a clip is longer than the last edge.
    """
    lengths = np.asarray(edges, np.float64) * SAMPLE_RATE
    if samples.size and samples.max() > lengths[-1]:
        raise UserError(
            f"a clip of {samples.max() / SAMPLE_RATE:.2f} s is longer than the last edge ({edges[-1]:g} s): "
            "lower validate.max_duration or raise features.longest"
        )
    first = np.searchsorted(lengths, samples + tail * SAMPLE_RATE)
    return np.asarray(np.minimum(first, len(lengths) - 1), np.int64)


def choose_edges(seconds: Sequence[float], shapes: int, longest: float, tail: float, width: int) -> tuple[float, ...]:
    """The edges that make the encoder's work over all clips least.

    Dynamic programming over the positions that clips need, exact in whole numbers. No edge is without use, except
    perhaps the last; of equally good sets the one with the smaller first edge is taken.

    Args:
        seconds: lengths of the training clips, whole numbers of samples.
        shapes: the most edges, at least 1.
        longest: the last edge (s), always there: a clip of another split may need it.
        tail: silence that a clip should have after it (s); waived at the last edge.
        width: the model's hidden size.

    Returns:
        Rising multiples of an encoder position (0.02 s), the last one `longest`.

    Raises:
        UserError: a clip is longer than `longest`, or `longest` is no multiple of 0.02 s.
    """
    assert len(seconds) > 0
    assert shapes >= 1
    last = round(longest * POSITIONS_PER_SECOND)
    if longest != last / POSITIONS_PER_SECOND:
        raise UserError(f"the last edge ({longest} s) is no multiple of 0.02 s, an encoder position")
    grid = [position / POSITIONS_PER_SECOND for position in range(1, last + 1)]
    clips = np.bincount(edge_indices(_samples(seconds), grid, tail), minlength=last)
    # An edge that no clip needs exactly is worse than the next lower one that some clip does.
    needed = [*np.flatnonzero(clips[:-1]).tolist(), last - 1]
    positions = np.array(needed, np.int64) + 1
    chosen = _cheapest(6 * width * positions + positions**2, clips[needed], shapes)
    return tuple(grid[needed[place]] for place in chosen)


def wasted_work(seconds: Sequence[float], edges: Sequence[float], tail: float, width: int) -> float:
    """Encoder work on padding as a share of the work on the clips themselves; the tail counts as padding.

    Args:
        seconds: lengths of the clips, not all 0.
        edges: rising (s).
        tail: silence that a clip should have after it (s); waived at the last edge.
        width: the model's hidden size.

    Raises:
        UserError: a clip is longer than the last edge.
    """
    samples = _samples(seconds)
    padded = np.asarray(edges, np.float64)[edge_indices(samples, edges, tail)]
    return float(encoder_work(padded, width).sum() / encoder_work(samples / SAMPLE_RATE, width).sum()) - 1


def _samples(seconds: Sequence[float]) -> NDArray[np.int64]:
    return np.rint(np.asarray(seconds, np.float64) * SAMPLE_RATE).astype(np.int64)


def _cheapest(work: NDArray[np.int64], clips: NDArray[np.int64], shapes: int) -> list[int]:
    """The places, last one included, that hold all clips with least work.

    Args:
        work: of one clip padded to each place, rising, shape = (places,).
        clips: that need each place at least, shape = (places,).
        shapes: the most places.
    """
    until = np.concatenate(([0], np.cumsum(clips)))
    # cost[start, place]: clips that need places from `start` on, up to `place`, are padded to `place`.
    cost = np.where(np.tri(len(work), k=-1, dtype=bool), IMPOSSIBLE, work * (until[1:] - until[:-1, None]))
    rest, choices = cost[:, -1], []  # of the clips from a start on, with one place
    for _ in range(1, min(shapes, len(work))):  # each place more takes clips from a longer one: none is in vain
        through = cost[:, :-1] + rest[1:]  # of the same, with one place more, which is the first of them
        choices.append(through.argmin(axis=1))
        rest = through.min(axis=1)
    chosen: list[int] = []
    start = 0
    for choice in reversed(choices):
        chosen.append(int(choice[start]))
        start = chosen[-1] + 1
    return [*chosen, len(work) - 1]
