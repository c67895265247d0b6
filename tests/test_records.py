"""Contract: the records of a run are small, complete, equal in bytes for equal inputs, and name no machine."""

import csv
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard

from asr.errors import UserError
from asr.files import write_jsonl, write_text, write_tsv
from asr.reporting.records.experiment import nameless
from asr.reporting.records.inputs import RecordInputs
from asr.reporting.records.samples import MOST, WORST, chosen
from asr.reporting.records.write import as_csv, write_records
from asr.scoring.evaluation import evaluate_pairs
from asr.scoring.table import Table
from asr.scoring.wer import Pair
from tests.pipeline import ROOT

NAMES = {
    *("training_history.csv", "evaluation_history.csv", "sample_predictions.csv", "data_statistics.json"),
    *("split_info.json", "environment.json", "model_info.json", "experiment.json", "README.md"),
}
SIZES = {"train": 9, "validation": 3, "test": 4}


def provenance(**versions: str) -> dict[str, Any]:
    return {
        "code": "c0",
        "data": "d0",
        "params": "p0",
        "device": "cpu-avx512",
        "versions": {"python": "3.11", **versions},
    }


def predictions(count: int = 80) -> list[dict[str, Any]]:
    """The n-th clip of ten words has n % 7 errors; one clip has no words and one word too many."""
    rows: list[dict[str, Any]] = [
        {
            **{"id": f"clip{n:03}", "group": f"g{n % 5}", "duration": 2.5, "reference": "söz " * 10, "words": 10},
            **{"hypothesis": f'"a", {n}\nb', "errors": n % 7, "capped": n == 3, "confidence": n / 100},
        }
        for n in range(count)
    ]
    return [*rows, {**rows[0], "id": "silent", "reference": "", "words": 0, "errors": 1}]


def validate_metrics() -> dict[str, Any]:
    part = {"hours": 0.01, "groups": 2}
    return {
        **{
            "clips_in": 20,
            "clips_kept": 16,
            "hours_in": 0.05,
            "hours_kept": 0.04,
            "mean_duration": 2.0,
            "negatives": 1,
        },
        **{"rejected": {"text.empty": 4}, "rejected_share": 0.2, "repaired": {"text.spaces": 2}, "warned": {}},
        **{"quantiles": {}, "groups": {"count": 6}, "sources": {"/srv/own": {"clips": 16}}, "licences": {}},
        **{"grouping": {"proxy": True}, "leakage": {"texts": 0, "groups": 0, "proxy": True}},
        "normalizer": {"version": "az-1", "hash": "ab"},
        "splits": {name: {**part, "clips": clips} for name, clips in SIZES.items()},
        "provenance": provenance(numpy="2.4.6"),
    }


def train_metrics() -> dict[str, Any]:
    return {
        **{
            "parameters": 1234567,
            "vocabulary": "5cec",
            "edges": [1.0, 3.0],
            "normalizer": {},
            "steps": 40,
            "epochs": 2,
        },
        **{"best_step": 20, "best_validation_wer": 0.5, "best_validation_loss": 1.5, "last_validation_wer": 0.6},
        **{"published": "best", "seconds_of_audio": 100.0, "padding_share": 0.1},
        "provenance": provenance(numpy="2.4.5", torch="2.13.0"),
    }


def evaluate_metrics() -> dict[str, Any]:
    pairs = [Pair(f"c{n}", "bu gün hava", "bu gün" if n % 2 else "Bu gün hava.", f"g{n % 4}", 1.5) for n in range(12)]
    split = evaluate_pairs(pairs, "az").as_plain()
    return {"test": split, "validation": split, "provenance": provenance(torch="2.13.0")}


def make_inputs(root: Path) -> RecordInputs:
    """Everything that the stage plot has, with a base model in a folder of one machine."""
    tables, splits = root / "train", root / "splits"
    write_tsv(tables / "loss.tsv", ("step", "loss", "ctc_loss"), [(5, 3.25, 1.5), (10, 2.125, 1.25)])
    write_tsv(tables / "learning_rate.tsv", ("step", "learning_rate"), [(5, 1e-05), (10, 0.001)])
    write_tsv(tables / "gradient_norm.tsv", ("step", "gradient_norm"), [(10, 7.5)])
    write_tsv(tables / "validation_wer.tsv", ("step", "wer"), [(20, 0.5), (40, 0.6)])
    write_tsv(tables / "validation_loss.tsv", ("step", "loss"), [(20, 1.5), (40, 1.4)])
    for name, clips in SIZES.items():
        write_jsonl(splits / f"{name}.jsonl", (split_row(f"{name}{n}", n) for n in range(clips)))
    write_jsonl(root / "test.jsonl", predictions())
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["data"].update(licence="CC-BY-NC-4.0", path="/srv/secret/corpus")
    params["model"].update(name="/home/someone/models/whisper-small", revision=None)
    return RecordInputs(
        *(validate_metrics(), train_metrics(), evaluate_metrics(), params),
        *(tables, root / "test.jsonl", splits, "az"),
    )


def split_row(clip_id: str, n: int) -> dict[str, Any]:
    text = "" if n == 0 else "salam dünya " * n
    return {"id": clip_id, "text": text.strip(), "duration": 1.0 + n, "group": "g", "source": "own", "sha256": "0"}


@pytest.fixture
def inputs(tmp_path: Path) -> RecordInputs:
    return make_inputs(tmp_path / "in")


def written(folder: Path, inputs: RecordInputs) -> Mapping[str, bytes]:
    write_records(folder, inputs)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(content.decode().splitlines(keepends=True)))


def test_all_files_are_written_and_equal_inputs_give_equal_bytes(tmp_path: Path, inputs: RecordInputs) -> None:
    first = written(tmp_path / "a", inputs)
    assert set(first) == NAMES
    assert first == written(tmp_path / "b", make_inputs(tmp_path / "elsewhere"))


def test_no_record_names_a_machine(tmp_path: Path, inputs: RecordInputs) -> None:
    for name, content in written(tmp_path / "a", inputs).items():
        found = [word for word in (b"/srv", b"/home", b"someone", str(tmp_path).encode()) if word in content]
        assert not [word for word in found if (name, word) not in _FROM_METRICS], name


_FROM_METRICS = {("data_statistics.json", b"/srv"), ("experiment.json", b"/srv")}
"""The source's own name as validate wrote it: metrics are taken over as they are."""


def test_cells_stand_at_their_steps_as_they_were_written(tmp_path: Path, inputs: RecordInputs) -> None:
    found = rows(written(tmp_path / "a", inputs)["training_history.csv"])
    assert [row["step"] for row in found] == ["5", "10", "20", "40"]
    assert found[0] == {
        **{"step": "5", "loss": "3.25", "ctc_loss": "1.5", "learning_rate": "1e-05", "gradient_norm": ""},
        **{"validation_wer": "", "validation_loss": ""},
    }
    assert (found[1]["gradient_norm"], found[3]["validation_wer"], found[3]["loss"]) == ("7.5", "0.6", "")


def test_one_evaluation_is_the_best(tmp_path: Path, inputs: RecordInputs) -> None:
    found = rows(written(tmp_path / "a", inputs)["evaluation_history.csv"])
    assert [tuple(row.values()) for row in found] == [("20", "0.5", "1.5", "yes"), ("40", "0.6", "1.4", "no")]


def test_samples_are_the_worst_and_then_some_that_follow_from_their_ids() -> None:
    found = chosen(predictions())
    worst, spread = found[:WORST], found[WORST:]
    assert len(found) == len({row["id"] for row in found}) == MOST
    assert [row["errors"] for row in worst] == sorted((row["errors"] for row in predictions()), reverse=True)[:WORST]
    assert sum(row["errors"] for row in spread) > 0
    assert chosen(predictions()[::-1]) == found


def test_the_spread_of_samples_changes_only_where_a_clip_moves_to_the_worst() -> None:
    """So that one model can be heard beside the next."""
    before = {row["id"] for row in chosen([{**row, "errors": 0} for row in predictions()])[: MOST - WORST]}
    after = {row["id"] for row in chosen(predictions())}
    assert before <= after


def test_a_perfect_model_has_no_worst_clips() -> None:
    found = chosen([{**row, "errors": 0} for row in predictions()])
    assert len(found) == MOST
    assert found != sorted(found, key=lambda row: row["id"])


def test_few_clips_are_all_listed() -> None:
    assert len(chosen(predictions(3))) == 4


def test_texts_with_commas_quotes_and_line_ends_come_back_whole(tmp_path: Path, inputs: RecordInputs) -> None:
    found = {row["id"]: row for row in rows(written(tmp_path / "a", inputs)["sample_predictions.csv"])}
    for row in predictions():
        if row["id"] in found:
            assert found[row["id"]]["hypothesis"] == row["hypothesis"]
            assert found[row["id"]]["wer"] == (str(row["errors"] / 10) if row["words"] else "")


def test_predictions_of_an_older_release_have_no_confidence(tmp_path: Path, inputs: RecordInputs) -> None:
    write_jsonl(inputs.predictions, ({k: v for k, v in row.items() if k != "confidence"} for row in predictions()))
    found = rows(written(tmp_path / "a", inputs)["sample_predictions.csv"])
    assert {row["confidence"] for row in found} == {""}


def test_statistics_by_split_are_those_of_its_file(tmp_path: Path, inputs: RecordInputs) -> None:
    found = json.loads(written(tmp_path / "a", inputs)["data_statistics.json"])["splits"]["validation"]
    assert found["seconds"] == {"sum": 6.0, "mean": 2.0, "median": 2.0, "min": 1.0, "max": 3.0}
    assert found["words"] == {"sum": 6, "mean": 3.0, "median": 3.0, "min": 2, "max": 4}
    assert (found["clips"], found["clips_with_text"], found["distinct_words"]) == (3, 2, 2)


def test_a_split_without_a_text_has_no_lengths_of_texts(tmp_path: Path, inputs: RecordInputs) -> None:
    write_jsonl(inputs.splits / "test.jsonl", [split_row("t", 0)] * SIZES["test"])
    found = json.loads(written(tmp_path / "a", inputs)["data_statistics.json"])["splits"]["test"]
    assert found["words"] is None
    assert found["seconds"]["median"] == 1.0


def test_the_hash_of_a_split_follows_its_file(tmp_path: Path, inputs: RecordInputs) -> None:
    before = json.loads(written(tmp_path / "a", inputs)["split_info.json"])["splits"]
    write_jsonl(inputs.splits / "test.jsonl", [split_row("other", n) for n in range(SIZES["test"])])
    after = json.loads(written(tmp_path / "b", inputs)["split_info.json"])["splits"]
    assert {name for name in SIZES if before[name]["hash"] != after[name]["hash"]} == {"test"}


def test_versions_of_stages_that_differ_are_both_named(tmp_path: Path, inputs: RecordInputs) -> None:
    found = json.loads(written(tmp_path / "a", inputs)["environment.json"])
    assert found["versions"] == {"numpy": ["2.4.5", "2.4.6"], "python": ["3.11"], "torch": ["2.13.0"]}
    assert found["stages"]["train"]["device"] == "cpu-avx512"


@pytest.mark.parametrize(("name", "dimensions"), [("scratch", True), ("openai/whisper-small", False)])
def test_dimensions_are_those_of_a_model_from_scratch(
    tmp_path: Path, inputs: RecordInputs, name: str, dimensions: bool
) -> None:
    params = {**inputs.params, "model": {**inputs.params["model"], "name": name}}
    found = json.loads(written(tmp_path / "a", replace(inputs, params=params))["model_info.json"])
    assert (found["dimensions"] is not None) is dimensions
    assert found["base_model"] == (None if dimensions else name)


def test_the_whole_experiment_is_in_one_file(tmp_path: Path, inputs: RecordInputs) -> None:
    found = json.loads(written(tmp_path / "a", inputs)["experiment.json"])
    assert found["metrics"]["evaluate"]["test"]["wer"] == inputs.evaluate["test"]["wer"]
    assert found["params"]["data"]["path"] == "corpus"
    assert found["hashes"]["stages"]["train"] == {"code": "c0", "data": "d0", "params": "p0"}
    assert found["schema"] == 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [("/a/b", "b"), ("C:\\a\\b", "b"), ("data/raw", "data/raw"), ("o/n", "o/n"), (["/a/b", 1], ["b", 1]), (None, None)],
)
def test_absolute_paths_lose_all_but_their_last_part(value: Any, expected: Any) -> None:
    assert nameless({"key": value}) == {"key": expected}


def test_the_card_to_publish_claims_the_rates_of_the_metrics(tmp_path: Path, inputs: RecordInputs) -> None:
    card = ModelCard(written(tmp_path / "a", inputs)["README.md"].decode())
    found = {(item.dataset_split, item.metric_type): item.metric_value for item in card.data.eval_results}
    assert found == {
        (split, kind): round(100 * inputs.evaluate[split][kind], 2)
        for split in ("test", "validation")
        for kind in ("wer", "cer")
    }
    assert card.data.license == "cc-by-nc-4.0"


def test_the_card_says_what_weakens_the_result(tmp_path: Path, inputs: RecordInputs) -> None:
    text = written(tmp_path / "a", inputs)["README.md"].decode()
    for part in (
        "4 groups only",
        "name no speakers",
        "excludes commercial use",
        "pipeline(",
        "asr transcribe",
        "95 % interval",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("stage", "keys"),
    [("evaluate", ("test", "wer_low")), ("train", ("edges",)), ("validate", ("leakage",)), ("train", ("provenance",))],
)
def test_a_missing_metric_is_named_with_its_stage(
    tmp_path: Path, inputs: RecordInputs, stage: str, keys: tuple[str, ...]
) -> None:
    content = json.loads(json.dumps(inputs.metrics[stage]))
    inner = content
    for key in keys[:-1]:
        inner = inner[key]
    del inner[keys[-1]]
    with pytest.raises(UserError, match=rf"metrics/{stage}.json: {'.'.join(keys)} is missing; run {stage} again"):
        write_records(tmp_path / "a", replace(inputs, **{stage: content}))


def test_a_missing_table_is_named_and_old_records_stay(tmp_path: Path, inputs: RecordInputs) -> None:
    write_text(tmp_path / "a/README.md", "old")
    (inputs.tables / "gradient_norm.tsv").unlink()
    with pytest.raises(UserError, match=r"gradient_norm.tsv: missing"):
        write_records(tmp_path / "a", inputs)
    assert (tmp_path / "a/README.md").read_text() == "old"


@pytest.mark.parametrize("key", ["errors", "reference", "capped"])
def test_a_prediction_without_a_value_is_named(tmp_path: Path, inputs: RecordInputs, key: str) -> None:
    write_jsonl(inputs.predictions, [{k: v for k, v in predictions()[0].items() if k != key}])
    with pytest.raises(UserError, match=f"without '{key}'; run evaluate again"):
        write_records(tmp_path / "a", inputs)


def test_splits_and_metrics_of_different_runs_are_refused(tmp_path: Path, inputs: RecordInputs) -> None:
    write_jsonl(inputs.splits / "train.jsonl", [split_row("t", 1)])
    with pytest.raises(UserError, match=r"train.jsonl: 1 clips, but metrics/validate.json says 9"):
        write_records(tmp_path / "a", inputs)


def test_a_step_that_is_no_number_is_refused(tmp_path: Path, inputs: RecordInputs) -> None:
    write_tsv(inputs.tables / "gradient_norm.tsv", ("step", "gradient_norm"), [("x", 1.0)])
    with pytest.raises(UserError, match=r"gradient_norm.tsv: a step is no whole number"):
        write_records(tmp_path / "a", inputs)


def test_an_empty_cell_is_none_and_nothing_else() -> None:
    assert as_csv(Table(("a", "b"), ((None, 0), ("", False)))) == "a,b\n,0\n,False\n"
