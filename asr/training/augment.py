"""Augmentation of log-mel, clip by clip: masks, and a stretched frequency axis.

Every choice follows from a clip's own seed, so it depends neither on the clip's neighbours nor on what was
drawn before.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray


@dataclass(frozen=True)
class Augment:
    """What may happen to one clip.

    SpecAugment (Park et al. 2019) blanks bands of time and frequency; vocal tract length perturbation
    (Jaitly and Hinton 2013) stretches the frequency axis and so makes new voices out of old ones.
    """

    time_masks: int
    time_mask_frames: int
    """Longest time mask."""
    frequency_masks: int
    frequency_mask_bands: int
    """Widest frequency mask."""
    warp: float
    """Largest relative stretch of the frequency axis, either way."""

    def __call__(self, log_mel: torch.Tensor, frames: Sequence[int], seeds: Sequence[int]) -> torch.Tensor:
        """An augmented copy of the same shape.

        Args:
            log_mel: shape = (clips, mel bands, frames).
            frames: each clip's own length; masks start inside it.
            seeds: one for each clip.
        """
        clips = [
            self._clip(clip, length, np.random.default_rng(seed))
            for clip, length, seed in zip(log_mel, frames, seeds, strict=True)
        ]
        return torch.stack(clips)

    def _clip(self, log_mel: torch.Tensor, length: int, rng: np.random.Generator) -> torch.Tensor:
        """One clip, shape = (mel bands, frames); masked values are the clip's mean."""
        if self.warp:
            log_mel = warped(log_mel, 1.0 + float(rng.uniform(-self.warp, self.warp)))
        keep = torch.from_numpy(self._kept((log_mel.shape[0], log_mel.shape[1]), length, rng)).to(log_mel.device)
        return torch.where(keep, log_mel, log_mel.mean())

    def _kept(self, shape: tuple[int, int], length: int, rng: np.random.Generator) -> NDArray[np.bool_]:
        keep = np.ones(shape, np.bool_)
        for _ in range(self.time_masks):
            width = int(rng.integers(0, min(self.time_mask_frames, length // 4) + 1))
            start = int(rng.integers(0, max(length - width, 0) + 1))
            keep[:, start : start + width] = False
        for _ in range(self.frequency_masks):
            width = int(rng.integers(0, self.frequency_mask_bands + 1))
            start = int(rng.integers(0, shape[0] - width + 1))
            keep[start : start + width] = False
        return keep


def warped(log_mel: torch.Tensor, factor: float) -> torch.Tensor:
    """Log-mel of shape = (mel bands, frames) whose band b holds what band b * factor held, interpolated."""
    bands = log_mel.shape[0]
    places = (torch.arange(bands, device=log_mel.device) * factor).clamp(max=bands - 1)
    below = places.long()
    share = (places - below).unsqueeze(1)
    return log_mel[below] * (1 - share) + log_mel[(below + 1).clamp(max=bands - 1)] * share
