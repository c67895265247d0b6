"""The stage validate: totals, ledgers, repairs, warnings, stops, equal bytes."""

import json
import subprocess
import sys
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.corpus.clips import SPLITS, Utterance, read_splits
from asr.corpus.codes import ACTIONS, Action
from asr.corpus.findings import cleaned_text, corpus_of, key_of
from asr.corpus.index import as_table, index_of, write_index
from asr.corpus.ledger import Rejection, Repair, Total, Warned, check_totals, total
from asr.corpus.rules import add, judge
from asr.corpus.validate import STEPS, validate
from asr.errors import UserError
from asr.files import read_jsonl
from asr.knobs import read_yaml
from asr.pcm import SAMPLE_RATE
from asr.text import clean, normalize, upper
from stages import validate as stage
from tests.index_rows import LIMITS, index_row, limits

ROOT = Path(__file__).resolve().parent.parent
COLOURS = ["ağ", "qara", "göy", "yaşıl", "sarı", "qırmızı", "bənövşəyi", "narıncı", "boz", "qəhvəyi"]
PLACES = ["dəniz", "meşə", "bazar", "məktəb", "kitabxana", "dağ"]
SENTENCES = [f"Bu {colour} top {place} yolundadır." for colour in COLOURS for place in PLACES]
MANY = [index_row(n, text=text) for n, text in enumerate(SENTENCES)]
APART = limits(near_text_share=0.0)
"""The sentences differ in a word, which is near; most tests are about other things."""
SAME = "Eyni cümlə hər yerdə təkrarlanır."

FAULTS = st.sampled_from(
    [
        {},
        {"duration": 0.01},
        {"text": "..."},
        {"text": ""},
        {"text": SAME},
        {"text": f" {SAME}\u200b", "notes": "signal.resampled", "rate": 44_100},
        {"sha256": "same"},
        {"fingerprint": "0f" * 16},
        {"code": "audio.truncated", "message": "cut", "duration": 0.0},
        {"text": "<|az|>", "rms_dbfs": -90.0},
        {"snr_db": 1.0},
        {"split": "test"},
        {"group": "Aysel"},
    ]
)


def validated(rows, params=APART, references=(), numbers="keep"):
    return validate(index_of(rows), params, "az", references, numbers=numbers)


def rejected(found):
    return [(row.id, row.code) for row in found.rejections]


def run_stage(folder, rows, monkeypatch, tmp_path, params=APART):
    """Runs the script in this process; returns the folder it wrote to."""
    write_index(tmp_path / "index.parquet", as_table(rows))
    content = read_yaml(ROOT / "presets" / "sample.yaml") | {"validate": asdict(params)}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    paths = {
        "--index": tmp_path / "index.parquet",
        "--external": tmp_path / "external",
        "--splits": folder / "splits",
        "--metrics": folder / "validate.json",
        "--plots": folder / "plots",
        "--params": tmp_path / "params.yaml",
    }
    monkeypatch.setattr(sys, "argv", ["validate", *(str(part) for pair in paths.items() for part in pair)])
    stage.main()
    return folder


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_sound_corpus_is_kept_whole():
    found = validated(MANY)
    assert len(found.utterances) == 60
    assert found.rejections == found.repairs == found.warnings == ()


@settings(deadline=None, max_examples=50)
@given(st.lists(FAULTS, max_size=40))
def test_every_clip_is_kept_or_rejected_and_none_is_both(faults):
    rows = MANY + [index_row(100 + n, **fault) for n, fault in enumerate(faults)]
    found = validated(rows)
    kept, gone = [u.id for u in found.utterances], [r.id for r in found.rejections]
    assert sorted(kept + gone) == sorted(row.id for row in rows)
    assert found.all_in.clips == len(kept) + len(gone) == len(rows)
    parts = total(u.duration for u in found.utterances), total(r.duration for r in found.rejections)
    assert (
        found.all_in.samples
        == sum(part.samples for part in parts)
        == sum(round(row.duration * SAMPLE_RATE) for row in rows)
    )


@settings(deadline=None, max_examples=50)
@given(st.lists(FAULTS, max_size=40))
def test_the_ledgers_say_what_the_findings_say(faults):
    found = validated(MANY + [index_row(100 + n, **fault) for n, fault in enumerate(faults)])
    ids = found.corpus.index.texts["id"]
    reasons = {ids[p]: tuple(f.code for f in fs if f.rejects) for p, fs in found.findings.items() if not found.kept[p]}
    assert {row.id: row.codes for row in found.rejections} == reasons
    odd = {ids[p]: tuple(f.code for f in fs) for p, fs in found.findings.items() if found.kept[p]}
    assert {row.id: row.codes for row in found.warnings} == odd
    assert all(row.codes[0] == row.code and ACTIONS[row.code] is Action.REJECT for row in found.rejections)
    assert all(ACTIONS[code] is Action.WARN for row in found.warnings for code in row.codes)
    assert all(ACTIONS[code] is Action.REPAIR for row in found.repairs for code in row.codes)
    kept = {utterance.id for utterance in found.utterances}
    assert {row.id for row in (*found.repairs, *found.warnings)} <= kept


@settings(deadline=None, max_examples=20)
@given(st.randoms(use_true_random=False))
def test_the_order_of_rows_in_the_index_changes_nothing(random):
    rows = MANY + [index_row(100 + n, text=SAME, group=str(n), snr_db=1.0) for n in range(9)]
    one, other = validated(rows), validated(random.sample(rows, len(rows)))
    assert one.splits == other.splits
    assert (one.findings, one.leakage, one.grouping) == (other.findings, other.leakage, other.grouping)
    assert (one.rejections, one.repairs, one.warnings) == (other.rejections, other.repairs, other.warnings)
    assert np.array_equal(one.sides, other.sides)


def test_a_lost_clip_or_a_lost_sample_would_be_noticed():
    check_totals(Total(3, 300), Total(1, 100), Total(2, 200))
    for kept, lost in ((Total(1, 100), Total(1, 200)), (Total(1, 100), Total(2, 199))):
        with pytest.raises(AssertionError, match="lost or doubled"):
            check_totals(Total(3, 300), kept, lost)


def test_the_stage_checks_the_totals(monkeypatch):
    monkeypatch.setattr("asr.corpus.validate.rejections", lambda *_: ())
    with pytest.raises(AssertionError, match="lost or doubled"):
        validated([*MANY, index_row(70, duration=0.01)])


def test_a_bad_copy_does_not_take_the_good_one_with_it():
    rows = [*MANY, index_row(0, id="bad", row=99, text="..."), index_row(1, id="long", row=98, duration=11.0)]
    assert [code for _, code in rejected(validated(rows))] == ["text.empty", "signal.too_long"]


def test_copies_leave_but_one():
    rows = [*MANY, index_row(0, id="later", row=99, text=SENTENCES[0])]
    assert rejected(validated(rows)) == [("later", "manifest.duplicate_audio")]


def test_texts_of_the_test_split_leave_the_training_split():
    text = "Yağışdan sonra bağda çoxlu göbələk çıxdı."
    rows = [*MANY, index_row(70, split="train", text=text), index_row(71, split="test", text=upper(text))]
    found = validated(rows)
    assert rejected(found) == [("id000070", "split.text_overlap")]
    assert found.leakage.texts == 0


def test_groups_of_blocks_are_told_from_groups_of_the_source():
    found = validated(MANY, limits(near_text_share=0.0, block_clips=5))
    assert found.grouping.by_block == 60
    assert found.grouping.proxy


def test_a_group_with_a_mislabelled_sample_rate_is_warned_of():
    slow = [index_row(100 + n, text=f"Yox, {'abc'[n % 3]}.", group="slow") for n in range(10)]
    found = validated(MANY + slow)
    assert {row.id for row in found.warnings if "signal.rate_mislabel" in row.codes} <= {row.id for row in slow}
    assert sum("signal.rate_mislabel" in row.codes for row in found.warnings) == 10


def test_silent_clips_with_an_empty_text_are_kept_and_counted():
    found = validated([*MANY, index_row(70, text="", rms_dbfs=-120.0)])
    assert [(row.id, row.codes) for row in found.warnings] == [("id000070", ("signal.negative_example",))]
    assert found.warnings[0].values == (None,)


def test_a_warned_clip_is_kept_with_what_was_measured_and_the_limit():
    (row,) = validated([*MANY[1:], index_row(0, text=SENTENCES[0], snr_db=4.0, tail_silence=1.5)]).warnings
    assert row == Warned(
        id="id000000",
        name="clip0.wav",
        row=0,
        codes=("signal.long_silence", "signal.low_snr"),
        messages=(
            "1.50 s of silence at one end, more than 1 s",
            "speech stands 4.0 dB above the noise, less than 10 dB",
        ),
        values=(1.5, 4.0),
        limits=(1.0, 10.0),
    )


def test_repaired_texts_go_into_the_splits_with_before_and_after_in_the_ledger():
    raw = "Gözəl\u00a0sәhәr açıldı\u200b"
    found = validated([*MANY, index_row(70, text=raw), index_row(71, text=" ... ")])
    codes = ("text.invisible", "text.spaces", "text.lookalike")
    assert found.repairs == (Repair("id000070", raw, "Gözəl səhər açıldı", codes),)
    assert "Gözəl səhər açıldı" in {utterance.text for utterance in found.utterances}


def test_numbers_are_spelt_out_in_the_splits_only_where_that_is_asked_for():
    rows = [*MANY, index_row(70, text="Saat 5-də gəl."), index_row(71, text="Beş dəqiqə gözlə.")]
    kept = {item.text for item in validated(rows).utterances}
    found = validated(rows, numbers="words")
    assert "Saat 5-də gəl." in kept
    assert kept - {item.text for item in found.utterances} == {"Saat 5-də gəl."}
    assert found.repairs == (Repair("id000070", "Saat 5-də gəl.", "Saat beşdə gəl.", ("text.numbers",)),)


def test_two_texts_that_differ_in_how_a_number_is_written_are_one_where_numbers_are_spelt_out():
    keys = [corpus_of(index_of([index_row(0, text=text)]), "az", "words").keys for text in ("5 alma", "Beş alma.")]
    assert keys[0] == keys[1]


def test_the_splits_keep_the_signal_to_noise_ratio_to_a_tenth_of_a_decibel():
    found = validated([*MANY, index_row(70, text=SAME, snr_db=12.3456)])
    assert {item.snr_db for item in found.utterances if item.id == "id000070"} == {12.3}


def test_repairs_of_prepare_say_what_the_audio_was_like_and_what_it_is():
    notes = {
        "signal.resampled": {"rate": 44_100},
        "signal.dc_offset": {"dc_offset": 0.0313},
        "audio.header_open_size": {"encoding": "WAV PCM_24"},
    }
    odd = index_row(
        70, text=SAME, notes=" ".join(notes), **{k: v for change in notes.values() for k, v in change.items()}
    )
    found = validated([*MANY, odd])
    assert [(row.before, row.after, row.codes) for row in found.repairs] == [
        ("44100 Hz", "16000 Hz", ("signal.resampled",)),
        ("mean sample 0.0313", "high-passed", ("signal.dc_offset",)),
        ("WAV PCM_24, length left open", "read to the end", ("audio.header_open_size",)),
    ]


def test_repairs_of_rejected_clips_are_not_listed():
    assert validated([*MANY, index_row(70, text=" ... ", notes="signal.resampled")]).repairs == ()


def test_reasons_to_reject_stand_before_warnings_whenever_they_are_found():
    corpus = corpus_of(index_of([index_row(0, text=SENTENCES[0], snr_db=1.0)]), "az")
    found = judge(corpus, LIMITS)
    later = judge(corpus_of(index_of([index_row(0, text=SENTENCES[0], duration=0.05)]), "az"), LIMITS)
    add(found, [(0, finding) for finding in later[0]])
    assert [finding.rejects for finding in found[0]] == sorted((f.rejects for f in found[0]), reverse=True)
    assert found[0][-1].code == "signal.low_snr"


def test_clips_without_a_licence_are_counted_once_for_the_corpus():
    found = validated([*MANY[2:], *(index_row(n, text=SENTENCES[n], licence="") for n in range(2))])
    assert found.unlicensed == 2
    assert found.warnings == ()


def test_too_many_rejected_clips_stop_the_run_with_the_top_reasons():
    rows = MANY + [index_row(100 + n, duration=0.01) for n in range(20)] + [index_row(200, text="...")]
    with pytest.raises(UserError, match=r"21 of 81 clips \(25.9%\).*max_rejected = 0.25: signal.too_short 20, text.e"):
        validated(rows, limits(max_rejected=0.25, near_text_share=0.0))
    assert len(validated(rows, limits(max_rejected=0.26, near_text_share=0.0)).rejections) == 21


def test_an_empty_index_is_refused():
    with pytest.raises(UserError, match="holds no clip"):
        validated([])


def test_a_corpus_of_one_group_cannot_be_split():
    with pytest.raises(UserError, match="no clip is left"):
        validated([index_row(n, text=SENTENCES[n], group="one") for n in range(20)])


def test_every_step_is_announced_in_order():
    steps = []
    validate(index_of(MANY), APART, "az", progress=steps.append)
    assert tuple(steps) == STEPS


PLAIN = st.text("abcçəğıiöşüABCÇƏĞIİÖŞÜ .,!?", max_size=12)
TROUBLE = st.text("aIiİı\u0307\u00a0\u200b\u0301əә'’-‑ .,:/?!09«»%\n\t\u2028\x00", max_size=12)


@given(PLAIN | TROUBLE | st.text(max_size=12))
def test_the_quick_ways_to_clean_and_normalize_are_those_of_the_text_module(text):
    assert cleaned_text(text) == clean(text)
    assert key_of(text, "az") == normalize(text, "az")


def test_an_unknown_language_is_refused_for_plain_texts_as_well():
    with pytest.raises(ValueError, match="xx"):
        key_of("salam", "xx")


def test_the_stage_writes_what_the_next_stages_read(tmp_path, monkeypatch):
    bad = index_row(70, code="audio.zero_bytes", message="the file is empty", duration=0.0, sha256="")
    out = run_stage(tmp_path / "out", [*MANY, bad], monkeypatch, tmp_path)
    splits = dict(read_splits(out / "splits"))
    assert sum(map(len, splits.values())) == 60
    for name in SPLITS:
        rows = list(read_jsonl(out / "splits" / f"{name}.jsonl"))
        assert all(set(row) == {field.name for field in fields(Utterance)} for row in rows)
        assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)
    report = json.loads((out / "validate.json").read_text())
    assert report["splits"]["test"]["clips"] == len(splits["test"])
    assert {"code", "data", "params"} <= report["provenance"].keys()
    assert (out / "splits" / "README.md").read_text(encoding="utf-8")


def test_the_stage_writes_a_ledger_row_for_every_rejected_repaired_and_warned_clip(tmp_path, monkeypatch):
    bad = index_row(70, code="audio.zero_bytes", message="the file is empty", duration=0.0, sha256="")
    odd = [
        index_row(71, text="Yağış  yağır, külək əsir."),
        index_row(72, text="Çay axır, quş uçur, gün batır.", snr_db=2.0),
    ]
    out = run_stage(tmp_path / "out", [*MANY, bad, *odd], monkeypatch, tmp_path)
    files = {"rejected": Rejection, "repaired": Repair, "warned": Warned}
    found = {}
    for name, kind in files.items():
        (found[name],) = read_jsonl(out / "splits" / f"{name}.jsonl")
        assert set(found[name]) == {field.name for field in fields(kind)}
    assert {key: found["rejected"][key] for key in ("id", "name", "row", "code", "codes", "value", "message")} == {
        "id": "id000070",
        "name": "clip70.wav",
        "row": 70,
        "code": "audio.zero_bytes",
        "codes": ["audio.zero_bytes"],
        "value": None,
        "message": "the file is empty",
    }
    assert (found["repaired"]["id"], found["repaired"]["codes"]) == ("id000071", ["text.spaces"])
    assert (found["warned"]["id"], found["warned"]["codes"]) == ("id000072", ["signal.low_snr"])


def test_texts_of_an_outside_test_set_leave_training_and_count_as_input(tmp_path, monkeypatch):
    outside = "Axşam düşəndə küçələr tamam boşaldı."
    rows = [*MANY, index_row(70, split="train", text=outside)]
    before = run_stage(tmp_path / "one", rows, monkeypatch, tmp_path)
    (tmp_path / "external").mkdir()
    (tmp_path / "external" / "fleurs.txt").write_text(upper(outside), encoding="utf-8")
    after = run_stage(tmp_path / "two", rows, monkeypatch, tmp_path)
    assert [row["code"] for row in read_jsonl(before / "splits" / "rejected.jsonl")] == []
    assert [row["code"] for row in read_jsonl(after / "splits" / "rejected.jsonl")] == ["split.external_overlap"]
    hashes = [json.loads((out / "validate.json").read_text())["provenance"]["data"] for out in (before, after)]
    assert hashes[0] != hashes[1]


def test_two_runs_write_the_same_bytes(tmp_path, monkeypatch):
    first = run_stage(tmp_path / "one", MANY, monkeypatch, tmp_path)
    second = run_stage(tmp_path / "two", MANY, monkeypatch, tmp_path)
    assert contents(first) == contents(second)


def test_a_refused_corpus_leaves_nothing_behind(tmp_path, monkeypatch):
    with pytest.raises(UserError):
        run_stage(tmp_path / "out", [index_row(0, duration=0.01)], monkeypatch, tmp_path)
    assert not (tmp_path / "out").exists()


def test_the_report_names_sizes_reasons_and_the_most_frequent_warnings(tmp_path, monkeypatch, capsys):
    noisy = [index_row(100 + n, text=f"{text} Bəli", snr_db=2.0) for n, text in enumerate(SENTENCES[:3])]
    run_stage(tmp_path / "out", [*MANY, *noisy, index_row(70, duration=0.01)], monkeypatch, tmp_path)
    printed = capsys.readouterr().out
    assert "64 clips in; kept: train " in printed
    assert "rejected: signal.too_short 1" in printed
    assert "3 kept clips have warnings: signal.low_snr 3" in printed


def test_groups_that_the_source_shares_between_splits_are_a_warning(tmp_path, monkeypatch, capsys):
    texts = ("Çayın suyu bu il azdır.", "Kənddə toy çalınır, oynayırlar.", "Uşaq kitabı oxuyub qurtardı.")
    shared = [index_row(100 + n, group="Aysel", split=name, text=texts[n]) for n, name in enumerate(SPLITS)]
    run_stage(tmp_path / "out", MANY + shared, monkeypatch, tmp_path)
    assert "warning: 1 groups" in capsys.readouterr().err


def test_a_corpus_without_a_stated_licence_is_a_warning_of_one_line(tmp_path, monkeypatch, capsys):
    rows = [index_row(n, text=text, licence="") for n, text in enumerate(SENTENCES)]
    run_stage(tmp_path / "out", rows, monkeypatch, tmp_path)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "licence" in line]
    assert "60 kept clips state no licence (manifest.licence)" in line


def test_neither_validation_nor_scoring_loads_a_neural_network_library():
    modules = "stages.validate, asr.scoring.evaluation, asr.text"
    probe = f"import sys, {modules}; print({{'torch', 'transformers'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
