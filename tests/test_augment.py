"""Contract: augmentation changes a clip by its own seed and by no more than the parameters allow."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from asr.training.augment import Augment, inside, warped

ALL = Augment(time_masks=2, time_mask_frames=30, frequency_masks=2, frequency_mask_bands=15, warp=0.1)
NONE = Augment(0, 30, 0, 15, 0.0)


def mel(clips: int = 1, frames: int = 200) -> torch.Tensor:
    return torch.randn(clips, 80, frames, generator=torch.Generator().manual_seed(1))


def one_by_one(augment: Augment, clip: torch.Tensor, frames: int, seed: int) -> np.ndarray:
    """The oracle: a clip alone, one choice after the other, in float64."""
    rng, values = np.random.default_rng(seed), clip.double().numpy()
    bands = np.arange(len(values))
    if augment.warp:
        places = bands * (1.0 + rng.uniform(-augment.warp, augment.warp))
        values = np.stack([np.interp(places, bands, column) for column in values.T], axis=1)
    masked = np.zeros(values.shape, bool)
    for _ in range(augment.time_masks):
        width = rng.integers(0, min(augment.time_mask_frames, frames // 4) + 1)
        start = rng.integers(0, max(frames - width, 0) + 1)
        masked[:, start : start + width] = True
    for _ in range(augment.frequency_masks):
        width = rng.integers(0, augment.frequency_mask_bands + 1)
        start = rng.integers(0, len(values) - width + 1)
        masked[start : start + width] = True
    return np.where(masked, values.mean(), values)


class Counter(TorchDispatchMode):
    """Counts tensor operations."""

    calls = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # torch's signature
        self.calls += 1
        return func(*args, **(kwargs or {}))


def operations(call: Callable[..., object], clips: int) -> int:
    """Tensor operations for a batch on a device that is no CPU; it computes shapes only."""
    batch = torch.zeros(clips, 80, 300, device="meta")
    with Counter() as counter:
        call(batch, [300] * clips, list(range(clips)))
    return counter.calls


@pytest.mark.parametrize(
    "augment",
    [ALL, replace(ALL, warp=0.0), replace(ALL, time_masks=0), replace(ALL, frequency_masks=0), replace(NONE, warp=0.3)],
)
@pytest.mark.parametrize("frames", [3, 343, 1600])
def test_a_batch_is_changed_as_its_clips_would_be_one_by_one(augment: Augment, frames: int) -> None:
    batch, lengths, seeds = mel(5, frames), [max(frames - i, 0) for i in range(5)], [3, 2**62, 5, 6, 7]
    found = augment(batch, lengths, seeds)
    for row, clip, length, seed in zip(found, batch, lengths, seeds, strict=True):
        np.testing.assert_allclose(row.numpy(), one_by_one(augment, clip, length, seed), atol=2e-4)


@pytest.mark.parametrize("clips", [1, 2, 9, 33])
def test_a_clip_is_changed_by_its_own_seed_and_not_by_its_neighbours_to_the_last_bit(clips: int) -> None:
    batch, lengths, seeds = mel(clips, 343), [343 - i for i in range(clips)], [7 + i for i in range(clips)]
    together = ALL(batch, lengths, seeds)
    assert together.shape == batch.shape
    for i in range(clips):
        assert torch.equal(ALL(batch[i : i + 1], [lengths[i]], [seeds[i]])[0], together[i])
    assert not torch.equal(ALL(batch[:1], lengths[:1], [5])[0], together[0])


def test_on_an_accelerator_the_number_of_operations_does_not_grow_with_the_batch() -> None:
    assert operations(ALL, 2) == operations(ALL, 64) < 80

    def one_at_a_time(batch: torch.Tensor, frames: list[int], seeds: list[int]) -> None:
        for i in range(len(batch)):
            ALL(batch[i : i + 1], frames[i : i + 1], seeds[i : i + 1])

    assert operations(one_at_a_time, 64) > 10 * operations(one_at_a_time, 2), "a loop over clips is noticed"


def test_no_augmentation_changes_nothing() -> None:
    assert torch.equal(NONE(mel(2), [200, 50], [1, 2]), mel(2))


def test_the_input_is_left_as_it_was() -> None:
    for augment in (ALL, replace(ALL, warp=0.0), NONE):
        batch = mel(2)
        augment(batch, [200, 50], [1, 2])[:] = 0.0
        assert torch.equal(batch, mel(2))


def test_masks_are_no_wider_than_the_parameters_say_and_start_inside_the_clip() -> None:
    time, frequency = replace(NONE, time_masks=1), replace(NONE, frequency_masks=1)
    widths = set()
    for seed in range(50):
        columns = (time(mel(), [100], [seed]) != mel())[0].any(dim=0).nonzero().flatten()
        rows = (frequency(mel(), [100], [seed]) != mel())[0].any(dim=1)
        assert len(columns) <= 25, "a quarter of 100 frames is less than the 30 allowed"
        assert not len(columns) or columns.max() < 100
        assert rows.sum() <= 15
        widths.add(len(columns))
    assert len(widths) > 10


def test_masked_values_are_the_clips_own_mean() -> None:
    masked = replace(NONE, time_masks=1)(torch.cat([mel(), mel() + 5.0]), [200, 200], [3, 3])
    for row, clip in zip(masked, (mel()[0], mel()[0] + 5.0), strict=True):
        changed = row != clip
        assert changed.any()
        assert torch.allclose(row[changed], clip.mean())


def test_a_mask_holds_its_start_and_not_its_end() -> None:
    spans = torch.tensor([[1.0, 3.0, 4.0, 4.0], [0.0, 1.0, 3.0, 9.0]])
    assert inside(spans, 5).int().tolist() == [[0, 1, 1, 0, 0], [1, 0, 0, 1, 1]]
    assert not inside(torch.zeros(2, 0), 5).any()


def test_values_keep_their_format() -> None:
    for dtype in (torch.float64, torch.bfloat16):
        assert ALL(mel(2).to(dtype), [200, 50], [1, 2]).dtype == dtype


@pytest.mark.parametrize(("factor", "moved_to"), [(1.0, 40), (0.8, 50), (1.25, 32)])
def test_a_stretch_moves_a_band_in_proportion_to_its_height(factor: float, moved_to: int) -> None:
    tone = torch.zeros(2, 80, 3)
    tone[1, 40] = 1.0
    stretched = warped(tone, torch.tensor([1.1, factor]))
    assert not stretched[0].any()
    assert stretched[1].argmax(dim=0).tolist() == [moved_to] * 3


def test_a_stretch_of_one_changes_nothing_and_others_keep_the_range() -> None:
    clip = mel()
    assert torch.equal(warped(clip, torch.ones(1)), clip)
    for factor in (0.9, 1.1):
        stretched = warped(clip, torch.tensor([factor]))
        assert clip.min() <= stretched.min() < stretched.max() <= clip.max()
