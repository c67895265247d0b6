"""How long a clip's input is in an epoch: its own edge, or longer, so that one model serves two kinds of users.

A Whisper that has only heard clips padded to their own edge does worse where a stock pipeline pads them to the full
window, and one that has only heard full windows fails on short inputs (79 to 590 % WER in FUTO's whisper-acft). So
some clips of every epoch get a random margin of silence, and some the whole window. Which ones follows from
(seed, epoch): every epoch draws anew, and a run can begin at any batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr.corpus.edges import edge_indices
from asr.features import Edges
from asr.params import TrainParams
from asr.pcm import SAMPLE_RATE
from asr.seeds import derive


@dataclass(frozen=True)
class Padding:
    """Gives each clip an edge, anew in every epoch."""

    edges: Edges
    samples: NDArray[np.int64]
    """Length of each clip."""
    margin: float
    """Seconds; the longest extra silence behind a clip."""
    margin_share: float
    """Of the clips, how many get some."""
    window_share: float
    """Of the clips, how many are padded to the last edge."""
    seed: int

    @classmethod
    def of(cls, edges: Edges, samples: Sequence[int], params: TrainParams) -> "Padding":
        """What the parameters ask for."""
        lengths = np.asarray(samples, np.int64)
        return cls(edges, lengths, params.margin, params.margin_share, params.window_share, params.seed)

    def epoch(self, number: int) -> list[int]:
        """The edge of each clip in an epoch."""
        rng = np.random.default_rng(derive(self.seed, "padding", number))
        lot, extra = rng.random((2, len(self.samples)))
        margins = np.where(lot < self.window_share + self.margin_share, extra * self.margin * SAMPLE_RATE, 0)
        chosen = self._indices(self.samples + margins.astype(np.int64))
        chosen[lot < self.window_share] = len(self.edges.seconds) - 1
        return [int(edge) for edge in chosen]

    def candidates(self) -> dict[int, list[int]]:
        """For every edge that an epoch can use, the clips that may be padded to it."""
        own = self._indices(self.samples)
        widest = self._indices(self.samples + round(self.margin * SAMPLE_RATE)) if self.margin_share else own
        last = len(self.edges.seconds) - 1
        found = {edge: np.flatnonzero((own <= edge) & (edge <= widest)).tolist() for edge in range(last + 1)}
        if self.window_share:
            found[last] = list(range(len(own)))
        return {edge: clips for edge, clips in found.items() if clips}

    def _indices(self, samples: NDArray[np.int64]) -> NDArray[np.int64]:
        """A margin ends at the last edge."""
        within = np.minimum(samples, round(self.edges.seconds[-1] * SAMPLE_RATE))
        return edge_indices(within, self.edges.seconds, self.edges.tail)
