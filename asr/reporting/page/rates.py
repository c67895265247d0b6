"""The summary: the headline rates with their intervals, what each of them means, and how they compare."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from asr.errors import UserError
from asr.reporting.page.markup import NBSP, NOTHING, Html, count, element, joined, percent, section, table
from asr.reporting.page.nested import SKIPPED

SPLITS = ("test", "validation")
SHOWN = frozenset({"orthographic", "basic", "full_window", "baseline", "silence", "sentences", "normalizer"})
"""Sections of a split that the summary shows."""

_FORMS = {
    "orthographic": "with case and punctuation",
    "basic": "Whisper's BasicTextNormalizer",
    "full_window": "padded to the full window",
    "baseline": "the base model, before training",
}
"""Sections that are rates on the same clips, and what they are called."""
_AXIS = 240
"""Units of the drawn axis; the drawing scales with its cell."""


@dataclass(frozen=True)
class Rate:
    """Error rates of one system on one split in one form of the texts; None where the file does not say."""

    name: str
    wer: float
    low: float | None
    high: float | None
    cer: float | None
    substitutions: int | None
    deletions: int | None
    insertions: int | None
    words: int | None
    clips: int | None

    @classmethod
    def of(cls, name: str, content: Mapping[str, Any]) -> "Rate":
        """From a section of the metrics file."""
        counts = (content.get(key) for key in ("substitutions", "deletions", "insertions", "words", "clips"))
        return cls(name, content["wer"], content.get("wer_low"), content.get("wer_high"), content.get("cer"), *counts)

    @property
    def interval(self) -> str:
        """In words."""
        if self.low is None or self.high is None:
            return NOTHING
        return f"{100 * self.low:.2f} to {percent(self.high)}"


@dataclass(frozen=True)
class Tile:
    """One number, its name, and what it says."""

    value: str
    name: str
    meaning: str


def summary(evaluate: Mapping[str, Any]) -> Html:
    """The first part of the page.

    Raises:
        UserError: the metrics lack the test split or its word error rate.
    """
    test = evaluate.get("test")
    if not isinstance(test, Mapping) or not isinstance(test.get("wer"), float):
        raise UserError("metrics/evaluate.json: no word error rate of the test split; run evaluate again")
    rates = [rate for name in SPLITS for rate in _rates(name, evaluate.get(name, {}))]
    skipped = [
        element("p", f"{_FORMS[key].capitalize()}: {test[key][SKIPPED]}.", class_="note")
        for key in _FORMS
        if isinstance(test.get(key), Mapping) and SKIPPED in test[key]
    ]
    return section(
        "summary", "Summary", _headline(Rate.of("test", test), test), _tiles(test), _comparison(rates), *skipped
    )


def _headline(rate: Rate, test: Mapping[str, Any]) -> Html:
    groups = f", resampled by {count(test.get('groups'))} groups" if "groups" in test else ""
    return element(
        "div",
        element("p", "Test word error rate", class_="label"),
        element("p", percent(rate.wer), class_="big", id="wer"),
        element("p", f"95{NBSP}% interval {rate.interval}{groups}", class_="interval"),
        element(
            "p",
            "Of a hundred words said, so many were replaced, left out or added. In 95 of 100 such tests the interval "
            "holds the rate that endless speech of this kind would have.",
            class_="note",
        ),
        class_="headline",
    )


def _tiles(test: Mapping[str, Any]) -> Html:
    boxes = (
        element(
            "div",
            element("dt", tile.name),
            element("dd", tile.value, class_="value"),
            element("dd", tile.meaning, class_="note"),
        )
        for tile in _numbers(test)
    )
    return element("dl", *boxes, class_="tiles")


def _numbers(test: Mapping[str, Any]) -> Iterator[Tile]:
    """The tiles for which there are numbers."""
    if "cer" in test:
        yield Tile(percent(test["cer"]), "Character errors (CER)", "the same by letters: a wrong ending costs little")
    if "sentences" in test:
        yield Tile(percent(test["sentences"].get("ser")), "Sentence errors (SER)", "clips with at least one wrong word")
    kinds = " / ".join(count(test.get(key)) for key in ("substitutions", "deletions", "insertions"))
    yield Tile(kinds, "S / D / I", f"words replaced, left out, added; of {count(test.get('words'))} said")
    if "orthographic" in test:
        yield Tile(percent(test["orthographic"].get("wer")), "Orthographic WER", "case and punctuation count as well")
    if "basic" in test:
        meaning = "in the form of text that Whisper's authors score, to compare with published figures"
        yield Tile(percent(test["basic"].get("wer")), "Published-style WER", meaning)
    if "full_window" in test:
        meaning = "the same model as stock pipelines hear it, padded to its window"
        yield Tile(percent(test["full_window"].get("wer")), "Full-window WER", meaning)
    if isinstance(test.get("baseline"), Mapping) and SKIPPED not in test["baseline"]:
        yield Tile(percent(test["baseline"].get("wer")), "Before training", "the base model on the same clips")
    yield Tile(count(test.get("clips")), "Clips", f"with words, of {count(test.get('groups'))} speakers or recordings")
    if "silence" in test:
        silence = test["silence"]
        meaning = f"made up in {count(silence.get('clips'))} clips without speech"
        yield Tile(f"{count(silence.get('words_emitted'))} words", "On silence", meaning)


def _rates(split: str, content: Mapping[str, Any]) -> Iterator[Rate]:
    """Of one split, in all forms that were scored."""
    if "wer" in content:
        yield Rate.of(split, content)
    for key, name in _FORMS.items():
        if "wer" in (content.get(key) or {}):
            yield Rate.of(f"{split}, {name}", content[key])


def _comparison(rates: list[Rate]) -> Html:
    """All rates below each other, each with its interval drawn on one axis."""
    most = max(rate.high or rate.wer for rate in rates) * 1.05 or 1.0
    columns = ("", "WER", f"95{NBSP}% interval", "", "CER", "S", "D", "I", "words", "clips")
    rows = [
        (
            rate.name,
            percent(rate.wer),
            rate.interval,
            _whisker(rate, most),
            percent(rate.cer),
            *map(count, (rate.substitutions, rate.deletions, rate.insertions, rate.words, rate.clips)),
        )
        for rate in rates
    ]
    return element("div", table(columns, rows, "All error rates"), class_="rates")


def _whisker(rate: Rate, most: float) -> Html:
    """A dot for the rate and a line for its interval, from 0 to `most`."""
    parts = [element("path", d=f"M0 10H{_AXIS}", class_="axis")]
    if rate.low is not None and rate.high is not None:
        low, high = (f"{_AXIS * value / most:.1f}" for value in (rate.low, rate.high))
        parts.append(element("path", d=f"M{low} 4V16M{low} 10H{high}M{high} 4V16", class_="line"))
    parts.append(element("circle", cx=f"{_AXIS * rate.wer / most:.1f}", cy="10", r="4.5"))
    return element("svg", joined(parts), viewBox=f"-5 0 {_AXIS + 10} 20", class_="whisker", aria_hidden="true")
