"""Contract: a model is scored with the splits, the normaliser and the vocabulary it was trained with, or not at all."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from asr import text as text_module
from asr.corpus.store import ShardWriter
from asr.errors import UserError
from asr.files import read_json, write_json, write_jsonl
from asr.models.build import EXPERIMENT, SpeechModel, load, save
from asr.models.identity import LEARNT_FROM, Identity, record, require_same
from asr.models.tokenizer import end_id
from asr.provenance import files_hash
from asr.stage import EXIT_USER_ERROR, run
from stages import evaluate, train
from tests.models import TEXTS, tiny_corpus, tiny_model
from tests.pipeline import ROOT
from tests.test_loop import stage

SMOKE = ("--params", "presets/smoke.yaml")
SAME = Identity("s", "az-1 (h)", "v")


def silent_model() -> SpeechModel:
    """It ends every text at once, so that decoding takes no time."""
    model = tiny_model()
    with torch.no_grad():
        model.network.model.decoder.layer_norm.bias.fill_(1.0)
        model.network.proj_out.weight[end_id(model.tokenizer)].fill_(10.0)
    return model


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with splits, clips, and a model that was trained on them."""
    torch.manual_seed(0)
    utterances, clips = tiny_corpus()
    parts = {"train": utterances[:4], "validation": utterances[4:8], "test": utterances[8:]}
    for name, split in parts.items():
        write_jsonl(tmp_path / f"splits/{name}.jsonl", map(asdict, split))
    (tmp_path / "clips").mkdir()
    with ShardWriter(tmp_path / "clips") as writer:
        for clip_id, pcm in clips.items():
            writer.add(clip_id, pcm)
    model = silent_model()
    (tmp_path / "model").mkdir()
    made = {"provenance": {"data": files_hash(tmp_path / "splits" / name for name in LEARNT_FROM)}}
    save(model, tmp_path / "model", {"train": {**made, **record(model.tokenizer)}})
    return tmp_path


def call(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    options = ("model", "clips", "splits", "predictions", "plots")
    paths = [word for name in options for word in (f"--{name}", str(place / name))]
    monkeypatch.setattr("sys.argv", ["evaluate", *paths, "--metrics", str(place / "m.json"), *SMOKE])
    monkeypatch.chdir(ROOT)
    run(evaluate.main)


def refusal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], place: Path) -> str:
    with pytest.raises(SystemExit) as stopped:
        call(monkeypatch, place)
    assert stopped.value.code == EXIT_USER_ERROR
    assert not (place / "m.json").exists()
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    return errors[0]


def change_record(place: Path, **changes: object) -> None:
    experiment = read_json(place / "model" / EXPERIMENT)
    kept = {key: value for key, value in (experiment["train"] | changes).items() if value is not None}
    write_json(place / "model" / EXPERIMENT, {**experiment, "train": kept})


def test_a_model_is_scored_on_the_splits_it_was_trained_with(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], place: Path
) -> None:
    call(monkeypatch, place)
    assert read_json(place / "m.json")["test"]["clips"]
    assert "warning" not in capsys.readouterr().err


@pytest.mark.parametrize("name", LEARNT_FROM)
def test_other_splits_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], place: Path, name: str
) -> None:
    path = place / "splits" / name
    path.write_text("".join(path.read_text(encoding="utf-8").splitlines(keepends=True)[1:]), encoding="utf-8")
    error = refusal(monkeypatch, capsys, place)
    assert "run.identity_mismatch: the model was trained with splits" in error
    assert "may have heard these test clips: `dvc repro train`" in error


def test_another_normaliser_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], place: Path
) -> None:
    change_record(place, normalizer={"version": "az-0", "hash": "0" * 16})
    assert f"trained with normalizer az-0 (0000000000000000), here is {text_module.NORMALIZER_VERSION} (" in refusal(
        monkeypatch, capsys, place
    )


def test_another_vocabulary_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], place: Path
) -> None:
    tiny_model([text[::-1] for text in TEXTS]).tokenizer.save_pretrained(place / "model")
    assert "the tokenizer is another model's" in refusal(monkeypatch, capsys, place)


def test_a_missing_training_split_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], place: Path
) -> None:
    (place / "splits/train.jsonl").unlink()
    assert "train.jsonl: missing, so a test clip may be one of training" in refusal(monkeypatch, capsys, place)


def test_a_model_from_elsewhere_is_scored_with_one_line_of_warning(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], place: Path
) -> None:
    change_record(place, provenance=None, normalizer=None, vocabulary=None)
    (place / "splits/train.jsonl").write_text("{}\n", encoding="utf-8")
    call(monkeypatch, place)
    warnings = [line for line in capsys.readouterr().err.splitlines() if "does not say what the model" in line]
    assert len(warnings) == 1
    assert read_json(place / "m.json")["test"]["clips"]


def test_a_record_of_an_earlier_version_is_compared_in_what_it_says(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], place: Path
) -> None:
    change_record(place, normalizer=None, vocabulary=None)
    call(monkeypatch, place)
    assert read_json(place / "m.json")["test"]["clips"]
    assert "warning" not in capsys.readouterr().err


@pytest.mark.parametrize("field", ["splits", "normalizer", "vocabulary"])
def test_each_field_is_compared_and_a_missing_one_is_not(field: str) -> None:
    require_same(SAME, SAME)
    require_same(replace(SAME, **{field: None}), SAME)
    with pytest.raises(UserError, match=rf"run\.identity_mismatch: .* {field} .*here is other; "):
        require_same(SAME, replace(SAME, **{field: "other"}))


def test_a_changed_table_of_the_normaliser_changes_the_identity(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    tokenizer = load(place / "model").tokenizer
    before = Identity.present(place / "splits", tokenizer)
    monkeypatch.setattr(text_module, "_SPOKEN_SIGNS", "%")
    after = Identity.present(place / "splits", tokenizer)
    assert before.normalizer != after.normalizer
    assert replace(after, normalizer=before.normalizer) == before


def test_the_vocabulary_keeps_its_hash_when_it_is_saved_and_loaded(place: Path) -> None:
    assert record(load(place / "model").tokenizer) == record(tiny_model().tokenizer)


def test_train_writes_the_record_that_evaluate_reads(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    """The whole stage, but for its length: two steps are enough."""

    class Small:
        load = staticmethod(lambda _: stage(max_steps=2, evaluate_clips=1))

    options = ("clips", "splits", "model", "last", "plots")
    paths = [word for name in options for word in (f"--{name}", str(place / name))]
    monkeypatch.setattr("sys.argv", ["train", *paths, "--metrics", str(place / "t.json")])
    monkeypatch.setattr(train, "TrainStage", Small)
    train.main()
    written = read_json(place / "model" / EXPERIMENT)
    present = Identity.present(place / "splits", load(place / "model").tokenizer)
    assert None not in asdict(present).values()
    assert Identity.recorded(written) == present
    assert written["train"] == read_json(place / "t.json")
