"""The stage validate: totals, ledger, repairs, stops, equal bytes."""

import json
import subprocess
import sys
from dataclasses import asdict, fields
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.corpus.clips import SPLITS, Utterance, read_splits
from asr.corpus.index import write_index
from asr.corpus.ledger import Total, check_totals
from asr.corpus.statistics import metrics, write_tables
from asr.corpus.validate import validate
from asr.errors import UserError
from asr.files import read_jsonl
from asr.knobs import read_yaml
from asr.text import upper
from stages import validate as stage
from tests.index_rows import LIMITS, index_row, limits

ROOT = Path(__file__).resolve().parent.parent
MANY = [index_row(n) for n in range(60)]

FAULTS = st.sampled_from(
    [
        {},
        {"duration": 0.01},
        {"text": "..."},
        {"text": ""},
        {"text": "Eyni cümlə hər yerdə təkrarlanır."},
        {"sha256": "same"},
        {"code": "audio.truncated", "message": "cut", "duration": 0.0},
        {"text": "<|az|>", "rms_dbfs": -90.0},
        {"split": "test"},
        {"group": "Aysel"},
    ]
)


def run_stage(folder, rows, monkeypatch, tmp_path):
    """Runs the script in this process; returns the folder it wrote to."""
    write_index(tmp_path / "index.parquet", rows)
    params = read_yaml(ROOT / "presets" / "sample.yaml") | {"validate": asdict(LIMITS)}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    paths = {
        "--index": tmp_path / "index.parquet",
        "--splits": folder / "splits",
        "--metrics": folder / "validate.json",
    }
    paths |= {"--plots": folder / "plots", "--params": tmp_path / "params.yaml"}
    monkeypatch.setattr(sys, "argv", ["validate", *(str(part) for pair in paths.items() for part in pair)])
    stage.main()
    return folder


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_sound_corpus_is_kept_whole():
    validated = validate(MANY, LIMITS, "az")
    assert len(validated.kept) == 60
    assert validated.rejections == validated.repairs == ()


@settings(deadline=None)
@given(st.lists(FAULTS, max_size=40))
def test_every_clip_is_kept_or_rejected_and_none_is_both(faults):
    rows = MANY + [index_row(100 + n, **fault) for n, fault in enumerate(faults)]
    validated = validate(rows, LIMITS, "az")
    kept, rejected = [u.id for u in validated.kept], [r.id for r in validated.rejections]
    assert sorted(kept + rejected) == sorted(row.id for row in rows)
    report = metrics(validated)
    assert report["clips_in"] == report["clips_kept"] + sum(report["rejected"].values()) == len(rows)
    assert report["hours_in"] == pytest.approx(
        report["hours_kept"] + sum(r.duration for r in validated.rejections) / 3600
    )


@settings(deadline=None, max_examples=30)
@given(st.randoms(use_true_random=False))
def test_the_order_of_rows_in_the_index_changes_nothing(random):
    rows = MANY + [index_row(100 + n, text="Eyni cümlə hər yerdə təkrarlanır.", group=str(n)) for n in range(9)]
    assert validate(random.sample(rows, len(rows)), LIMITS, "az") == validate(rows, LIMITS, "az")


def test_a_lost_clip_would_be_noticed():
    with pytest.raises(AssertionError, match="lost or doubled"):
        check_totals(Total(3, 300), Total(1, 100), Total(1, 200))


def test_a_bad_copy_does_not_take_the_good_one_with_it():
    rows = [*MANY, index_row(0, id="bad", row=99, text="..."), index_row(1, id="long", row=98, duration=11.0)]
    validated = validate(rows, LIMITS, "az")
    assert [(r.id, r.code) for r in validated.rejections] == [("bad", "text.empty"), ("long", "signal.too_long")]


def test_texts_of_the_test_split_leave_the_training_split():
    text = "Bu cümlə kifayət qədər uzundur."
    rows = [*MANY, index_row(70, split="train", text=text), index_row(71, split="test", text=upper(text))]
    validated = validate(rows, LIMITS, "az")
    assert [(r.id, r.codes) for r in validated.rejections] == [("id000070", ("split.text_overlap",))]
    assert validated.leakage.texts == 0


def test_silent_clips_with_an_empty_text_are_kept_and_counted():
    validated = validate([*MANY, index_row(70, text="", rms_dbfs=-120.0)], LIMITS, "az")
    assert metrics(validated)["negatives"] == 1


def test_repaired_texts_go_into_the_splits_with_before_and_after_in_the_ledger():
    rows = [*MANY, index_row(70, text="Gözəl\u00a0sәhәr\u200b"), index_row(71, text=" ... ")]
    validated = validate(rows, LIMITS, "az")
    assert [(r.before, r.after) for r in validated.repairs] == [("Gözəl\u00a0sәhәr\u200b", "Gözəl səhər")]
    assert {"Gözəl səhər"} <= {utterance.text for utterance in validated.kept}
    assert metrics(validated)["repaired"] == {"text.invisible": 1, "text.lookalike": 1, "text.spaces": 1}


def test_too_many_rejected_clips_stop_the_run_with_the_top_reasons():
    rows = MANY + [index_row(100 + n, duration=0.01) for n in range(20)] + [index_row(200, text="...")]
    with pytest.raises(UserError, match=r"21 of 81 clips \(25.9%\).*max_rejected = 0.25: signal.too_short 20, text.e"):
        validate(rows, limits(max_rejected=0.25), "az")
    assert len(validate(rows, limits(max_rejected=0.26), "az").rejections) == 21


def test_an_empty_index_is_refused():
    with pytest.raises(UserError, match="holds no clip"):
        validate([], LIMITS, "az")


def test_a_corpus_of_one_group_cannot_be_split():
    with pytest.raises(UserError, match="is empty"):
        validate([index_row(n, group="one") for n in range(20)], LIMITS, "az")


def test_histograms_cover_all_kept_clips(tmp_path):
    rows = [*MANY, index_row(70, duration=4.2, text="s" * 37), index_row(71, duration=0.01)]
    write_tables(tmp_path, validate(rows, LIMITS, "az"))
    tables = {path.stem: path.read_text().splitlines() for path in tmp_path.iterdir()}
    assert tables["durations"][0] == "seconds\tclips"
    assert tables["durations"][-1] == "4.0-4.5\t1"
    assert len(tables["durations"]) == 1 + 9
    assert sum(int(line.split("\t")[1]) for line in tables["durations"][1:]) == 61
    assert tables["text_lengths"][-1] == "30-39\t1"
    assert tables["rejected"] == ["code\tclips", "signal.too_short\t1"]


def test_the_stage_writes_what_the_next_stages_read(tmp_path, monkeypatch):
    bad = index_row(70, code="audio.zero_bytes", message="the file is empty", duration=0.0, sha256="")
    out = run_stage(tmp_path / "out", [*MANY, bad], monkeypatch, tmp_path)
    splits = dict(read_splits(out / "splits"))
    assert sum(map(len, splits.values())) == 60
    for name in SPLITS:
        rows = list(read_jsonl(out / "splits" / f"{name}.jsonl"))
        assert all(set(row) == {field.name for field in fields(Utterance)} for row in rows)
        assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)
    (rejected,) = read_jsonl(out / "splits" / "rejected.jsonl")
    assert {key: rejected[key] for key in ("id", "name", "row", "code", "codes", "value", "limit", "message")} == {
        "id": "id000070",
        "name": "clip70.wav",
        "row": 70,
        "code": "audio.zero_bytes",
        "codes": ["audio.zero_bytes"],
        "value": None,
        "limit": None,
        "message": "the file is empty",
    }
    report = json.loads((out / "validate.json").read_text())
    assert report["splits"]["test"]["clips"] == len(splits["test"])
    assert {"code", "data", "params"} <= report["provenance"].keys()


def test_two_runs_write_the_same_bytes(tmp_path, monkeypatch):
    first = run_stage(tmp_path / "one", MANY, monkeypatch, tmp_path)
    second = run_stage(tmp_path / "two", MANY, monkeypatch, tmp_path)
    assert contents(first) == contents(second)


def test_a_refused_corpus_leaves_nothing_behind(tmp_path, monkeypatch):
    with pytest.raises(UserError):
        run_stage(tmp_path / "out", [index_row(0, duration=0.01)], monkeypatch, tmp_path)
    assert not (tmp_path / "out").exists()


def test_groups_that_the_source_shares_between_splits_are_a_warning(tmp_path, monkeypatch, capsys):
    shared = [index_row(100 + n, group="Aysel", split=name) for n, name in enumerate(SPLITS)]
    run_stage(tmp_path / "out", MANY + shared, monkeypatch, tmp_path)
    assert "warning: 1 groups" in capsys.readouterr().err


def test_neither_validation_nor_scoring_loads_a_neural_network_library():
    modules = "stages.validate, asr.scoring.evaluation, asr.text"
    probe = f"import sys, {modules}; print({{'torch', 'transformers'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
