"""Small networks and training sets for tests: random weights, a few seconds of tones."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from asr.corpus.clips import Utterance
from asr.models.build import SpeechModel, build
from asr.params import FeatureParams, ModelParams, TrainParams, load_params
from asr.pcm import SAMPLE_RATE, Pcm16

TEXTS = ("Salam, dünya.", "İşığı yandır.", "Saat üçə on dəqiqə qalıb.", "Bakıda hava küləkli olacaq.", "")
EDGES = (1.0, 2.0, 3.0)
FEATURES = FeatureParams(edges=EDGES, shapes=16, longest=3.0, tail=0.1)


def tiny_model(texts: Sequence[str] = TEXTS, **changes: object) -> SpeechModel:
    """A scratch Whisper of about 20,000 parameters."""
    params = {
        "architecture": "whisper",
        "name": "scratch",
        "revision": None,
        "vocabulary": 270,
        "d_model": 16,
        "encoder_layers": 1,
        "decoder_layers": 1,
        "attention_heads": 2,
        "feed_forward": 32,
        "dropout": 0.1,
    }
    return build(ModelParams(**{**params, **changes}), FEATURES, "az", spoken(texts))


def spoken(texts: Sequence[str]) -> list[Utterance]:
    """Clips of one second with these texts."""
    return [Utterance(f"spoken{i}", text, 1.0, "", "test", "") for i, text in enumerate(texts)]


def tone(seconds: float, hertz: float = 300.0) -> Pcm16:
    """A tone at half of full scale, shape = (samples,)."""
    times = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return np.rint(16000 * np.sin(2 * np.pi * hertz * times)).astype(np.int16)


def talkative_model(tokens: int) -> SpeechModel:
    """A tiny model with large weights: it says other things to other clips, in at most `tokens` with the prefix."""
    torch.manual_seed(2)
    speech = tiny_model(dropout=0.0, d_model=32, decoder_layers=2, feed_forward=48)
    with torch.no_grad():
        for part, scale in ((speech.network.model.encoder, 8), (speech.network.model.decoder, 16)):
            for name, weight in part.named_parameters():
                if "norm" not in name:
                    weight.mul_(scale)
    speech.network.config.max_target_positions = tokens
    return speech


def tiny_corpus(count: int = 12) -> tuple[list[Utterance], Mapping[str, Pcm16]]:
    """Utterances of 0.4 to 2.6 s with their samples by id."""
    durations = np.random.default_rng(5).uniform(0.8, 2.6, count)
    clips = {f"clip{i:02d}": tone(d, 200.0 + 40 * i) for i, d in enumerate(durations)}
    utterances = [
        Utterance(name, TEXTS[i % len(TEXTS)], len(clip) / SAMPLE_RATE, "g", "test", "")
        for i, (name, clip) in enumerate(clips.items())
    ]
    return utterances, clips


def train_params(**changes: object) -> TrainParams:
    """The smoke preset's training parameters with some changed."""
    from dataclasses import replace
    from pathlib import Path

    return replace(load_params(Path("presets/smoke.yaml")).train, **changes)
