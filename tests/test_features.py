"""Contract: log-mel equals transformers' extractor, and a clip's features depend on the clip alone."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import WhisperFeatureExtractor

from asr.errors import UserError
from asr.features import CPU_FRAMES, HOP, Edges, LogMel, by_groups, padded_wave
from asr.pcm import SAMPLE_RATE, Pcm16
from tests.models import tone

EDGES = Edges((1.0, 2.0, 3.0), tail=0.1)


def noise(seconds: float, seed: int) -> Pcm16:
    samples = np.random.default_rng(seed).normal(0, 3000, round(seconds * SAMPLE_RATE))
    return samples.clip(-32767, 32767).astype(np.int16)


def one_sample(seconds: float) -> Pcm16:
    clip = np.zeros(round(seconds * SAMPLE_RATE), np.int16)
    clip[len(clip) // 2] = 1
    return clip


LEVELS = {
    "silence": lambda seconds: np.zeros(round(seconds * SAMPLE_RATE), np.int16),
    "one sample": one_sample,
    "quiet": lambda seconds: noise(seconds, 1) // 1000,
    "noise": lambda seconds: noise(seconds, 2),
    "tone": tone,
    "square at full scale": lambda seconds: np.where(tone(seconds, 1000.0) < 0, -32768, 32767).astype(np.int16),
}


def extracted(wave: torch.Tensor, bands: int = 80) -> torch.Tensor:
    """The reference: transformers' extractor on the same samples, silence included."""
    extractor = WhisperFeatureExtractor(feature_size=bands)
    found = extractor(list(wave.numpy()), sampling_rate=SAMPLE_RATE, padding="longest", return_tensors="pt")
    return found.input_features


def distance(found: torch.Tensor, wanted: torch.Tensor) -> float:
    assert found.shape == wanted.shape
    return float((found - wanted).abs().max())


@pytest.mark.parametrize("bands", [80, 128])
@pytest.mark.parametrize(("seconds", "edge"), [(0.02, 0.02), (0.03, 0.1), (0.99, 1.0), (3.42, 3.5), (15.5, 15.8)])
@pytest.mark.parametrize("level", LEVELS)
def test_log_mel_equals_the_extractors_within_1e_6(level: str, seconds: float, edge: float, bands: int) -> None:
    wave = padded_wave([LEVELS[level](seconds)], round(edge * SAMPLE_RATE))
    assert distance(LogMel(bands)(wave), extracted(wave, bands)) <= 1e-6


@pytest.mark.parametrize("clips", [1, 2, 7, 33])
def test_a_batch_equals_the_extractors_within_1e_6(clips: int) -> None:
    levels = list(LEVELS.values())
    wave = padded_wave([levels[i % len(levels)](1.0 + i / 40) for i in range(clips)], 2 * SAMPLE_RATE)
    assert distance(LogMel(80)(wave), extracted(wave)) <= 1e-6


def test_thirty_seconds_equal_the_extractors_default() -> None:
    clip = noise(29.7, 4)
    default = WhisperFeatureExtractor()(clip / 32768, sampling_rate=SAMPLE_RATE, return_tensors="pt").input_features
    assert distance(LogMel(80)(padded_wave([clip], 30 * SAMPLE_RATE)), default) <= 1e-6


@settings(max_examples=25, deadline=None)
@given(
    positions=st.integers(1, 60),
    clips=st.lists(st.tuples(st.integers(0, 32767), st.floats(0, 1), st.integers(0, 9)), min_size=1, max_size=6),
)
def test_any_batch_equals_the_extractors_and_its_clips_alone(
    positions: int, clips: list[tuple[int, float, int]]
) -> None:
    samples = positions * 2 * HOP
    waves = [
        np.random.default_rng(seed).integers(-peak - 1, peak + 1, round(share * samples)).astype(np.int16)
        for peak, share, seed in clips
    ]
    batch, log_mel = padded_wave(waves, samples), LogMel(80)
    found = log_mel(batch)
    assert distance(found, extracted(batch)) <= 1e-6
    assert torch.equal(found, torch.cat([log_mel(clip.unsqueeze(0)) for clip in batch]))


@pytest.mark.parametrize("frames", [1, 500, 100_000])
def test_a_batch_gives_what_each_clip_gives_alone_to_the_last_bit(frames: int, monkeypatch: pytest.MonkeyPatch) -> None:
    clips, log_mel = [noise(0.7, 1), tone(1.9), noise(1.5, 3), one_sample(0.2), tone(0.1)] * 3, LogMel(80)
    monkeypatch.setattr("asr.features.CPU_FRAMES", frames)
    together = log_mel(padded_wave(clips, 2 * SAMPLE_RATE))
    assert together.is_contiguous()
    for clip, row in zip(clips, together, strict=True):
        assert torch.equal(log_mel(padded_wave([clip], 2 * SAMPLE_RATE))[0], row)


def test_a_peak_shared_by_neighbours_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    original = torch.Tensor.amax
    monkeypatch.setattr(torch.Tensor, "amax", lambda tensor, **_: original(tensor))
    batch = padded_wave([noise(1.0, 1), one_sample(1.0)], SAMPLE_RATE)
    assert distance(LogMel(80)(batch), extracted(batch)) > 1e-3


@pytest.mark.parametrize("bands", [80, 128])
def test_blocks_hold_every_filter_whole_with_a_third_of_the_products(bands: int) -> None:
    log_mel = LogMel(bands)
    assert [i for rows, _ in log_mel.blocks for i in range(bands)[rows]] == list(range(bands))
    for rows, bins in log_mel.blocks:
        assert torch.count_nonzero(log_mel.filters[rows, bins]) == torch.count_nonzero(log_mel.filters[rows])
    assert sum(log_mel.filters[block].numel() for block in log_mel.blocks) < 0.4 * log_mel.filters.numel()


def test_groups_hold_every_clip_once_in_order_and_no_more_frames_than_said() -> None:
    sizes = []

    def call(clips: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        sizes.append(len(clips))
        assert torch.equal(other, -clips)
        return 2 * clips

    batch = torch.arange(11)
    assert torch.equal(by_groups(call, CPU_FRAMES // 4, batch, -batch), 2 * batch)
    assert sizes == [4, 4, 3]


@pytest.mark.parametrize(("frames", "device", "groups"), [(CPU_FRAMES + 1, "cpu", 3), (1, "cpu", 1), (9999, "meta", 1)])
def test_a_long_clip_is_a_group_of_its_own_and_an_accelerator_has_one_group(
    frames: int, device: str, groups: int
) -> None:
    sizes = []
    by_groups(lambda clips: sizes.append(len(clips)) or clips, frames, torch.zeros(3, device=device))
    assert len(sizes) == groups


@pytest.mark.parametrize(
    ("seconds", "edge"),
    [(0.1, 0), (0.9, 0), (0.91, 1), (1.0, 1), (1.9, 1), (1.95, 2), (2.9, 2), (2.95, 2), (3.0, 2)],
)
def test_a_clip_goes_to_the_first_edge_that_leaves_its_tail(seconds: float, edge: int) -> None:
    assert EDGES.index(round(seconds * SAMPLE_RATE)) == edge


def test_a_clip_beyond_the_last_edge_is_refused_with_the_remedy() -> None:
    with pytest.raises(UserError, match=r"3\.01 s is longer than the last edge \(3 s\).*features\.longest"):
        EDGES.index(round(3.01 * SAMPLE_RATE))


def test_an_edge_is_a_whole_number_of_encoder_positions() -> None:
    edges = Edges((0.77, 1.013, 2.5), tail=0.0)
    assert all(edges.padded_samples(index) % (2 * HOP) == 0 for index in range(3))


def test_the_tail_is_true_silence() -> None:
    wave = padded_wave([tone(0.5)], SAMPLE_RATE)
    assert wave[0, : SAMPLE_RATE // 2].abs().max() > 0.4
    assert not wave[0, SAMPLE_RATE // 2 :].any()
