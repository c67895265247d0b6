"""Contract: in a browser, offline, the report shows the numbers, filters, sorts, plays, draws, and obeys the keyboard.

Skipped where there is no Chromium or no playwright.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from asr.reporting.page.build import PageInputs, write_page
from asr.reporting.page.clips import browsed
from asr.scoring.wer import score
from tests.test_page import HOSTILE, page_inputs

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (requirements-dev.txt)")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH")

CLIPS = 110
PORTION = 50


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> PageInputs:
    return page_inputs(tmp_path_factory.mktemp("inputs"), CLIPS, HOSTILE)


@pytest.fixture(scope="module")
def file(inputs: PageInputs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_page(path, inputs)
    return path


@pytest.fixture
def complaints() -> list[str]:
    return []


@pytest.fixture
def tab(browser: Any, file: Path, complaints: list[str]) -> Iterator[Any]:
    """The page, freshly opened; every test ends with a look at what the browser complained of."""
    tab = browser.new_page(viewport={"width": 1200, "height": 800})
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("dialog", lambda dialog: (complaints.append("dialog"), dialog.dismiss()))
    tab.on("request", lambda request: None if request.url.startswith("data:") else complaints.append(request.url))
    tab.goto(file.as_uri())
    assert complaints.pop(0) == file.as_uri()
    yield tab
    tab.close()
    assert complaints == []


def ids(tab: Any) -> list[str]:
    return tab.locator(".clip").evaluate_all("rows => rows.map(row => row.dataset.id)")


def wait_until(tab: Any, expression: str) -> None:
    """Playwright's own way evaluates a string inside the page, which its policy forbids."""
    for _ in range(250):
        if tab.evaluate(expression):
            return
        tab.wait_for_timeout(20)
    pytest.fail(f"within 5 s never true: {expression}")


def percent(rate: float) -> str:
    return f"{100 * rate:.2f}\u00a0%"


def current(tab: Any) -> str:
    return tab.locator(".clip.current").get_attribute("data-id")


def rate_of(rows: list[dict[str, Any]], ids: set[str], inputs: PageInputs) -> float:
    """Counted by the score's own code."""
    chosen = [row for row in rows if row["id"] in ids]
    return score([r["reference"] for r in chosen], [r["hypothesis"] for r in chosen], inputs.language).normalized.wer


def test_the_rates_of_the_metrics_are_shown_and_equal_those_of_all_clips(tab: Any, inputs: PageInputs) -> None:
    test = inputs.evaluate["test"]
    assert tab.locator("#wer").inner_text() == percent(test["wer"])
    assert tab.locator("#selection-wer").inner_text() == percent(test["wer"])
    assert f"{test['words']:,} words" in tab.locator("#status").inner_text()


def test_hostile_text_is_shown_and_does_not_run(tab: Any) -> None:
    tab.fill("[name=text]", "onerror=alert")
    assert ids(tab) == ["clip0000"]
    tab.click(".clip .head")
    assert HOSTILE in tab.locator(".texts").inner_text()


def test_an_injected_script_is_stopped_by_the_policy(tab: Any, complaints: list[str]) -> None:
    tab.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=\"data:,\" onerror=\"window.ran = 1\">')")
    tab.wait_for_timeout(100)
    assert tab.evaluate("window.ran") is None
    assert "Content Security Policy" in complaints.pop()


def test_rows_come_in_portions(tab: Any) -> None:
    assert len(ids(tab)) == PORTION
    tab.click("#more")
    assert len(ids(tab)) == 2 * PORTION
    tab.click("#more")
    assert len(ids(tab)) == CLIPS
    assert tab.locator("#more").is_hidden()


@pytest.mark.parametrize(
    ("field", "value", "keeps"),
    [
        ("text", "ÇOX", lambda row: "çox" in row["reference"]),
        ("group", "=g1", lambda row: row["group"] == "g1"),
        ("source", "=s1", lambda row: row["source"] == "s1"),
        ("shortest", "1.5", lambda row: row["duration"] >= 1.5),
        ("longest", "1", lambda row: row["duration"] <= 1.0),
        ("confidence", "0.7", lambda row: row["confidence"] < 0.7),
    ],
)
def test_a_filter_keeps_the_right_clips_and_gives_their_rate(
    tab: Any, inputs: PageInputs, field: str, value: str, keeps: Any
) -> None:
    rows = list(inputs.predictions)
    wanted = {row["id"] for row in rows if keeps(row)}
    place = tab.locator(f"#filters [name={field}]")
    place.select_option(value) if place.evaluate("node => node.tagName") == "SELECT" else place.fill(value)
    while tab.locator("#more").is_visible():
        tab.click("#more")
    assert set(ids(tab)) == wanted
    assert 0 < len(wanted) < len(rows)
    assert tab.locator("#selection-wer").inner_text() == percent(rate_of(rows, wanted, inputs))
    tab.click("[type=reset]")
    wait_until(tab, f"document.getElementById('status').textContent.startsWith('{CLIPS} of')")


@pytest.mark.parametrize(
    ("kind", "present"),
    [("errors", ".sub, .gone, .more"), ("substitution", ".sub"), ("deletion", ".gone"), ("insertion", ".more")],
)
def test_a_kind_of_error_is_in_every_clip_that_is_shown_for_it(tab: Any, kind: str, present: str) -> None:
    tab.select_option("[name=kind]", kind)
    rows = tab.locator(".clip")
    assert rows.count() > 0
    assert rows.count() == tab.locator(".clip", has=tab.locator(present)).count()


@pytest.mark.parametrize(
    ("order", "key"),
    [
        ("errors", lambda clip: -clip.errors),
        ("longest", lambda clip: -clip.duration),
        ("shortest", lambda clip: clip.duration),
        ("confidence", lambda clip: clip.confidence),
        ("snr", lambda clip: clip.snr_db),
        ("wer", lambda clip: -clip.errors / clip.words if clip.words else 1),
        ("id", lambda clip: clip.id),
    ],
)
def test_clips_are_sorted_as_chosen(tab: Any, inputs: PageInputs, order: str, key: Any) -> None:
    tab.select_option("[name=order]", order)
    by_id = {clip.id: clip for clip in browsed(inputs.predictions, inputs.language, inputs.numbers)}
    keys = [key(by_id[clip_id]) for clip_id in ids(tab)]
    assert keys == sorted(map(key, by_id.values()))[:PORTION]


def test_a_clip_plays_and_another_one_stops_it(tab: Any, inputs: PageInputs) -> None:
    durations = {row["id"]: row["duration"] for row in inputs.predictions}
    for number in (0, 1):
        tab.locator(".play").nth(number).click()
        wait_until(tab, f"document.querySelectorAll('.clip')[{number}].sound.currentTime > 0.05")
        length = tab.evaluate(f"document.querySelectorAll('.clip')[{number}].sound.duration")
        assert abs(length - durations[ids(tab)[number]]) < 0.2
    assert tab.evaluate("document.querySelectorAll('.clip')[0].sound.paused")


def test_an_opened_clip_shows_waveform_and_spectrogram(tab: Any) -> None:
    tab.locator(".clip .head").first.click()
    for kind, colors in (("wave", 1), ("spectrum", 50)):
        found = f"""(() => {{
            const canvas = document.querySelector('canvas.{kind}');
            const image = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
            return canvas.width > 400 && new Set(new Uint32Array(image.data.buffer)).size;
        }})()"""
        wait_until(tab, f"{found} > {colors}")


def test_a_tone_lights_up_at_its_own_height(tab: Any) -> None:
    """The transform, held against a sine: 2 kHz is bin 64 of 256 up to 8 kHz."""
    strongest = tab.evaluate("""() => {
        const real = new Float32Array(512).map((_, i) => Math.sin(2 * Math.PI * 2000 * i / 16000));
        const imaginary = new Float32Array(512);
        transform(real, imaginary);
        const power = [...real.slice(0, 256)].map((re, k) => re ** 2 + imaginary[k] ** 2);
        return [power.indexOf(Math.max(...power)), Math.sqrt(Math.max(...power))];
    }""")
    assert strongest[0] == 64
    assert abs(strongest[1] - 256) < 0.1


def test_all_is_done_from_the_keyboard(tab: Any) -> None:
    shown = ids(tab)
    for key, place in (("j", 0), ("j", 1), ("ArrowDown", 2), ("k", 1), ("ArrowUp", 0)):
        tab.keyboard.press(key)
        assert current(tab) == shown[place]
    tab.keyboard.press("Enter")
    assert tab.locator(".clip.current .head").get_attribute("aria-expanded") == "true"
    tab.keyboard.press("Space")
    wait_until(tab, "!document.querySelector('.clip.current').sound.paused")
    assert tab.locator(".clip.current .head").get_attribute("aria-expanded") == "true"
    tab.keyboard.press("?")
    assert tab.locator("#help").is_visible()
    tab.keyboard.press("Escape")
    assert not tab.locator("#help").is_visible()
    tab.keyboard.press("/")
    tab.keyboard.type("jk/?")
    assert tab.input_value("[name=text]") == "jk/?"
    tab.keyboard.press("Escape")
    assert tab.evaluate("document.activeElement.tagName") == "BODY"


def test_moving_on_beyond_the_last_row_brings_more(tab: Any) -> None:
    tab.locator(".clip .head").last.focus()
    tab.keyboard.press("j")
    assert len(ids(tab)) == 2 * PORTION
    assert current(tab) == ids(tab)[PORTION]


def test_every_control_has_a_name(tab: Any) -> None:
    nameless = tab.evaluate("""() => [...document.querySelectorAll('button, input, select, audio, canvas, img')]
        .filter(node => !(node.labels && node.labels.length) && !node.getAttribute('aria-label')
            && !node.textContent.trim() && !node.alt).map(node => node.outerHTML)""")
    assert nameless == []


@pytest.mark.parametrize("width", [360, 1200])
def test_nothing_sticks_out_sideways(tab: Any, width: int) -> None:
    tab.set_viewport_size({"width": width, "height": 740})
    tab.locator(".clip .head").first.click()
    tab.evaluate("document.querySelectorAll('details').forEach(fold => { fold.open = true; })")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    outside = tab.evaluate("""() => [...document.querySelectorAll('section *')]
        .filter(node => !node.closest('.wide, pre, .sr') && node.getBoundingClientRect().right > innerWidth)
        .map(node => node.outerHTML)""")
    assert outside == []
