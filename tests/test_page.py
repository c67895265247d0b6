"""Contract: the report is one file that needs nothing else, shows the numbers of the metrics, and trusts no text."""

import base64
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from asr.errors import UserError
from asr.files import write_jsonl, write_text
from asr.pcm import SAMPLE_RATE, Pcm16
from asr.reporting.page import build, corpus, sound
from asr.reporting.page.build import PageInputs, page, write_page
from asr.reporting.page.clips import browsed
from asr.reporting.page.corpus import RejectedClip, rejected_section
from asr.reporting.page.markdown import card_markup
from asr.reporting.page.nested import shown
from asr.reporting.page.sound import COMPACT, FINE, embedded, mp3
from asr.scoring.evaluation import evaluate_pairs
from asr.scoring.wer import Pair
from tests.factories import encoded, speech_like

ROOT = Path(__file__).resolve().parent.parent
HOSTILE = "</script><img src=x onerror=alert(1)><b>salam</b> & \"'"
CARD = """---
language:
- az
---

# Card

Some `code` and **bold**.

| a | b |
| --- | --: |
| x | 1 |

- one
- two
"""
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABpfZFQAAAAABJRU5ErkJggg=="
)


def predictions(count: int = 30, text: str = "") -> list[dict[str, Any]]:
    """Every third clip has a wrong word, every fifth misses one, every seventh has one too many.

    Every tenth is silent; `text` is said in the first.
    """
    rows = []
    for n in range(count):
        said = ["bu", "gün", "hava", "çox", "gözəldir"][: 2 + n % 4]
        heard = [w.replace("ü", "u") if n % 3 == 0 else w for w in said][n % 5 == 0 :] + ["bəli"] * (n % 7 == 0)
        reference, hypothesis = (" ".join(said).capitalize() + ".", " ".join(heard)) if n % 10 != 9 else ("", "")
        rows.append(
            {
                "id": f"clip{n:04d}",
                "reference": text or reference if n == 0 else reference,
                "hypothesis": hypothesis,
                "group": f"g{n % 4}",
                "duration": 0.5 + n % 7 / 4,
                "source": f"s{n % 2}",
                "snr_db": 5.0 + n,
                "capped": n == 3,
                "confidence": round(1 - n / (2 * count), 3),
            }
        )
    return rows


def sounds(rows: list[dict[str, Any]]) -> dict[str, Pcm16]:
    return {row["id"]: speech_like(row["duration"], seed=n) for n, row in enumerate(rows)}


def page_inputs(folder: Path, count: int = 30, text: str = "", **changes: Any) -> PageInputs:
    """A small run whose metrics and predictions agree."""
    rows = predictions(count, text)
    pairs = [Pair(row["id"], row["reference"], row["hypothesis"], row["group"], row["duration"]) for row in rows]
    test = evaluate_pairs(pairs, "az").as_plain()
    (folder / "summary.png").write_bytes(PIXEL)
    write_text(folder / "README.md", CARD)
    row = {"id": "bad", "name": "a.wav", "code": "text.empty", "codes": ["text.empty"], "message": HOSTILE}
    write_jsonl(folder / "rejected.jsonl", [{**row, "value": 1.5, "limit": None, "row": 1, "duration": 1.0}])
    provenance = {"code": "c0de", "data": "da7a", "params": "9a", "device": "cpu", "versions": {"numpy": "2"}}
    inputs = PageInputs(
        validate={"provenance": provenance},
        train={"provenance": provenance},
        evaluate={"provenance": provenance, "test": test, "validation": test},
        predictions=rows,
        rejected=folder / "rejected.jsonl",
        card=folder / "README.md",
        images={"summary": folder / "summary.png"},
        clips=sounds(rows),
        params={"train": {"learning_rate": 0.001, "note": HOSTILE}},
        language="az",
        numbers="keep",
    )
    return replace(inputs, **changes)


class Elements(HTMLParser):
    """Names, attributes and texts of a page, as a browser splits it."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def data_of(text: str, key: str) -> Any:
    found = re.search(rf'<script type="application/json" id="{key}">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def test_the_page_loads_nothing_and_allows_nothing_to_be_loaded(tmp_path: Path) -> None:
    text = page(page_inputs(tmp_path))
    for name, attributes in Elements(text).found:
        for key in ("src", "href", "action", "data", "poster"):
            address = attributes.get(key) or "#"
            assert address.startswith(("data:", "#")), (name, address)
        assert not [key for key in attributes if key == "style" or key.startswith("on")], (name, attributes)
    policy = dict(Elements(text).found[3][1])["content"] or ""
    assert policy.startswith("default-src 'none'; img-src data:; media-src data:;")
    assert "unsafe" not in policy
    assert not re.search(r"@import|url\(|\bfetch\(|XMLHttpRequest|innerHTML|\bimport\b", text.split("<body>")[0])
    assert not re.search(r"https?://", text)


def test_the_policy_names_the_script_and_the_style_that_are_there(tmp_path: Path) -> None:
    text = page(page_inputs(tmp_path))
    style, script = (
        re.search(r"<style>(.*?)</style>", text, re.DOTALL),
        re.search(r"<script>(.*?)</script>", text, re.DOTALL),
    )
    assert style is not None
    assert script is not None
    assert f"style-src {build._hash(style[1])};" in text
    assert f"script-src {build._hash(script[1])};" in text


def test_equal_inputs_give_equal_bytes_in_another_process(tmp_path: Path) -> None:
    write_page(tmp_path / "a.html", page_inputs(tmp_path))
    code = (
        "import sys; from pathlib import Path; from tests.test_page import page_inputs, write_page;"
        "write_page(Path(sys.argv[1]) / 'b.html', page_inputs(Path(sys.argv[1])))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, check=True, env={"PYTHONHASHSEED": "7"})
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_hostile_text_stays_text_wherever_it_comes_from(tmp_path: Path) -> None:
    inputs = page_inputs(tmp_path, text=HOSTILE)
    write_text(
        inputs.card,
        CARD + f"\n{HOSTILE}\n\n# {HOSTILE}\n\n- {HOSTILE}\n\n| {HOSTILE} | b |\n| --- | --- |\n| {HOSTILE} | x |\n",
    )
    evaluate = {**inputs.evaluate, "second": {HOSTILE: {HOSTILE: 1}, "skip": {"skipped": HOSTILE}}}
    text = page(replace(inputs, evaluate=evaluate))
    plain = Elements(page(page_inputs(tmp_path)))
    elements = Elements(text)
    assert "alert(1)" in elements.text
    assert [attributes for name, attributes in elements.found if name == "img"] == [
        attributes for name, attributes in plain.found if name == "img"
    ]
    assert HOSTILE in {clip["reference"] for clip in data_of(text, "data")["clips"]}
    assert text.count("</script>") == page(page_inputs(tmp_path)).count("</script>") == 3


def test_the_summary_shows_the_rates_of_the_metrics_to_two_decimals(tmp_path: Path) -> None:
    inputs = page_inputs(tmp_path)
    test = {**inputs.evaluate["test"], "basic": {"wer": 0.98764}, "baseline": {"skipped": "no base model here"}}
    text = Elements(page(replace(inputs, evaluate={**inputs.evaluate, "test": test}))).text
    for rate in (test["wer"], test["cer"], test["orthographic"]["wer"], test["wer_high"], 0.98764):
        assert f"{100 * rate:.2f}\u00a0%" in text
    assert "no base model here" in text


def test_the_alignments_of_the_page_add_up_to_the_counts_of_the_metrics(tmp_path: Path) -> None:
    inputs = page_inputs(tmp_path)
    steps = [step for clip in data_of(page(inputs), "data")["clips"] for step in clip["words"]]
    errors = [step for step in steps if not isinstance(step, str)]
    test = inputs.evaluate["test"]
    assert sum(said != "" and heard != "" for said, heard in errors) == test["substitutions"]
    assert sum(heard == "" for _, heard in errors) == test["deletions"]
    assert len(steps) - sum(said == "" for said, _ in errors) == test["words"]


@pytest.mark.parametrize("key", ["words", "clips", "insertions"])
def test_metrics_of_another_run_are_refused(tmp_path: Path, key: str) -> None:
    inputs = page_inputs(tmp_path)
    test = {**inputs.evaluate["test"], key: inputs.evaluate["test"][key] + 1}
    with pytest.raises(UserError, match="different runs; run evaluate again"):
        page(replace(inputs, evaluate={"test": test}))


def test_clips_stand_with_most_errors_first() -> None:
    found = browsed(predictions(), "az", "keep")
    assert [clip.errors for clip in found] == sorted((clip.errors for clip in found), reverse=True)


def test_a_page_of_old_metrics_without_new_sections_is_written(tmp_path: Path) -> None:
    inputs = page_inputs(tmp_path)
    known = ("wer", "words", "clips", "substitutions", "deletions", "insertions")
    test = {key: inputs.evaluate["test"][key] for key in known}
    rows = [
        {key: row[key] for key in ("id", "reference", "hypothesis", "group", "duration")} for row in inputs.predictions
    ]
    text = page(replace(inputs, evaluate={"test": test}, train={}, predictions=rows, images={}, clips=None, params={}))
    assert "nothing beyond the rates" in text
    assert "No pictures were drawn" in text
    assert data_of(text, "sounds") == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"evaluate": {}}, "no word error rate of the test split"),
        ({"predictions": [{"id": "a"}]}, "a row without 'reference'; run evaluate again"),
        ({"card": Path("nowhere.md")}, "nowhere.md: missing"),
        ({"rejected": Path("nowhere.jsonl")}, "nowhere.jsonl: missing"),
        ({"images": {"x": Path("nowhere.png")}}, "nowhere.png: missing; run plot again"),
    ],
)
def test_a_missing_input_is_named(tmp_path: Path, changes: Mapping[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        page(page_inputs(tmp_path, **changes))


def test_sounds_are_the_clips_as_mp3_of_the_same_length(tmp_path: Path) -> None:
    inputs = page_inputs(tmp_path, count=6)
    found = data_of(page(inputs), "sounds")
    assert set(found) == {row["id"] for row in inputs.predictions}
    assert inputs.clips is not None
    for clip_id, content in found.items():
        path = tmp_path / "sound.mp3"
        path.write_bytes(base64.b64decode(content))
        heard, rate = soundfile.read(path, dtype="float32")
        said = inputs.clips[clip_id] / 32768
        assert (rate, len(heard)) == (SAMPLE_RATE, len(said))
        assert 0.8 < np.sqrt((heard**2).mean() / (said**2).mean()) < 1.1


@pytest.mark.parametrize(("level", "kilobits"), [(FINE, 48), (COMPACT, 24)])
def test_a_level_keeps_its_size_and_gives_the_same_bytes_twice(level: float, kilobits: int) -> None:
    clip = speech_like(3.42)
    found = mp3(clip, level)
    assert found == mp3(clip, level)
    assert len(found) * 8 / 3.42 / 1000 < kilobits


def test_voices_keep_their_spectrum_below_4_khz_in_the_compact_form(tmp_path: Path) -> None:
    times = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    tones = sum(np.sin(2 * np.pi * hertz * times) for hertz in (200, 700, 1200, 2500)) * 3000
    path = tmp_path / "sound.mp3"
    path.write_bytes(mp3(tones.astype(np.int16), COMPACT))
    heard = np.abs(np.fft.rfft(soundfile.read(path)[0]))
    assert {int(place) // 2 for place in np.argsort(heard)[-4:]} == {200, 700, 1200, 2500}


def test_the_worst_clips_get_sound_while_the_budget_lasts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = page_inputs(tmp_path)
    monkeypatch.setattr(sound, "BUDGET", 40_000)
    text = page(inputs)
    found, order = data_of(text, "sounds"), [clip["id"] for clip in data_of(text, "data")["clips"]]
    assert 0 < len(found) < len(order)
    assert set(found) == set(order[: len(found)])
    assert sum(map(len, found.values())) <= 40_000


def test_long_corpora_are_compressed_harder(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = predictions(6)
    levels = []
    monkeypatch.setattr(sound, "mp3", lambda _, level: levels.append(level) or encoded(np.zeros(4)))
    embedded([rows[0]["id"]], 600.0, sounds(rows))
    embedded([rows[0]["id"]], 3420.0, sounds(rows))
    assert levels == [FINE, COMPACT]


def test_rejected_clips_are_counted_by_reason_and_the_listed_ones_shared_out() -> None:
    clips = [RejectedClip(f"a{n:04d}", "", "text.empty", None, None, "") for n in range(500)]
    clips += [RejectedClip("b", "b.wav", "audio.truncated", 0.5, 1.0, "cut")]
    text = rejected_section(clips)
    assert text.count('<th scope="row">') == corpus.MOST_REJECTED
    assert "501 clips" in text
    assert "<b>500</b><code>text.empty</code>" in text
    assert "<td>0.5</td><td>1</td><td>cut</td>" in text


def test_nested_numbers_become_tables_of_alike_records_in_the_order_of_their_numbers() -> None:
    noise = {
        "white": {"10": {"wer": 0.1, "clips": 6}, "5": {"wer": 0.25, "clips": 1234}},
        "clean": {"wer": None, "clips": 6},
    }
    text = Elements(shown({**noise, "beams": 1, "kinds": ["a", "b"], "list": [{"x": 1.23456}]}, "noise")).text
    assert text.index("white · 5") < text.index("white · 10")
    for part in ("25.00\u00a0%", "1,234", "–", "a, b", "1.235"):
        assert part in text
    assert "WERclipswhite · 525.00\u00a0%1,234white · 10" in text


def test_a_skipped_section_says_why() -> None:
    assert "no base model" in shown({"skipped": "no base model"}, "baseline")


def test_a_card_keeps_its_headings_tables_lists_and_front_matter() -> None:
    text = card_markup(CARD)
    for part in ("<h3>Card</h3>", "<code>code</code>", "<b>bold</b>", "<td>1</td>", "<li>two</li>", "<pre>language:"):
        assert part in text
