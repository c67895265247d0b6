"""Contract: augmentation changes a clip by its own seed and by no more than the parameters allow."""

from dataclasses import replace

import pytest
import torch

from asr.training.augment import Augment, warped

ALL = Augment(time_masks=2, time_mask_frames=30, frequency_masks=2, frequency_mask_bands=15, warp=0.1)
NONE = Augment(0, 30, 0, 15, 0.0)


def mel(clips: int = 1, frames: int = 200) -> torch.Tensor:
    return torch.randn(clips, 80, frames, generator=torch.Generator().manual_seed(1))


def test_a_clip_is_changed_by_its_own_seed_and_not_by_its_neighbours() -> None:
    batch = mel(3)
    together = ALL(batch, [200, 150, 100], [1, 2, 3])
    assert together.shape == batch.shape
    assert torch.equal(ALL(batch[1:2], [150], [2])[0], together[1])
    assert not torch.equal(ALL(batch[1:2], [150], [5])[0], together[1])


def test_no_augmentation_changes_nothing() -> None:
    assert torch.equal(NONE(mel(2), [200, 50], [1, 2]), mel(2))


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


def test_masked_values_are_the_clips_mean() -> None:
    masked = replace(NONE, time_masks=1)(mel(), [200], [3])[0]
    changed = masked != mel()[0]
    assert changed.any()
    assert torch.allclose(masked[changed], mel().mean())


@pytest.mark.parametrize(("factor", "moved_to"), [(1.0, 40), (0.8, 50), (1.25, 32)])
def test_a_stretch_moves_a_band_in_proportion_to_its_height(factor: float, moved_to: int) -> None:
    tone = torch.zeros(80, 3)
    tone[40] = 1.0
    assert warped(tone, factor).argmax(dim=0).tolist() == [moved_to] * 3


def test_a_stretch_of_one_changes_nothing_and_others_keep_the_range() -> None:
    clip = mel()[0]
    assert torch.equal(warped(clip, 1.0), clip)
    for factor in (0.9, 1.1):
        assert warped(clip, factor).max() <= clip.max()
        assert warped(clip, factor).min() >= clip.min()
