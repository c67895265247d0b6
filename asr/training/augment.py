"""SpecAugment (Park et al. 2019): random bands of time and frequency are blanked."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class SpecAugment:
    """How much is blanked in one clip."""

    time_masks: int
    time_mask_frames: int
    """Longest time mask."""
    frequency_masks: int
    frequency_mask_bands: int
    """Widest frequency mask."""

    def __call__(self, log_mel: torch.Tensor, frames: Sequence[int], seeds: Sequence[int]) -> torch.Tensor:
        """A masked copy.

        Args:
            log_mel: shape = (clips, mel bands, frames).
            frames: each clip's own length; masks start inside it.
            seeds: one for each clip, so that its masks do not depend on its neighbours.

        Returns:
            The same shape; masked values are the clip's mean.
        """
        keep = np.ones(log_mel.shape, np.bool_)
        for row, length, seed in zip(keep, frames, seeds, strict=True):
            self._mask(row, length, np.random.default_rng(seed))
        mean = log_mel.mean(dim=(1, 2), keepdim=True)
        return torch.where(torch.from_numpy(keep).to(log_mel.device), log_mel, mean)

    def _mask(
        self, keep: "np.ndarray[tuple[int, int], np.dtype[np.bool_]]", length: int, rng: np.random.Generator
    ) -> None:
        for _ in range(self.time_masks):
            width = int(rng.integers(0, min(self.time_mask_frames, length // 4) + 1))
            start = int(rng.integers(0, max(length - width, 0) + 1))
            keep[:, start : start + width] = False
        for _ in range(self.frequency_masks):
            width = int(rng.integers(0, self.frequency_mask_bands + 1))
            start = int(rng.integers(0, keep.shape[0] - width + 1))
            keep[start : start + width] = False
