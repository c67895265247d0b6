"""Which clips make which step: batches of one length, the same in every run.

An epoch's plan follows from (seed, epoch). Clips are shuffled and cut into steps inside each edge, so
that a step is one tensor; what is left over at each edge is joined into steps of several micro-batches.
Every clip appears once an epoch.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from asr.seeds import derive


@dataclass(frozen=True)
class MicroBatch:
    """Clips that pass through the model together."""

    edge: int
    """Index of the common length."""
    clips: tuple[int, ...]
    """Positions in the training set."""


Step = tuple[MicroBatch, ...]
"""The micro-batches of one optimizer step."""


@dataclass(frozen=True)
class Planner:
    """Cuts epochs into steps."""

    edges: Sequence[int]
    """Edge index of each clip."""
    edge_seconds: Sequence[float]
    batch_size: int
    """Clips in one optimizer step."""
    micro_batch_seconds: float
    """Padded audio in one micro-batch, at most; one clip at least."""
    seed: int

    def epoch(self, number: int) -> list[Step]:
        """The steps of one epoch, in order."""
        rng = np.random.default_rng(derive(self.seed, "order", number))
        by_edge: dict[int, list[int]] = defaultdict(list)
        for clip in rng.permutation(len(self.edges)):
            by_edge[self.edges[clip]].append(int(clip))
        whole, rest = self._whole_batches(by_edge)
        batches = whole + [rest[i : i + self.batch_size] for i in range(0, len(rest), self.batch_size)]
        return [self._step(batches[i]) for i in rng.permutation(len(batches))]

    def steps(self) -> Iterator[tuple[int, Step]]:
        """Epoch number and step, without end."""
        epoch = 0
        while True:
            for step in self.epoch(epoch):
                yield epoch, step
            epoch += 1

    def _whole_batches(self, by_edge: dict[int, list[int]]) -> tuple[list[list[int]], list[int]]:
        whole: list[list[int]] = []
        rest: list[int] = []
        for edge in sorted(by_edge):
            clips = by_edge[edge]
            end = len(clips) - len(clips) % self.batch_size
            whole += [clips[i : i + self.batch_size] for i in range(0, end, self.batch_size)]
            rest += clips[end:]
        return whole, rest

    def _step(self, clips: Sequence[int]) -> Step:
        step: list[MicroBatch] = []
        for edge in sorted({self.edges[clip] for clip in clips}):
            same = [clip for clip in clips if self.edges[clip] == edge]
            size = max(1, int(self.micro_batch_seconds / self.edge_seconds[edge]))
            step += [MicroBatch(edge, tuple(same[i : i + size])) for i in range(0, len(same), size)]
        return tuple(step)
