"""From samples to log-mel, at lengths that depend on the clip alone.

Whisper pads every clip to 30 s. Here a clip is padded with true silence to the next of a few fixed
edges: shapes are static, no masks are needed, and a clip's features never depend on its neighbours
in a batch.

Everything works on whole batches. On a CPU a batch is computed in groups of clips so small that memory is used
again: fetching new memory takes longer than the arithmetic. Elsewhere it is computed in one go, since there each
operation has a cost of its own.

Letters: B clips, S samples, M mel bands, F frames (100 a second).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from transformers.audio_utils import mel_filter_bank

from asr.corpus.edges import POSITIONS_PER_SECOND, edge_indices
from asr.pcm import SAMPLE_RATE, Pcm16

N_FFT = 400
"""Samples of one analysis window: 25 ms."""
HOP = 160
"""Samples from one frame to the next: 10 ms."""
DYNAMIC_RANGE = 8.0
"""Decades of power kept below a clip's own peak."""
BLOCKS = 4
"""Parts of the product with the filters on a CPU."""
CPU_FRAMES = 1500
"""Frames computed together on a CPU, unless one clip has more. Measured: anything from 1,000 to 2,500 is as fast;
with 10,000 each frame takes 1.5 to 3 times as long."""


@dataclass(frozen=True)
class Edges:
    """The fixed lengths of the model's inputs."""

    seconds: tuple[float, ...]
    """Rising; the last is the longest input."""
    tail: float
    """Seconds of silence that a clip should have after it; waived at the last edge."""

    def index(self, samples: int) -> int:
        """Which edge a clip of `samples` samples is padded to.

        Raises:
            UserError: the clip is longer than the last edge.
        """
        return int(edge_indices(np.array([samples]), self.seconds, self.tail)[0])

    def padded_samples(self, index: int) -> int:
        """Samples at edge `index`, a whole number of encoder positions."""
        return round(self.seconds[index] * POSITIONS_PER_SECOND) * 2 * HOP


class LogMel(torch.nn.Module):
    """Whisper's log-mel spectrogram, batched and without padding to 30 s.

    Equal to `WhisperFeatureExtractor(padding="longest")` on the same samples.
    """

    filters: torch.Tensor
    """Shape = (M, N_FFT / 2 + 1)."""
    window: torch.Tensor
    """Shape = (N_FFT,)."""

    def __init__(self, mel_bands: int) -> None:
        super().__init__()
        filters = mel_filter_bank(
            1 + N_FFT // 2, mel_bands, 0.0, 8000.0, SAMPLE_RATE, norm="slaney", mel_scale="slaney"
        )
        self.register_buffer("filters", torch.from_numpy(filters.T).float(), persistent=False)
        self.register_buffer("window", torch.hann_window(N_FFT), persistent=False)
        self.blocks = _blocks(self.filters)

    def forward(self, wave: torch.Tensor) -> torch.Tensor:
        """Features of shape = (B, M, F) from a wave of shape = (B, S), full scale = 1, S a multiple of `HOP`."""
        return by_groups(self._group, wave.shape[1] // HOP, wave)

    def _group(self, wave: torch.Tensor) -> torch.Tensor:
        spectrum = torch.stft(wave, N_FFT, HOP, window=self.window, return_complex=True)
        spectrum = spectrum[..., :-1]  # the last frame is centred behind the clip: Whisper drops it
        power = spectrum.real.square() + spectrum.imag.square()  # abs() would take a root that is squared again
        log_mel = torch.clamp(self._bands(power), min=1e-10).log10()
        peak = log_mel.amax(dim=(1, 2), keepdim=True)
        return (torch.maximum(log_mel, peak - DYNAMIC_RANGE) + 4.0) / 4.0

    def _bands(self, power: torch.Tensor) -> torch.Tensor:
        """Power in mel bands, shape = (B, M, F)."""
        if power.is_cuda:  # TF32 and autocast would keep 10 or 7 bits of a float32 product
            return (self.filters.double() @ power.double()).float()
        return torch.cat([self.filters[bands, bins] @ power[:, bins] for bands, bins in self.blocks], dim=1)


def _blocks(filters: torch.Tensor) -> list[tuple[slice, slice]]:
    """Groups of neighbouring bands, each with the bins outside which its filters are 0: a third of the product."""
    blocks = []
    for bands in torch.arange(len(filters)).chunk(BLOCKS):
        first, end = int(bands[0]), int(bands[-1]) + 1
        bins = filters[first:end].any(dim=0).nonzero()
        blocks.append((slice(first, end), slice(int(bins.min()), int(bins.max()) + 1)))
    return blocks


def by_groups(call: Callable[..., torch.Tensor], frames: int, *batch: torch.Tensor) -> torch.Tensor:
    """What `call` makes of a batch, computed in groups of clips on a CPU.

    Args:
        call: takes a part of each tensor and gives one tensor; each clip's part must follow from that clip alone.
        frames: of each clip.
        batch: tensors whose first dimension are the clips.
    """
    clips = max(1, CPU_FRAMES // max(1, frames)) if batch[0].device.type == "cpu" else len(batch[0])
    if clips >= len(batch[0]):
        return call(*batch)
    return torch.cat([call(*parts) for parts in zip(*(torch.split(tensor, clips) for tensor in batch), strict=True)])


def padded_wave(clips: Sequence[Pcm16], samples: int) -> torch.Tensor:
    """The clips with a tail of true silence, full scale = 1, shape = (B, samples)."""
    wave = np.zeros((len(clips), samples), np.float32)
    for row, clip in zip(wave, clips, strict=True):
        row[: len(clip)] = clip
    return torch.from_numpy(wave).div_(32768.0)
