"""The stage plot: four pictures from small files, equal bytes, and a summary in words."""

import itertools
import math
import sys
from dataclasses import replace
from pathlib import Path

import matplotlib
import pytest
from matplotlib.text import Text

from asr.corpus.ledger import Total
from asr.corpus.statistics import CHARACTERS, CHARACTERS_PER_SECOND, DURATIONS, SNR, group_rows
from asr.errors import UserError
from asr.files import read_json, write_json, write_jsonl, write_text, write_tsv
from asr.reporting.figures import corpus_figure
from asr.reporting.results import (
    Bars,
    CorpusResult,
    CorpusTables,
    SplitSize,
    SplitSizes,
    read_bars,
    read_confusions,
    read_results,
)
from asr.reporting.style import house_style
from asr.reporting.summary import summary
from asr.scoring.evaluation import evaluate_pairs
from asr.scoring.slices import TSV_COLUMNS
from asr.scoring.wer import Pair
from stages import plot as stage

ROOT = Path(__file__).resolve().parent.parent
IMAGES = {"data.png", "training.png", "evaluation.png", "summary.png"}
WORDS = ["salam", "dünya", "bu", "gün", "hava", "çox", "gözəldir", "kitab", "oxumaq", "istəyirəm", "Bakı", "şəhərində"]
PERCENTILES = {"p1": 1.0, "p5": 1.5, "p50": 2.5, "p95": 4.0, "p99": 5.0}
CORPUS = {
    "clips_in": 1320,
    "clips_kept": 1274,
    "hours_kept": 1.21,
    "negatives": 12,
    "quantiles": {"duration": PERCENTILES, "characters_per_second": PERCENTILES, "snr_db": PERCENTILES},
    "splits": {
        "train": {"clips": 1000, "hours": 0.98, "groups": 110},
        "validation": {"clips": 140, "hours": 0.12, "groups": 16},
        "test": {"clips": 134, "hours": 0.11, "groups": 16},
    },
}


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


def bell(scale, middle, height):
    """Labels of bins and counts that rise and fall around one of them."""
    return [(scale.label(i), round(height * math.exp(-((i - middle) ** 2) / 9))) for i in range(2 * middle)]


def write_corpus_tables(folder, rejected):
    """The tables of validate, with its labels."""
    write_tsv(folder / "durations.tsv", ("seconds", "clips"), bell(DURATIONS, 5, 300))
    write_tsv(folder / "text_lengths.tsv", ("characters", "clips"), bell(CHARACTERS, 4, 320))
    columns = ("characters_per_second", "clips")
    write_tsv(folder / "characters_per_second.tsv", columns, bell(CHARACTERS_PER_SECOND, 13, 250))
    write_tsv(folder / "snr.tsv", ("snr_db", "clips"), bell(SNR, 6, 280))
    groups = [("00001", 2, 0.01), ("00002-00004", 0, 0.0), ("00005-00009", 140, 1.2)]
    write_tsv(folder / "groups.tsv", ("clips_per_group", "groups", "hours"), groups)
    columns = ("source", "clips_kept", "hours_kept", "clips_rejected", "hours_rejected")
    write_tsv(folder / "sources.tsv", columns, [("sample", 1274, 1.21, 46, 0.1)])
    write_tsv(folder / "rejected.tsv", ("code", "clips"), sorted(rejected.items(), key=lambda kv: -kv[1]))
    write_tsv(folder / "warned.tsv", ("code", "clips"), [("text.digits", 40), ("signal.negative_example", 12)])


def write_inputs(root, pairs=None):
    """All files that plot reads, as the earlier stages write them."""
    pairs = pairs or made_up_pairs()
    evaluation = evaluate_pairs(pairs, "az")
    rejected = {"audio.truncated": 1, "text.empty": 2, "text.char_rate": 12, "split.text_overlap": 31}
    write_json(root / "metrics/validate.json", {**CORPUS, "rejected": rejected})
    write_json(
        root / "metrics/train.json",
        {"steps": 2000, "best_step": 1500, "best_validation_wer": 0.231, "seconds_of_audio": 51234.5, "loss": 1.2},
    )
    write_json(root / "metrics/evaluate.json", {name: evaluation.as_plain() for name in ("test", "validation")})
    tables = root / "plots"
    write_corpus_tables(tables / "validate", rejected)
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
    for name, columns in (("rejected", ("code", "clips")), ("warned", ("code", "clips"))):
        write_tsv(tmp_path / f"plots/validate/{name}.tsv", columns, [])
    assert set(run_stage(tmp_path, "images")) == IMAGES


def bars(*rows):
    labels, values = zip(*rows, strict=True) if rows else ((), ())
    return Bars(tuple(labels), tuple(map(float, values)))


def corpus_result(**changes):
    splits = SplitSizes(*(SplitSize(1, hours, 1) for hours in (333.4861, 0.0, 0.0005)))
    percentiles = {"p1": 0.3, "p5": 1.0, "p50": 12.0, "p95": 25.0, "p99": 119.0}
    quantiles = dict.fromkeys(("duration", "characters_per_second", "snr_db"), percentiles)
    return replace(CorpusResult(351_019, 351_000, 333.49, {}, quantiles, splits), **changes)


SKEWED = CorpusTables(
    durations=bars(("00.0-00.5", 300_000), *((DURATIONS.label(n), 0) for n in range(1, 60)), ("30.0+", 51_000)),
    text_lengths=bars(*((CHARACTERS.label(n), 351_000 >> n) for n in range(31))),
    characters_per_second=bars(("00-01", 351_000)),
    snr=bars(*((SNR.label(n), 7 * (n == 1) + 350_000 * (n == 12)) for n in range(13))),
    groups=bars(*((label, n) for label, n, _ in group_rows([Total(10_000, 1)] * 350_000))),
    sources=bars(
        *((f"some-organisation/a-very-long-data-set-name-{n}", 333 / 4**n) for n in range(20)), ("(others)", 2)
    ),
    rejected=bars(
        ("manifest.near_duplicate_audio", 300_000), *((f"manifest.conflicting_text_{n}", 1) for n in range(40))
    ),
    warned=bars(("split.near_conflicting_text", 1_234_567)),
)
EMPTY = CorpusTables(
    bars(("00.0-00.5", 3)), bars(("000-009", 3)), bars(), bars(), bars(), bars(("x", 0.001)), bars(), bars()
)


def texts_of(figure):
    """Words and place in pixels of everything written in a figure that can be seen."""
    with house_style():
        figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    shown = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    ticks = {id(label) for axes in all_axes(figure) for label in hidden_labels(axes)}
    return [(text.get_text(), text.get_window_extent(renderer)) for text in shown if id(text) not in ticks]


def all_axes(figure):
    return [axes for part in figure.subfigs for axes in part.axes]


def hidden_labels(axes):
    """Labels of ticks that are switched off or beyond the axis."""
    for axis, (low, high) in ((axes.xaxis, sorted(axes.get_xlim())), (axes.yaxis, sorted(axes.get_ylim()))):
        for tick in axis.get_major_ticks():
            if not axes.axison or not tick.label1.get_visible() or not low <= tick.get_loc() <= high:
                yield tick.label1
            yield tick.label2


def collisions(texts, width, height):
    clashes = [(a, b) for (a, here), (b, there) in itertools.combinations(texts, 2) if here.overlaps(there)]
    return clashes + [(a, "edge") for a, box in texts if box.x0 < 0 or box.y0 < 0 or box.x1 > width or box.y1 > height]


@pytest.mark.parametrize(
    ("corpus", "tables"),
    [
        (corpus_result(), SKEWED),
        (corpus_result(quantiles={}), EMPTY),
        (corpus_result(), replace(SKEWED, warned=SKEWED.rejected, snr=SKEWED.text_lengths)),
    ],
)
def test_no_words_overlap_in_the_picture_of_an_ugly_corpus(corpus, tables):
    with house_style():
        figure = corpus_figure(corpus, tables)
    texts = texts_of(figure)
    assert {"Clip length", "Kept with a warning"} <= {words for words, _ in texts}
    assert collisions(texts, *figure.canvas.get_width_height()) == []


def test_words_that_overlap_would_be_noticed():
    with house_style():
        figure = corpus_figure(corpus_result(), SKEWED)
        all_axes(figure)[0].set_title("a title that is far too long for the panel that it stands above" * 2)
    assert collisions(texts_of(figure), *figure.canvas.get_width_height())


def test_long_rankings_end_in_the_sum_of_the_others():
    with house_style():
        figure = corpus_figure(corpus_result(), SKEWED)
    words = [text for text, _ in texts_of(figure)]
    assert words.count("29 others") == words.count("29") == 1


def test_labels_lose_the_zeros_that_they_have_for_sorting():
    with house_style():
        figure = corpus_figure(corpus_result(), SKEWED)
    words = {text for text, _ in texts_of(figure)}
    assert {"1", "2 to 4", "100 to 199", "10000+"} <= words


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
