"""Contract: clips up to Whisper's own 30 s are trained on and transcribed; beyond is a clear refusal, or long-form."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from asr.corpus.clips import Utterance
from asr.decoding.generate import Transcriber
from asr.decoding.longform import cut
from asr.errors import UserError
from asr.features import LogMel, padded_wave
from asr.models.build import SpeechModel
from asr.models.tokenizer import end_id
from asr.pcm import SAMPLE_RATE
from asr.training.batches import MicroBatch
from asr.training.data import TrainingSet
from asr.training.objective import Objective
from tests import models
from tests.factories import speech_like

EDGES = (5.0, 20.0, 25.0, 30.0)
CLIPS = {
    20.0: 2,  # with the tail beyond the edge of 20 s
    25.0: 3,
    29.95: 3,  # no room for the tail: waived at the last edge
    30.0: 3,
}
"""Edge index by seconds."""
TEXT = "saat üçə on dəqiqə qalıb " * 12
CTC = 0.3


@pytest.fixture(scope="module")
def model() -> Iterator[SpeechModel]:
    """A tiny Whisper of random weights with all 1,500 positions."""
    torch.manual_seed(2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "FEATURES", replace(models.FEATURES, edges=EDGES, longest=EDGES[-1]))
        yield models.tiny_model(dropout=0.0)


@pytest.fixture(scope="module")
def data(model: SpeechModel) -> TrainingSet:
    utterances = [Utterance(f"clip{s:g}", TEXT.strip(), s, "g", "train", "") for s in CLIPS]
    clips = {f"clip{s:g}": speech_like(s, round(s)) for s in CLIPS}
    return TrainingSet.build(utterances, clips, model.tokenizer, model.edges, "az")


@pytest.mark.parametrize("seconds", CLIPS)
def test_features_of_a_long_clip_have_the_frames_of_its_edge(model: SpeechModel, seconds: float) -> None:
    clip = speech_like(seconds)
    index = model.edges.index(len(clip))
    assert index == CLIPS[seconds]
    log_mel = LogMel(80)(padded_wave([clip], model.edges.padded_samples(index)))
    assert log_mel.shape == (1, 80, round(EDGES[index] * 100))
    assert torch.isfinite(log_mel).all()


@pytest.mark.parametrize("edge", [2, 3])
def test_long_clips_are_trained_on(model: SpeechModel, data: TrainingSet, edge: int) -> None:
    data.require_fitting_labels(model.network.config.max_target_positions, ctc=True)
    batch = MicroBatch(edge, tuple(i for i, index in enumerate(data.edge_indices()) if index == edge))
    assert batch.clips
    objective = Objective(model.network.train(), end_id(model.tokenizer), label_smoothing=0.1, ctc_weight=CTC)
    cross_entropy, ctc = objective(LogMel(80)(data.wave(batch)), data.labels(batch))
    (cross_entropy + CTC * ctc).backward()
    gradients = [p.grad for p in objective.parameters() if p.requires_grad]
    assert all(gradient is not None and torch.isfinite(gradient).all() for gradient in gradients)
    assert cross_entropy.item() > 0
    assert ctc.item() > 0
    objective.zero_grad()


def test_long_clips_are_transcribed(model: SpeechModel, data: TrainingSet) -> None:
    transcriber = Transcriber(model.network, model.tokenizer, LogMel(80), model.edges, "az", 1, 4)
    found = transcriber.transcribe([data.clips[item.id] for item in data.utterances], "t")
    assert len(found) == len(CLIPS)
    assert all(item.text or not item.capped for item in found)


def test_a_clip_beyond_the_last_edge_is_refused_with_its_length_and_the_remedy(model: SpeechModel) -> None:
    clip = speech_like(30.01)
    with pytest.raises(UserError, match=r"a clip of 30\.01 s is longer than the last edge \(30 s\): lower"):
        model.edges.index(len(clip))
    with pytest.raises(UserError, match=r"30\.01 s"):
        model.edges.index(30 * SAMPLE_RATE + 160)


def test_a_recording_beyond_the_last_edge_is_cut(model: SpeechModel) -> None:
    segments = cut(speech_like(30.01), model.edges).segments
    assert len(segments) == 2
    assert all(model.edges.index(len(segment.pcm)) <= 3 for segment in segments)
