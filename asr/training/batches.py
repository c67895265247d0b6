"""Which clips make which step: batches of one length, the same in every run.

An epoch's plan follows from (seed, epoch), so a run can begin at any batch. Clips are shuffled and cut into
batches inside each edge, so that a batch is one tensor; what is left over at each edge is joined into batches
of several micro-batches. Every clip appears once an epoch. Which edge a clip has in an epoch `padding.py` says.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from asr.seeds import derive


@dataclass(frozen=True)
class MicroBatch:
    """Clips of one edge that pass through the model together."""

    edge: int
    """Index of the common length."""
    clips: tuple[int, ...]
    """Positions in the training set."""


Step = tuple[MicroBatch, ...]
"""The micro-batches of one optimizer step, one an edge; memory may cut them further."""


@dataclass(frozen=True)
class Planner:
    """Cuts epochs into batches, each for one optimizer step."""

    edges: Callable[[int], Sequence[int]]
    """Edge index of each clip in an epoch."""
    candidates: Mapping[int, Sequence[int]]
    """For every edge that an epoch can use, the clips that may have it."""
    clips: int
    """In an epoch."""
    batch_size: int
    """Clips in one optimizer step."""
    seed: int
    rank: int = 0
    """Which process this is of those that share every batch,"""
    ranks: int = 1
    """and how many they are."""

    @classmethod
    def fixed(cls, edges: Sequence[int], batch_size: int, seed: int) -> "Planner":
        """A plan in which every clip has one edge in all epochs."""
        candidates = {edge: [i for i, own in enumerate(edges) if own == edge] for edge in set(edges)}
        return cls(lambda _: edges, candidates, len(edges), batch_size, seed)

    def epoch(self, number: int) -> list[Step]:
        """The batches of one epoch, in order."""
        rng = np.random.default_rng(derive(self.seed, "order", number))
        edges = self.edges(number)
        by_edge: dict[int, list[int]] = defaultdict(list)
        for clip in rng.permutation(self.clips):
            by_edge[edges[clip]].append(int(clip))
        whole, rest = self._whole_batches(by_edge)
        batches = whole + [rest[i : i + self.batch_size] for i in range(0, len(rest), self.batch_size)]
        return [_step(batches[i], edges) for i in rng.permutation(len(batches))]

    def batches_in_an_epoch(self) -> int:
        """The same in every epoch, whatever its edges: each batch but the last is full."""
        return -(-self.clips // self.batch_size)

    def batches(self, start: int) -> Iterator[Step]:
        """The share of this process in all batches of all epochs, from batch `start` of the run on, without end."""
        epoch, first = divmod(start, self.batches_in_an_epoch())
        while True:
            yield from map(self._share, self.epoch(epoch)[first:])
            epoch, first = epoch + 1, 0

    def _share(self, step: Step) -> Step:
        shares = (MicroBatch(batch.edge, batch.clips[self.rank :: self.ranks]) for batch in step)
        return tuple(batch for batch in shares if batch.clips)

    def _whole_batches(self, by_edge: dict[int, list[int]]) -> tuple[list[list[int]], list[int]]:
        whole: list[list[int]] = []
        rest: list[int] = []
        for edge in sorted(by_edge):
            clips = by_edge[edge]
            end = len(clips) - len(clips) % self.batch_size
            whole += [clips[i : i + self.batch_size] for i in range(0, end, self.batch_size)]
            rest += clips[end:]
        return whole, rest


def _step(clips: Sequence[int], edges: Sequence[int]) -> Step:
    present = sorted({edges[clip] for clip in clips})
    return tuple(MicroBatch(edge, tuple(c for c in clips if edges[c] == edge)) for edge in present)
