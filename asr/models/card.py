"""The README inside a model directory."""

from typing import Any


def model_card(language: str, base: str, metrics: dict[str, Any]) -> str:
    """A short model card in Hugging Face's form.

    Args:
        language: code of the language.
        base: the base model's name, or `scratch`.
        metrics: the content of `metrics/train.json`.
    """
    lines = [
        "---",
        f"language: {language}",
        "pipeline_tag: automatic-speech-recognition",
        "library_name: transformers",
        *([f"base_model: {base}"] if base != "scratch" else []),
        "---",
        "",
        f"# Whisper for `{language}`",
        "",
        f"- {metrics['parameters']:,} parameters, {'trained from scratch' if base == 'scratch' else 'from ' + base}",
        f"- validation WER {validation(metrics)} of {metrics['steps']}",
        "- trained on clips padded to a few fixed lengths (`experiment.json`), as `python -m asr transcribe` pads",
        "  them, and a share of them to the full window (`train.window_share`), as stock pipelines do",
        "",
        "`experiment.json` holds parameters and provenance.",
    ]
    return "\n".join(lines) + "\n"


def validation(metrics: dict[str, Any]) -> str:
    """How good the published weights are on validation, and where they come from."""
    if metrics["published"] == "average":
        return f"{metrics['average_validation_wer']:.4f} (weights averaged) after step {metrics['steps']}"
    return f"{metrics['best_validation_wer']:.4f} after step {metrics['best_step']}"
