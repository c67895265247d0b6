"""Augmentation of log-mel, a whole batch at once: masks, and a stretched frequency axis.

Every choice follows from a clip's own seed, so it depends neither on the clip's neighbours nor on what was
drawn before. Choices are drawn on the CPU and sent as one small tensor; on an accelerator the number of
operations that apply them does not depend on how many clips the batch has.

Letters: B clips, M mel bands, F frames (100 a second).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from asr.features import by_groups


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
        """An augmented copy of the same shape; masked values are the mean of their clip after the stretch.

        Args:
            log_mel: shape = (B, M, F).
            frames: each clip's own length; masks start inside it.
            seeds: one for each clip.
        """
        drawn = [self._drawn(log_mel.shape[1], length, seed) for length, seed in zip(frames, seeds, strict=True)]
        choices = torch.from_numpy(np.stack(drawn)).to(log_mel.device, non_blocking=True)
        return by_groups(self._applied, log_mel.shape[2], log_mel, choices)

    def _applied(self, log_mel: torch.Tensor, choices: torch.Tensor) -> torch.Tensor:
        if self.warp:
            log_mel = warped(log_mel, choices[:, 0])
        first_frequency = 1 + 2 * self.time_masks
        time = inside(choices[:, 1:first_frequency], log_mel.shape[2]).to(log_mel.dtype).unsqueeze(1)
        frequency = inside(choices[:, first_frequency:], log_mel.shape[1]).to(log_mel.dtype).unsqueeze(2)
        # In two stages, since a sum of a single clip's values could be cut differently from that of many clips.
        mean = log_mel.mean(dim=2, keepdim=True).mean(dim=1, keepdim=True)
        # Weights of exactly 0 and 1 choose; it is four times as fast as `torch.where`.
        return torch.lerp(log_mel, mean, time).lerp_(mean, frequency)

    def _drawn(self, bands: int, frames: int, seed: int) -> NDArray[np.float32]:
        """One clip's choices: stretch, then start and end of each time mask and of each frequency mask."""
        rng = np.random.default_rng(seed)
        choices = [1.0 + rng.uniform(-self.warp, self.warp) if self.warp else 1.0]
        for _ in range(self.time_masks):
            choices += _span(rng, min(self.time_mask_frames, frames // 4), frames)
        for _ in range(self.frequency_masks):
            choices += _span(rng, self.frequency_mask_bands, bands)
        return np.array(choices, np.float32)  # whole numbers are exact up to 2^24


def warped(log_mel: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Log-mel whose band b holds what band b * factor held, interpolated between the two nearest bands.

    Args:
        log_mel: shape = (B, M, F).
        factors: one for each clip, shape = (B,).
    """
    clips, bands, _ = log_mel.shape
    places = (torch.arange(bands, device=log_mel.device) * factors.unsqueeze(1)).clamp(max=bands - 1)
    below = places.long()
    share = (places - below).to(log_mel.dtype).unsqueeze(2)
    first = torch.arange(clips, device=log_mel.device).unsqueeze(1) * bands
    rows = log_mel.flatten(0, 1)
    lower, upper = (
        rows.index_select(0, (first + band).flatten()).view_as(log_mel)
        for band in (below, (below + 1).clamp(max=bands - 1))
    )
    return lower.lerp_(upper, share)


def inside(spans: torch.Tensor, length: int) -> torch.Tensor:
    """Which places lie in a span, shape = (B, length), from starts and ends in turn, shape = (B, 2 * spans)."""
    places = torch.arange(length, device=spans.device, dtype=spans.dtype)
    starts, ends = spans[:, 0::2, None], spans[:, 1::2, None]
    return ((places >= starts) & (places < ends)).any(dim=1)


def _span(rng: np.random.Generator, widest: int, length: int) -> tuple[int, int]:
    """Start and end of a mask of 0 to `widest` places that starts inside `length` and ends there if it fits."""
    width = int(rng.integers(0, widest + 1))
    start = int(rng.integers(0, max(length - width, 0) + 1))
    return start, start + width
