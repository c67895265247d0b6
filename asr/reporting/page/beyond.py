"""What one rate does not say: noise, silence, length, confidence, and whatever else the metrics hold of the test."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from asr.reporting.page.markup import Html, element, section
from asr.reporting.page.nested import readable, shown
from asr.reporting.page.rates import SHOWN, SPLITS


@dataclass(frozen=True)
class Topic:
    """A section of the metrics that has a meaning of its own."""

    title: str
    meaning: str


TOPICS: Mapping[str, Topic] = {
    "slices": Topic("Parts of the corpus", "Error rates by length, by words, by noise and by source."),
    "by_group": Topic("Speakers", "How far the rates of speakers or recordings lie apart."),
    "robustness": Topic("Robustness", "What becomes of the rate under noise, at low levels and in long recordings."),
    "noise": Topic("Noise", "Word error rate with noise added at so many dB below the voice."),
    "non_speech": Topic("Without speech", "Words made up where nobody speaks."),
    "quiet": Topic("Quiet speech", "Clips scaled down: what is still recognised."),
    "long_form": Topic("Long recordings", "Clips joined to recordings, against the same clips one at a time."),
    "timestamps": Topic("Times", "Whether the model still gives times, and whether they are sound."),
    "calibration": Topic("Confidence", "Whether words given with 90 % confidence are right nine times in ten."),
    "loops": Topic("Loops", "Outputs that repeat themselves."),
    "compound_splits": Topic("Spaces", "Runs of errors that vanish when spaces are ignored."),
    "second": Topic("A second data set", "Speech of another kind: what has training made worse?"),
}


def beyond(evaluate: Mapping[str, Any]) -> Html:
    """Every section of the test split and of the whole file that the summary leaves out; known ones first."""
    whole = {key: value for key, value in evaluate.items() if key not in {*SPLITS, "provenance"}}
    sections = {**whole, **{key: value for key, value in evaluate["test"].items() if key not in SHOWN}}
    parts = list(_parts({key: value for key, value in sections.items() if isinstance(value, (Mapping, list))}))
    absent = element("p", "These metrics hold nothing beyond the rates above.", class_="note")
    return section("beyond", "Beyond the word error rate", *(parts or [absent]))


def _parts(sections: Mapping[str, Any]) -> Iterator[Html]:
    for key in (*(key for key in TOPICS if key in sections), *sorted(set(sections) - set(TOPICS))):
        topic = TOPICS.get(key, Topic(readable(key).capitalize(), ""))
        yield element(
            "article", element("h3", topic.title), element("p", topic.meaning, class_="note"), shown(sections[key], key)
        )
