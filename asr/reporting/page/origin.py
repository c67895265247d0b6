"""Where the numbers come from: the pipeline, its parameters, and the hashes of data and code."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from asr.reporting.page.markup import NOTHING, Html, element, folded, section, table
from asr.reporting.page.nested import readable, value_text


@dataclass(frozen=True)
class Step:
    """A stage of the pipeline."""

    name: str
    does: str
    writes: str


STEPS = (
    Step("prepare", "decodes and measures every clip", "data/clips, data/index.parquet"),
    Step("validate", "judges every clip, splits without leaks", "data/splits"),
    Step("train", "fine-tunes on unpadded clips", "models/asr"),
    Step("evaluate", "decodes and scores", "data/predictions"),
    Step("plot", "draws, and writes this page", "plots"),
)


def origin_section(metrics: Mapping[str, Mapping[str, Any]], params: Mapping[str, Any]) -> Html:
    """The pipeline with what identifies each stage's inputs.

    Args:
        metrics: content of `metrics/<stage>.json` by stage.
        params: content of `params.yaml`.
    """
    return section(
        "origin",
        "Pipeline and provenance",
        _pipeline(),
        element(
            "p",
            "Equal hashes mean equal inputs; equal inputs on the same class of device give equal bytes.",
            class_="note",
        ),
        _hashes(metrics),
        _versions(metrics),
        _normalizer(metrics),
        element("h3", "Parameters"),
        *(folded(name, _params(name, values)) for name, values in params.items() if isinstance(values, Mapping)),
    )


def _pipeline() -> Html:
    steps = (
        element("li", element("b", step.name), element("span", step.does), element("code", step.writes))
        for step in STEPS
    )
    return element("ol", *steps, class_="pipeline")


def _hashes(metrics: Mapping[str, Mapping[str, Any]]) -> Html:
    keys = ("code", "data", "params", "device")
    rows = [
        (stage, *(element("code", str(content.get("provenance", {}).get(key, NOTHING))) for key in keys))
        for stage, content in metrics.items()
    ]
    return table(("stage", *keys), rows, "What each stage worked on")


def _versions(metrics: Mapping[str, Mapping[str, Any]]) -> Html:
    found = {stage: content.get("provenance", {}).get("versions", {}) for stage, content in metrics.items()}
    libraries = sorted({name for versions in found.values() for name in versions})
    rows = [(name, *(versions.get(name, NOTHING) for versions in found.values())) for name in libraries]
    return table(("", *found), rows, "Versions")


def _normalizer(metrics: Mapping[str, Mapping[str, Any]]) -> Html:
    normalizer = metrics["evaluate"]["test"].get("normalizer", {})
    said = ", ".join(f"{readable(key)} {value_text(key, value)}" for key, value in normalizer.items())
    return element("p", f"Texts are compared by the normaliser with {said or 'no version recorded'}.")


def _params(name: str, values: Mapping[str, Any]) -> Html:
    # As they stand in the file: a rate of 0.01 is no percentage there.
    rows = [(key, element("code", "null" if value is None else str(value))) for key, value in values.items()]
    return table(("parameter", "value"), rows, name)
