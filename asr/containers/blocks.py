"""Decoded blocks become one channel, and what the channels were like is added up on the way."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr.pcm import AudioError

MAX_GAP_DB = 120.0
CONSTANT = 1e-12
"""Variance below which a channel holds nothing: -120 dB of full scale."""
ONE_STEP = 1 / 32_768
"""One step beyond full scale is what int16 / 32767 makes of -32768; rounding saturates it without harm."""


@dataclass
class Mixer:
    """The mean of the channels, block by block; and their levels and correlation."""

    channels: int
    _parts: list[NDArray[Any]] = field(default_factory=list)
    frames: int = 0
    _sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros(1))
    _products: NDArray[np.float64] = field(default_factory=lambda: np.zeros((1, 1)))

    def add(self, block: NDArray[Any]) -> None:
        """Adds samples, shape = (frames, channels); see `floats` for their scale."""
        self.frames += len(block)
        if self.channels == 1:
            self._parts.append(block[:, 0])
            return
        scaled = floats(block)
        self._parts.append(scaled.mean(axis=1, dtype=np.float32))
        wide = scaled.astype(np.float64)
        self._sums = self._sums + wide.sum(axis=0)
        self._products = self._products + wide.T @ wide

    def mono(self) -> NDArray[Any]:
        """All samples so far, shape = (frames,), as they came where there is one channel; else as float32."""
        return np.concatenate(self._parts) if self._parts else np.zeros(0, np.float32)

    def _covariance(self) -> NDArray[np.float64]:
        """Shape = (channels, channels)."""
        means = self._sums / self.frames
        covariance: NDArray[np.float64] = self._products / self.frames - np.outer(means, means)
        return covariance

    def correlation(self) -> float:
        """The smallest Pearson correlation of the first channel with another; 1 where either is constant."""
        if self.channels == 1 or not self.frames:
            return 1.0
        covariance = self._covariance()
        variances = covariance.diagonal()
        if variances[0] < CONSTANT:
            return 1.0
        pairs = [covariance[0, k] / math.sqrt(variances[0] * v) for k, v in enumerate(variances) if v >= CONSTANT]
        return round(float(np.clip(min(pairs), -1, 1)), 6)

    def gap_db(self) -> float:
        """Level of the loudest channel over the quietest one (dB), without their offsets."""
        if self.channels == 1 or not self.frames:
            return 0.0
        variances = self._covariance().diagonal()
        loudest, quietest = float(variances.max()), float(variances.min())
        if quietest < CONSTANT:
            return MAX_GAP_DB if loudest >= CONSTANT else 0.0
        return round(min(MAX_GAP_DB, 10 * math.log10(loudest / quietest)), 3)


@dataclass
class FloatCheck:
    """What only files of floats can hold: NaN, infinity, magnitudes beyond full scale."""

    bad: int = 0
    peak: float = 0.0

    def add(self, block: NDArray[np.floating]) -> None:
        """Looks at samples of any shape but empty ones."""
        low, high = float(block.min()), float(block.max())  # a NaN anywhere makes both NaN
        if not (math.isfinite(low) and math.isfinite(high)):
            self.bad += int(block.size - np.count_nonzero(np.isfinite(block)))
        self.peak = max(self.peak, -low, high)

    def judge(self) -> None:
        """Raises AudioError if there was anything of the kind: mending it would be guessing."""
        if self.bad:
            raise AudioError("signal.nonfinite", f"{self.bad} samples are NaN or infinite")
        if self.peak > 1 + ONE_STEP:
            raise AudioError("signal.out_of_range", f"largest sample {self.peak:g}; full scale is 1")


def floats(samples: NDArray[Any]) -> NDArray[np.float32]:
    """The same samples with full scale = 1: integers are scaled by their own width."""
    if np.issubdtype(samples.dtype, np.integer):
        return samples.astype(np.float32) * np.float32(2.0 ** (1 - 8 * samples.dtype.itemsize))
    with np.errstate(over="ignore"):  # `FloatCheck` has seen what is beyond float32
        return samples.astype(np.float32, copy=False)


def packed(block: NDArray[np.integer], bits: int) -> bytes:
    """Samples as FLAC hashes them: little-endian, interleaved, in whole bytes; `block` is scaled to its own width."""
    if bits == 8 * block.dtype.itemsize:
        return block.astype(block.dtype.newbyteorder("<"), copy=False).tobytes()
    narrow = (block >> (8 * block.dtype.itemsize - bits)).astype("<i4")
    return narrow.view(np.uint8).reshape(-1, 4)[:, : -(-bits // 8)].tobytes()
