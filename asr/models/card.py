"""The README inside a model directory."""

from typing import Any

from asr.cards import SCRATCH, Origin, Rates, data_and_licence, front_matter, how_to_use

LAST = "last"
"""`published` of the weights after the last step, which nobody chose."""
CHOSEN_ON = "validation split, on which these weights were chosen"
WATCHED_ON = "validation split, watched while training"


def model_card(language: str, base: str, metrics: dict[str, Any], licence: str | None, corpus: str | None) -> str:
    """A model card in Hugging Face's form, of what is known when training ends.

    Args:
        language: code of the language.
        base: the base model's name, or `scratch`.
        metrics: the content of `metrics/train.json`; its `published` names the weights in the folder.
        licence: terms of the data; None where they are unknown.
        corpus: Hub id of the data set; None for files.
    """
    origin = Origin(language, base, corpus, licence)
    blocks = [
        front_matter(origin, [Rates("validation", _validation_split(metrics), validation_wer(metrics), None)]),
        f"# Whisper for {origin.language_name}",
        _what_it_is(origin, metrics),
        "## How good it is",
        _how_good(metrics),
        "## Padding",
        _padding(metrics),
        "## Data and licence",
        data_and_licence(origin),
        "## How to use it",
        how_to_use(),
        "## What is not known",
        _unknown(),
    ]
    return "\n\n".join(blocks) + "\n"


def validation(metrics: dict[str, Any]) -> str:
    """How good the weights are on validation, and where they come from."""
    if metrics["published"] == LAST:
        return f"{metrics['last_validation_wer']:.4f} after step {metrics['steps']}"
    if metrics["published"] == "average":
        return f"{metrics['average_validation_wer']:.4f} (weights averaged) after step {metrics['steps']}"
    return f"{metrics['best_validation_wer']:.4f} after step {metrics['best_step']}"


def validation_wer(metrics: dict[str, Any]) -> float:
    """Of the weights that `published` names, as a fraction."""
    return float(metrics[f"{metrics['published']}_validation_wer"])


def _validation_split(metrics: dict[str, Any]) -> str:
    return WATCHED_ON if metrics["published"] == LAST else CHOSEN_ON


def _what_it_is(origin: Origin, metrics: dict[str, Any]) -> str:
    made = "trained from scratch" if origin.base == SCRATCH else f"fine-tuned from `{origin.base_name}`"
    return (
        f"A speech recogniser for {origin.language_name} (`{origin.language}`), {made}: "
        f"{metrics['parameters']:,} parameters, {metrics['steps']:,} training steps.\n"
        "`experiment.json` beside this file holds all parameters and the hashes of data and code."
    )


def _how_good(metrics: dict[str, Any]) -> str:
    normalizer = metrics["normalizer"]
    return (
        f"- validation WER {validation(metrics)} of {metrics['steps']}, by greedy search\n"
        f"- texts compared under the normaliser `{normalizer['version']}` (`{normalizer['hash']}`)\n\n"
        f"It was measured on the {_validation_split(metrics)}. What counts is the test split:\n"
        "`metrics/evaluate.json` and `plots/records/README.md` of the repository."
    )


def _padding(metrics: dict[str, Any]) -> str:
    edges = metrics["edges"]
    return (
        f"Trained on clips padded with silence to the next of {len(edges)} lengths, {edges[0]:g} to {edges[-1]:g} s,\n"
        "as `python -m asr transcribe` pads them, and a share of them to the full window (`train.window_share`\n"
        "in `experiment.json`), as stock pipelines do. The repository scores both: `full_window` in\n"
        "`metrics/evaluate.json`."
    )


def _unknown() -> str:
    return (
        "- how it does on the test split, in noise and without speech: this card was written before that was measured\n"
        "- how it does on other voices, rooms, topics and dialects than those of its data\n"
        "- how often it writes fluent words that nobody said; check what matters"
    )
