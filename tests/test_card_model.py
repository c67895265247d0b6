"""Contract: the card of a model claims what was measured, in a form that the Hub reads, and never more."""

from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard

from asr.cards import Origin, hub_id, licence_keys
from asr.models.card import model_card
from tests.pipeline import ROOT

METRICS: dict[str, Any] = {
    "published": "best",
    "best_validation_wer": 0.23456,
    "average_validation_wer": 0.2,
    "best_step": 1500,
    "steps": 2000,
    "parameters": 241_734_912,
    "edges": [2.0, 4.5, 30.0],
    "normalizer": {"version": "az-1", "hash": "5dd0cc2fde0eb7a6"},
}
REAL = ("openai/whisper-small", "LocalDoc/azerbaijani_asr")


def made(base: str = "scratch", licence: str | None = None, corpus: str | None = None, **changes: Any) -> ModelCard:
    return ModelCard(model_card("az", base, {**METRICS, **changes}, licence, corpus))


def front(card: ModelCard) -> dict[str, Any]:
    return dict(yaml.safe_load(card.content.split("---\n")[1]))


def test_the_hub_reads_the_result_as_a_model_index() -> None:
    card = made(REAL[0], "CC-BY-NC-4.0", REAL[1])
    (result,) = card.data.eval_results
    assert (result.task_type, result.dataset_type, result.dataset_split) == (
        "automatic-speech-recognition",
        REAL[1],
        "validation",
    )
    assert (result.metric_type, result.metric_value, result.metric_name) == ("wer", 23.46, "WER (%)")
    assert card.data.model_name == "whisper-small-az"
    assert "chosen" in result.dataset_name


def test_front_matter_holds_the_keys_of_the_hub_in_their_order() -> None:
    keys = front(made(REAL[0], "CC-BY-NC-4.0", REAL[1]))
    assert list(keys) == [
        *("language", "license", "library_name", "pipeline_tag", "base_model", "datasets", "metrics", "model-index"),
    ]
    assert keys["license"] == "cc-by-nc-4.0"
    assert (keys["base_model"], keys["datasets"], keys["metrics"]) == (REAL[0], [REAL[1]], ["wer", "cer"])
    assert keys["library_name"] == "transformers"


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ("MIT", {"license": "mit"}),
        ("CC-BY-NC-4.0", {"license": "cc-by-nc-4.0"}),
        (" cc0-1.0 ", {"license": "cc0-1.0"}),
        ("Common Voice: terms (2024)", {"license": "other", "license_name": "common-voice-terms-2024"}),
        ("öz şərtlər", {"license": "other", "license_name": "see-readme"}),
        (None, {}),
        ("  ", {}),
    ],
)
def test_a_licence_becomes_an_identifier_or_other_or_nothing(stated: str | None, expected: dict[str, str]) -> None:
    assert licence_keys(stated) == expected


@pytest.mark.parametrize("preset", sorted((ROOT / "presets").glob("azerbaijani-*.yaml")), ids=lambda path: path.stem)
def test_the_presets_state_terms_that_the_hub_knows(preset: Any) -> None:
    licence = yaml.safe_load(preset.read_text(encoding="utf-8"))["data"]["licence"]
    assert licence_keys(licence) == {"license": "cc-by-nc-4.0"}


@pytest.mark.parametrize(
    "name", ["scratch", "/srv/models/whisper", "./whisper", "a/b/c", "whisper", "asr/models", "", None]
)
def test_what_is_no_name_of_the_hub_is_not_claimed(name: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert hub_id(name) is None
    assert Origin("az", "scratch", name, None).corpus == name
    assert "base_model" not in front(made(name or "scratch", corpus=name))
    assert "datasets" not in front(made(corpus=name))


def test_a_folder_of_one_machine_is_named_by_its_last_part_only() -> None:
    card = made("/home/someone/models/whisper-small")
    assert "someone" not in card.content
    assert card.data.model_name == "whisper-small-az"


def test_unknown_terms_are_said_to_be_unknown() -> None:
    card = made()
    assert card.data.license is None
    assert "terms that nobody has stated" in card.text


@pytest.mark.parametrize(("licence", "expected"), [("CC-BY-NC-4.0", True), ("MIT", False), (None, False)])
def test_a_non_commercial_licence_is_spelt_out_and_terms_carry_over(licence: str | None, expected: bool) -> None:
    text = made(licence=licence).text
    assert ("excludes commercial use" in text) is expected
    assert "may carry over to weights" in text


def test_averaged_weights_quote_their_own_rate() -> None:
    card = made(published="average")
    assert card.data.eval_results[0].metric_value == 20.0
    assert "0.2000 (weights averaged) after step 2000" in card.text


@pytest.mark.parametrize(
    "part", ["241,734,912 parameters", "2 to 30 s", "az-1", "pipeline(", "asr transcribe", "not known"]
)
def test_the_body_says_what_a_user_needs(part: str) -> None:
    assert part in made().text


@pytest.mark.parametrize("base", ["scratch", "yes: [no]", "a/b: c", "'\"#&*", "null"])
def test_hostile_names_stay_yaml(base: str) -> None:
    assert front(made(base))["model-index"][0]["name"].endswith("-az")


def test_equal_metrics_give_equal_bytes() -> None:
    assert made().content == made().content


def test_the_card_of_the_last_weights_quotes_their_own_error_rate() -> None:
    card = made(published="last", last_validation_wer=0.3)
    (result,) = card.data.eval_results
    assert "validation WER 0.3000 after step 2000" in card.content
    assert result.metric_value == 30
    assert "chosen" not in result.dataset_name
