"""The stage plot: four pictures from small files, equal bytes, and a summary in words."""

import math
import sys
from pathlib import Path

import matplotlib
import pytest

from asr.errors import UserError
from asr.files import read_json, write_json, write_jsonl, write_text, write_tsv
from asr.reporting.results import read_bars, read_confusions, read_results
from asr.reporting.summary import summary
from asr.scoring.evaluation import evaluate_pairs
from asr.scoring.slices import TSV_COLUMNS
from asr.scoring.wer import Pair
from stages import plot as stage

ROOT = Path(__file__).resolve().parent.parent
IMAGES = {"data.png", "training.png", "evaluation.png", "summary.png"}
WORDS = ["salam", "dünya", "bu", "gün", "hava", "çox", "gözəldir", "kitab", "oxumaq", "istəyirəm", "Bakı", "şəhərində"]


def made_up_pairs(count=60):
    """Texts of three to eleven words, every fifth word wrong, the odd one lost; two clips of silence."""
    pairs = [Pair(f"silence{n}", "", "salam" * n, "", 1.0) for n in range(2)]
    for n in range(count):
        said = [WORDS[(n * 7 + k * 3) % len(WORDS)] for k in range(3 + n % 9)]
        heard = [w.replace("ü", "u").replace("ə", "e") if (n + k) % 5 == 0 else w for k, w in enumerate(said)]
        pairs.append(
            Pair(
                f"clip{n}",
                " ".join(said) + "." * (n % 3),
                " ".join(heard[n % 7 == 0 :]),
                f"g{n % 12}",
                0.5 + len(said) / 2,
            )
        )
    return pairs


def write_inputs(root, pairs=None):
    """All files that plot reads, as the earlier stages write them."""
    pairs = pairs or made_up_pairs()
    evaluation = evaluate_pairs(pairs, "az")
    rejected = {"audio.truncated": 1, "text.empty": 2, "text.char_rate": 12, "split.text_overlap": 31}
    write_json(
        root / "metrics/validate.json",
        {"clips_in": 1320, "clips_kept": 1274, "hours_kept": 1.21, "rejected": rejected, "negatives": 12},
    )
    write_json(
        root / "metrics/train.json",
        {"steps": 2000, "best_step": 1500, "best_validation_wer": 0.231, "seconds_of_audio": 51234.5, "loss": 1.2},
    )
    write_json(root / "metrics/evaluate.json", {name: evaluation.as_plain() for name in ("test", "validation")})
    tables = root / "plots"
    durations = [(f"{i / 2}-{i / 2 + 0.5}", round(300 * math.exp(-((i - 5) ** 2) / 12))) for i in range(18)]
    write_tsv(tables / "validate/durations.tsv", ("seconds", "clips"), durations)
    lengths = [(f"{i * 10}-{i * 10 + 9}", round(320 * math.exp(-((i - 3) ** 2) / 6))) for i in range(11)]
    write_tsv(tables / "validate/text_lengths.tsv", ("characters", "clips"), lengths)
    write_tsv(tables / "validate/rejected.tsv", ("code", "clips"), sorted(rejected.items(), key=lambda kv: -kv[1]))
    steps = range(20, 2001, 20)
    wobble = [0.1 * math.sin(step) for step in steps]
    loss = [
        (s, 5 * math.exp(-s / 500) + 1.1 + w, 4 * math.exp(-s / 300) + 0.4 + w)
        for s, w in zip(steps, wobble, strict=True)
    ]
    write_tsv(tables / "train/loss.tsv", ("step", "loss", "ctc_loss"), loss)
    rates = [(s, 2e-3 * min(s / 200, (2000 - s) / 1800)) for s in steps]
    write_tsv(tables / "train/learning_rate.tsv", ("step", "learning_rate"), rates)
    norms = [(s, 2 + 8 * math.exp(-s / 200) + 5 * w) for s, w in zip(steps, wobble, strict=True)]
    write_tsv(tables / "train/gradient_norm.tsv", ("step", "gradient_norm"), norms)
    write_tsv(
        tables / "train/validation_wer.tsv", ("step", "wer"), [(500, 0.61), (1000, 0.33), (1500, 0.231), (2000, 0.238)]
    )
    write_tsv(tables / "evaluate/wer_by_duration.tsv", TSV_COLUMNS, (part.as_row() for part in evaluation.slices))
    write_jsonl(
        root / "data/predictions/test.jsonl",
        ({"id": p.id, "reference": p.reference, "hypothesis": p.hypothesis} for p in pairs),
    )


def run_stage(root, images):
    """Runs the script in this process with its default paths under `root`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setattr(sys, "argv", ["plot", "--params", str(ROOT / "presets/sample.yaml"), "--images", images])
        stage.main()
    return {path.name: path.read_bytes() for path in (root / images).iterdir()}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Inputs, and the pictures drawn from them once."""
    root = tmp_path_factory.mktemp("drawn")
    write_inputs(root)
    return root, run_stage(root, "images")


def test_the_stage_draws_four_pictures(drawn):
    assert set(drawn[1]) == IMAGES
    assert all(image.startswith(b"\x89PNG") for image in drawn[1].values())


def test_a_picture_carries_no_version_and_no_time(drawn):
    for image in drawn[1].values():
        assert not any(chunk in image for chunk in (b"tEXt", b"iTXt", b"tIME"))


def test_a_second_run_draws_the_same_bytes_whatever_the_users_own_settings(drawn):
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "red", "xtick.direction": "in"}):
        assert run_stage(drawn[0], "again") == drawn[1]


def test_a_picture_follows_its_numbers_and_no_others(tmp_path, drawn):
    write_inputs(tmp_path)
    write_tsv(tmp_path / "plots/train/gradient_norm.tsv", ("step", "gradient_norm"), [(1, 2.0), (2, 3.0)])
    changed = run_stage(tmp_path, "images")
    assert {name for name in IMAGES if changed[name] != drawn[1][name]} == {"training.png"}


def test_the_summary_says_what_a_reader_needs(drawn):
    root = drawn[0]
    test = read_json(root / "metrics/evaluate.json")["test"]
    said = summary(read_results(*(root / f"metrics/{name}.json" for name in ("validate", "train", "evaluate"))))
    assert f"WER {100 * test['wer']:.2f} % [{100 * test['wer_low']:.2f}, {100 * test['wer_high']:.2f}]" in said
    for part in ("60 clips, 411 words", "1 of 2 clips without speech", "2,000 steps", "text.char_rate 12", "az-1"):
        assert part in said


def test_a_run_without_rejections_and_errors_is_drawn_too(tmp_path):
    write_inputs(tmp_path, [Pair("a", "salam dünya", "salam dünya", "", 1.2)])
    write_tsv(tmp_path / "plots/validate/rejected.tsv", ("code", "clips"), [])
    assert set(run_stage(tmp_path, "images")) == IMAGES


@pytest.mark.parametrize(
    "missing", ["metrics/train.json", "plots/validate/rejected.tsv", "data/predictions/test.jsonl"]
)
def test_a_missing_input_is_named_and_old_pictures_stay(tmp_path, missing):
    write_inputs(tmp_path)
    write_text(tmp_path / "images/data.png", "old")
    (tmp_path / missing).unlink()
    with pytest.raises(UserError, match=f"{missing}: missing"):
        run_stage(tmp_path, "images")
    assert (tmp_path / "images/data.png").read_text() == "old"


def test_confusions_are_counted_on_normalised_words(tmp_path):
    rows = [
        {"reference": "Gün, gün!", "hypothesis": "gun gun"},
        {"reference": "bəli", "hypothesis": "BƏLİ"},
        {"reference": "su", "hypothesis": "şu"},
    ]
    write_jsonl(tmp_path / "test.jsonl", rows)
    found = read_confusions(tmp_path / "test.jsonl", "az", 10)
    assert dict(zip(found.labels, found.values, strict=True)) == {"gün → gun": 2, "su → şu": 1}
    assert read_confusions(tmp_path / "test.jsonl", "az", 1).labels == ("gün → gun",)


def test_a_missing_metric_is_named(tmp_path):
    write_inputs(tmp_path)
    metrics = read_json(tmp_path / "metrics/evaluate.json")
    del metrics["test"]["orthographic"]["wer"]
    write_json(tmp_path / "metrics/evaluate.json", metrics)
    paths = [tmp_path / f"metrics/{name}.json" for name in ("validate", "train", "evaluate")]
    with pytest.raises(UserError, match=r"evaluate.json: test.orthographic.wer is missing"):
        read_results(*paths)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", "no column 'seconds'"),
        ("seconds\twer\n", "no column 'clips'"),
        ("seconds\tclips\n1-2\tx\n", "could not convert"),
        ("seconds\tclips\n1-2\n", "line 2 has 1 cells instead of 2"),
    ],
)
def test_a_broken_table_is_refused(tmp_path, table, message):
    write_text(tmp_path / "table.tsv", table)
    with pytest.raises(UserError, match=message):
        read_bars(tmp_path / "table.tsv", "seconds", "clips")
