"""Contract: an unpadded Whisper is a plain Whisper in its weights, its files and, at full length, its numbers."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import GenerationMixin, WhisperForConditionalGeneration, pipeline

from asr.errors import UserError
from asr.models.build import SpeechModel, build, load, save
from asr.models.tokenizer import prefix_ids
from asr.models.whisper import UnpaddedEncoder
from asr.params import ModelParams
from asr.pcm import SAMPLE_RATE
from tests.models import FEATURES, tiny_model, tone


@pytest.fixture
def saved(tmp_path: Path) -> tuple[SpeechModel, Path]:
    torch.manual_seed(1)
    model = tiny_model()
    model.network.eval()
    save(model, tmp_path, {"note": "test"})
    return model, tmp_path


def features(frames: int) -> torch.Tensor:
    return torch.randn(2, 80, frames, generator=torch.Generator().manual_seed(3))


def test_at_full_length_the_encoder_gives_exactly_what_plain_whisper_gives(saved: tuple[SpeechModel, Path]) -> None:
    model, folder = saved
    plain = WhisperForConditionalGeneration.from_pretrained(folder)
    mel = features(300)
    assert torch.equal(model.network.get_encoder()(mel)[0], plain.get_encoder().eval()(mel)[0])


@pytest.mark.parametrize("frames", [2, 100, 150, 298])
def test_shorter_input_gives_a_position_for_every_two_frames(frames: int) -> None:
    encoded = tiny_model().network.get_encoder()(features(frames)).last_hidden_state
    assert encoded.shape == (2, frames // 2, 16)


def test_plain_whisper_refuses_what_the_unpadded_one_accepts(saved: tuple[SpeechModel, Path]) -> None:
    plain = WhisperForConditionalGeneration.from_pretrained(saved[1])
    with pytest.raises(ValueError, match="expects the mel input features"):
        plain.get_encoder()(features(100))


def test_input_beyond_the_position_table_is_refused() -> None:
    with pytest.raises(UserError, match="151 encoder positions, but the model has 150"):
        tiny_model().network.get_encoder()(features(302))


def test_weights_survive_saving_and_loading_bit_for_bit(saved: tuple[SpeechModel, Path]) -> None:
    model, folder = saved
    loaded = load(folder)
    assert isinstance(loaded.network.model.encoder, UnpaddedEncoder)
    assert loaded.edges == model.edges
    assert loaded.language == "az"
    before, after = model.network.state_dict(), loaded.network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_saving_twice_gives_the_same_bytes(
    saved: tuple[SpeechModel, Path], tmp_path_factory: pytest.TempPathFactory
) -> None:
    model, folder = saved
    again = tmp_path_factory.mktemp("again")
    save(model, again, {"note": "test"})
    for path in sorted(folder.iterdir()):
        assert path.read_bytes() == (again / path.name).read_bytes(), path.name


def test_the_model_directory_is_complete_and_names_a_plain_whisper(saved: tuple[SpeechModel, Path]) -> None:
    names = {path.name for path in saved[1].iterdir()}
    wanted = {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "experiment.json"}
    assert wanted | {"tokenizer_config.json", "preprocessor_config.json"} <= names
    config = json.loads((saved[1] / "config.json").read_text(encoding="utf-8"))
    assert config["architectures"] == ["WhisperForConditionalGeneration"]
    assert not any(path.suffix in {".bin", ".pt", ".pkl"} for path in saved[1].iterdir())


def test_the_directory_works_in_transformers_pipeline(saved: tuple[SpeechModel, Path]) -> None:
    recognise = pipeline("automatic-speech-recognition", model=str(saved[1]), device="cpu")
    audio = tone(1.0).astype(np.float32) / 32768
    output = recognise({"raw": audio, "sampling_rate": SAMPLE_RATE}, generate_kwargs={"max_new_tokens": 5})
    assert isinstance(output["text"], str)


def test_stock_generation_starts_from_the_prefix_that_training_used(
    saved: tuple[SpeechModel, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[list[list[int]]] = []
    generate = GenerationMixin.generate

    def spy(self: GenerationMixin, *arguments: object, **named: object) -> object:
        given.append(named["decoder_input_ids"].tolist())
        return generate(self, *arguments, **named)

    monkeypatch.setattr(GenerationMixin, "generate", spy)
    plain = WhisperForConditionalGeneration.from_pretrained(saved[1])
    plain.generate(features(300), max_new_tokens=3)
    assert given == [[prefix_ids(saved[0].tokenizer, "az")] * 2]


def test_the_generation_config_knows_language_task_and_all_language_ids(saved: tuple[SpeechModel, Path]) -> None:
    config = json.loads((saved[1] / "generation_config.json").read_text(encoding="utf-8"))
    assert (config["language"], config["task"], config["is_multilingual"]) == ("az", "transcribe", True)
    _, language, task, no_timestamps = prefix_ids(saved[0].tokenizer, "az")
    assert config["lang_to_id"]["<|az|>"] == language
    assert config["task_to_id"]["transcribe"] == task
    assert config["no_timestamps_token_id"] == no_timestamps


def test_a_saved_model_can_be_the_base_of_another(saved: tuple[SpeechModel, Path]) -> None:
    model, folder = saved
    base = ModelParams("whisper", str(folder), None, 270, 16, 1, 1, 2, 32, 0.0)
    tuned = build(base, FEATURES, "az", [])
    mel = features(100)
    assert torch.equal(tuned.network.eval().get_encoder()(mel)[0], model.network.get_encoder()(mel)[0])
    assert prefix_ids(tuned.tokenizer, "az") == prefix_ids(model.tokenizer, "az")


@pytest.mark.parametrize("longest", [2.0, 5.0])
def test_a_base_model_whose_window_is_not_the_longest_edge_is_refused(
    longest: float, saved: tuple[SpeechModel, Path]
) -> None:
    base = ModelParams("whisper", str(saved[1]), None, 270, 16, 1, 1, 2, 32, 0.0)
    with pytest.raises(UserError, match=rf"features\.longest = {longest:g}: this model's window is 3 s"):
        build(base, replace(FEATURES, edges=None, longest=longest), "az", [])


def test_a_base_model_that_is_not_there_is_named_with_the_remedy(tmp_path: Path) -> None:
    base = ModelParams("whisper", str(tmp_path / "nothing"), None, 270, 16, 1, 1, 2, 32, 0.0)
    with pytest.raises(UserError, match=r"model\.name = .*cannot be loaded.*put its folder's path in model\.name"):
        build(base, FEATURES, "az", [])


def test_two_models_from_one_seed_are_equal_and_from_two_seeds_are_not() -> None:
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return tiny_model().network.model.encoder.conv1.weight

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_an_empty_transcript_is_not_forbidden(saved: tuple[SpeechModel, Path]) -> None:
    config = load(saved[1]).network.generation_config
    assert config.begin_suppress_tokens is None
    assert getattr(config, "forced_decoder_ids", None) is None


def test_the_position_table_stays_whole() -> None:
    assert tiny_model().network.model.encoder.embed_positions.weight.shape == (150, 16)
