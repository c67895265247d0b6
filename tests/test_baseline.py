"""Contract: the base model is scored beside the trained one on the same clips, or the metrics say why it is not."""

import json
import shutil
import socket
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants

from asr.decoding import baseline as module
from asr.decoding.baseline import base_model, base_transcriber, baseline_section, before_after
from asr.decoding.basic import basic_normalizer
from asr.decoding.generate import Transcriber
from asr.decoding.predict import Predictions
from asr.errors import UserError
from asr.features import Edges, LogMel
from asr.models.build import SpeechModel, save
from asr.pcm import Pcm16
from asr.scoring.evaluation import evaluate_pairs
from asr.scoring.skipped import Skipped
from asr.scoring.wer import Pair, Score
from asr.text import normalize
from tests.models import tiny_corpus, tiny_model

WINDOW = 3.0
"""Of the tiny models (s)."""
REVISION = "0123456789abcdef0123456789abcdef01234567"


def talkative(seed: int) -> SpeechModel:
    """Says other things to other clips; another seed says others."""
    torch.manual_seed(seed)
    model = tiny_model(dropout=0.0)
    with torch.no_grad():  # random weights this small say one token for ever; larger ones say something
        for parameter in model.network.model.decoder.parameters():
            parameter.mul_(12)
    return model


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two models."""
    folder = tmp_path_factory.mktemp("models")
    for name, seed in (("one", 4), ("other", 5)):
        (folder / name).mkdir()
        save(talkative(seed), folder / name, {})
    return folder


@pytest.fixture
def trained() -> Transcriber:
    """The weights of `one`, at the whole window."""
    model = talkative(4)
    return Transcriber(model.network, model.tokenizer, LogMel(80), Edges((WINDOW,), 0.0), "az", 1, 4)


def made_from(name: str | Path, revision: str | None = None) -> dict[str, Any]:
    """The record of a model that was trained from a base."""
    return {"language": "az", "params": {"model": {"name": str(name), "revision": revision}}}


def heard(transcriber: Transcriber, clips: Mapping[str, Pcm16]) -> Predictions:
    utterances, _ = tiny_corpus()
    texts = transcriber.transcribe([clips[item.id] for item in utterances], "t")
    pairs = [
        Pair(item.id, item.text, text.text, f"g{i % 3}", item.duration)
        for i, (item, text) in enumerate(zip(utterances, texts, strict=True))
    ]
    return Predictions(pairs, [item.capped for item in texts], evaluate_pairs(pairs, "az"))


def section(transcriber: Transcriber, experiment: Mapping[str, Any]) -> dict[str, Any]:
    clips = tiny_corpus()[1]
    return baseline_section(experiment, transcriber, clips, heard(transcriber, clips), "keep")


def test_a_model_that_training_left_as_it_was_shows_no_difference(trained: Transcriber, models: Path) -> None:
    found = section(trained, made_from(models / "one"))
    assert [found[f"wer_difference{end}"] for end in ("", "_low", "_high")] == [0, 0, 0]
    assert found["improvement"] == 0.5


def test_the_rates_are_those_of_the_base_model_itself(trained: Transcriber, models: Path) -> None:
    """What the trained model says of itself is the oracle, since both have the same weights."""
    found, own = section(trained, made_from(models / "one")), heard(trained, tiny_corpus()[1]).evaluation
    assert {**found, **own.scores.normalized.as_plain()} == found
    assert found["orthographic"] == own.scores.orthographic.as_plain()
    assert found["silence"]["clips"] == own.scores.silence.clips == 2
    assert [found["wer_low"], found["wer_high"], found["groups"]] == [own.interval.low, own.interval.high, 3]
    assert found["cer_low"] <= found["cer"] <= found["cer_high"]
    json.dumps(found, allow_nan=False)


def test_other_weights_make_a_difference(trained: Transcriber, models: Path) -> None:
    found, same = (section(trained, made_from(models / name)) for name in ("other", "one"))
    assert found["wer_difference"] == pytest.approx(same["wer"] - found["wer"])
    assert found["wer_difference"] != 0
    assert found["wer_difference_low"] <= found["wer_difference"] <= found["wer_difference_high"]


def test_the_base_model_is_decoded_at_its_window_and_otherwise_as_the_trained_one(
    trained: Transcriber, models: Path
) -> None:
    asked = replace(trained, edges=Edges((1.0, 2.0, WINDOW), 0.1), beams=3, batch_size=7, language="tr")
    base = base_transcriber(made_from(models / "other"), asked)
    assert isinstance(base, Transcriber)
    assert base.edges == Edges((WINDOW,), 0.0)
    assert (base.beams, base.batch_size, base.language) == (3, 7, "tr")
    assert base.model is not asked.model


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[object]:
    """An empty cache of the Hub, and all attempts to reach it."""
    attempts: list[object] = []

    def refuse(*args: object, **_: object) -> None:
        attempts.append(args)
        raise OSError("no network here")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return attempts


def test_a_model_of_the_hub_that_is_not_here_is_skipped_without_asking_for_it(offline: list[object]) -> None:
    found = base_model(made_from("openai/whisper-tiny", REVISION))
    assert isinstance(found, Skipped)
    assert f"`hf download openai/whisper-tiny --revision {REVISION}`" in found.reason
    assert "dvc repro -f -s evaluate" in found.reason
    assert offline == []


def cached(models: Path, hub: Path, revision: str) -> Path:
    """A model laid out as the Hub's cache has it."""
    snapshot = hub / "models--people--model" / "snapshots" / revision
    shutil.copytree(models / "one", snapshot)
    return snapshot


def test_a_model_in_the_cache_of_the_hub_is_loaded_from_there(
    offline: list[object], models: Path, tmp_path: Path
) -> None:
    cached(models, tmp_path / "hub", REVISION)
    found = base_model(made_from("people/model", REVISION))
    assert isinstance(found, SpeechModel)
    assert found.network.config.d_model == 16
    assert offline == []


def test_another_revision_in_the_cache_is_not_taken_for_the_one_that_was_trained(
    offline: list[object], models: Path, tmp_path: Path
) -> None:
    cached(models, tmp_path / "hub", REVISION[::-1])
    assert isinstance(base_model(made_from("people/model", REVISION)), Skipped)
    assert offline == []


@pytest.mark.parametrize("missing", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_folder_that_lacks_a_file_is_skipped(models: Path, tmp_path: Path, missing: str) -> None:
    """Without two of them transformers goes on with defaults of its own, and says nothing."""
    shutil.copytree(models / "one", tmp_path / "base")
    (tmp_path / "base" / missing).unlink()
    found = base_model(made_from(tmp_path / "base"))
    assert isinstance(found, Skipped)
    assert "lacks files" in found.reason


def test_a_damaged_model_is_an_error_and_no_reason_to_skip(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "one", tmp_path / "base")
    weights = tmp_path / "base" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(UserError, match="damaged"):
        base_model(made_from(tmp_path / "base"))


@pytest.mark.parametrize(
    ("experiment", "reason"),
    [
        (made_from("scratch"), "trained from scratch: there is no base model"),
        (made_from("/models/of/yesterday", REVISION), "the base model /models/of/yesterday is not in"),
        (made_from("models/of/yesterday"), "models/of/yesterday is missing"),
        ({"language": "az"}, "does not say which base model"),
    ],
    ids=["scratch", "path with a revision", "folder", "no record"],
)
def test_where_there_is_no_base_model_the_section_says_why(
    trained: Transcriber, monkeypatch: pytest.MonkeyPatch, experiment: dict[str, Any], reason: str
) -> None:
    monkeypatch.setattr(module, "score", None)  # nothing is scored
    skipped = section(trained, experiment)
    assert list(skipped) == ["skipped"]
    assert reason in skipped["skipped"]


def counted(words: int, errors: int) -> Score:
    return Score(1, words, words - errors, errors, 0, 0, 5 * words, errors)


def test_a_difference_is_trained_minus_base_over_the_clips_with_words() -> None:
    base = [counted(10, 6), counted(10, 4), replace(counted(0, 0), insertions=50)]
    trained = [counted(10, 3), counted(10, 1), replace(counted(0, 0), insertions=90)]
    found = before_after(base, trained, ["a", "b", "c"]).as_plain()
    assert [found["wer"], found["clips"], found["groups"]] == [0.5, 2, 2]
    assert found["wer_difference"] == pytest.approx(-0.3)
    assert found["improvement"] == 1


def test_scores_of_two_normalisers_are_not_compared() -> None:
    with pytest.raises(AssertionError, match="normalised alike"):
        before_after([counted(10, 1)], [counted(9, 1)], ["a"])


BASIC = [
    ("İstanbul", "i stanbul", "istanbul"),
    ("İndi elə", "i ndi elə", "indi elə"),
    ("DİL", "di l", "dil"),
    ("IŞIQ", "işiq", "ışıq"),
    ("Işıq", "işıq", "ışıq"),
    ("BAKI", "baki", "bakı"),
    ("Bakı", "bakı", "bakı"),
    ("əğıöşüç", "əğıöşüç", "əğıöşüç"),
    ("2021-ci il", "2021 ci il", "2021-ci il"),
    ("Bakı’da", "bakı da", "bakıda"),
    ("Bakı'da", "bakı da", "bakıda"),
    ("3,5 kq", "3 5 kq", "3,5 kq"),
    ("½", "1 2", "½"),
    ("5 %, 10 ₼", "5 10", "5 % 10 ₼"),
    ("Bakı (paytaxt) şəhəri", "bakı şəhəri", "bakı paytaxt şəhəri"),
    ("gəl\u00adsin", "gəl\u00adsin", "gəlsin"),
    ("s\u04d9h\u04d9r", "s\u04d9h\u04d9r", "səhər"),
]


@pytest.mark.parametrize(("text", "basic", "own"), BASIC, ids=[ascii(text) for text, *_ in BASIC])
def test_whispers_normaliser_is_what_published_figures_rest_on_and_not_ours(text: str, basic: str, own: str) -> None:
    assert basic_normalizer()(text).strip() == basic
    assert normalize(text, "az") == own
