"""Contract: the stage plot draws five pictures from small files, with equal bytes, and prints a summary in words."""

import itertools
import sys
from dataclasses import replace
from pathlib import Path

import matplotlib
import pytest
from matplotlib.text import Text

from asr.corpus.ledger import Total
from asr.corpus.statistics import CHARACTERS, DURATIONS, SNR, group_rows
from asr.errors import UserError
from asr.files import read_json, write_json, write_jsonl, write_text, write_tsv
from asr.reporting.figures import corpus_figure
from asr.reporting.overview import summary_figure
from asr.reporting.results import CorpusResult, SplitSize, SplitSizes, read_results
from asr.reporting.sections import BaselineResult
from asr.reporting.style import house_style
from asr.reporting.summary import summary
from asr.reporting.tables import Bars, CorpusTables, Curve, read_bars, read_confusions
from asr.scoring.wer import Pair
from asr.text import NORMALIZER_VERSION
from stages import plot as stage
from tests.pipeline import snapshot
from tests.plotting import Tones, write_inputs

ROOT = Path(__file__).resolve().parent.parent
IMAGES = {"data.png", "training.png", "evaluation.png", "conditions.png", "summary.png"}


def run_stage(root, images):
    """Runs the script in this process with its default paths under `root`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setattr(sys, "argv", ["plot", "--params", str(ROOT / "presets/sample.yaml"), "--images", images])
        patch.setattr(stage, "ClipStore", lambda _: Tones())
        stage.main()
    return {path.name: path.read_bytes() for path in (root / images).iterdir()}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Inputs, and the pictures drawn from them once."""
    root = tmp_path_factory.mktemp("drawn")
    write_inputs(root)
    return root, run_stage(root, "images")


def test_the_stage_draws_five_pictures(drawn):
    assert set(drawn[1]) == IMAGES
    assert all(image.startswith(b"\x89PNG") for image in drawn[1].values())


def test_the_stage_writes_the_records_and_the_page_with_equal_bytes(drawn, tmp_path):
    write_inputs(tmp_path)
    run_stage(tmp_path, "images")
    assert snapshot(drawn[0], "plots/records") == snapshot(tmp_path, "plots/records")
    assert len(snapshot(tmp_path, "plots/records")) == 9
    assert (drawn[0] / "plots/report.html").read_bytes() == (tmp_path / "plots/report.html").read_bytes()


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
    for part in (
        "60 clips, 411 words",
        "1 of 2 clips without speech",
        "2,000 steps",
        "text.char_rate 12",
        NORMALIZER_VERSION,
    ):
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


@pytest.mark.parametrize("baseline", [None, BaselineResult(wer=1.234)])
def test_no_words_overlap_in_the_summary_picture(drawn, baseline):
    results = read_results(*(drawn[0] / f"metrics/{name}.json" for name in ("validate", "train", "evaluate")))
    test = replace(results.test, baseline=baseline, basic=results.test.orthographic)
    results = replace(results, test=test, validation=replace(test, wer_high=1.5))
    with house_style():
        figure = summary_figure(results, Curve((1, 10_000), (9.5, 0.1)), Curve((5_000, 10_000), (1.2, 0.231)))
    texts = texts_of(figure)
    assert {"WER before training" if baseline else "test clips", "WER under Whisper's normaliser"} <= dict(texts).keys()
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
