"""Contract: log-mel equals transformers' extractor, and a clip's features depend on the clip alone."""

import numpy as np
import pytest
import torch
from transformers import WhisperFeatureExtractor

from asr.errors import UserError
from asr.features import HOP, Edges, LogMel, padded_wave
from asr.pcm import SAMPLE_RATE, Pcm16
from tests.models import tone

EDGES = Edges((1.0, 2.0, 3.0), tail=0.1)


def noise(seconds: float, seed: int) -> Pcm16:
    samples = np.random.default_rng(seed).normal(0, 3000, round(seconds * SAMPLE_RATE))
    return samples.clip(-32767, 32767).astype(np.int16)


@pytest.mark.parametrize("bands", [80, 128])
@pytest.mark.parametrize("clip", [noise(1.0, 1), noise(2.37, 2), tone(0.5), tone(3.0, 3000)], ids=len)
def test_log_mel_equals_the_extractors_within_1e_6(clip: Pcm16, bands: int) -> None:
    clip = clip[: len(clip) - len(clip) % HOP]
    extractor = WhisperFeatureExtractor(feature_size=bands)
    wanted = extractor(
        clip.astype(np.float32) / 32768, sampling_rate=SAMPLE_RATE, padding="longest", return_tensors="pt"
    ).input_features
    found = LogMel(bands)(padded_wave([clip], len(clip)))
    assert found.shape == wanted.shape
    assert torch.allclose(found, wanted, atol=1e-6, rtol=0)


def test_a_batch_gives_what_each_clip_gives_alone() -> None:
    clips, log_mel = [noise(0.7, 1), tone(1.9), noise(1.5, 3)], LogMel(80)
    together = log_mel(padded_wave(clips, 2 * SAMPLE_RATE))
    for clip, row in zip(clips, together, strict=True):
        assert torch.allclose(log_mel(padded_wave([clip], 2 * SAMPLE_RATE))[0], row, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("seconds", "edge"),
    [(0.1, 0), (0.9, 0), (0.91, 1), (1.0, 1), (1.9, 1), (1.95, 2), (2.9, 2), (2.95, 2), (3.0, 2)],
)
def test_a_clip_goes_to_the_first_edge_that_leaves_its_tail(seconds: float, edge: int) -> None:
    assert EDGES.index(round(seconds * SAMPLE_RATE)) == edge


def test_a_clip_beyond_the_last_edge_is_refused_with_the_remedy() -> None:
    with pytest.raises(UserError, match=r"3\.01 s is longer than the last edge \(3 s\).*features\.edges"):
        EDGES.index(round(3.01 * SAMPLE_RATE))


def test_an_edge_is_a_whole_number_of_encoder_positions() -> None:
    edges = Edges((0.77, 1.013, 2.5), tail=0.0)
    assert all(edges.padded_samples(index) % (2 * HOP) == 0 for index in range(3))


def test_the_tail_is_true_silence() -> None:
    wave = padded_wave([tone(0.5)], SAMPLE_RATE)
    assert wave[0, : SAMPLE_RATE // 2].abs().max() > 0.4
    assert not wave[0, SAMPLE_RATE // 2 :].any()
