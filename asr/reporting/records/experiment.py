"""What made the result: surroundings, model, and everything in one file."""

from collections.abc import Mapping
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from asr.cards import SCRATCH
from asr.corpus.clips import SPLITS
from asr.provenance import files_hash
from asr.reporting.records.inputs import RecordInputs

SCHEMA = 1
"""Of `experiment.json`; it rises when a key changes its meaning or goes."""
_HASHES = {"code", "data", "params"}
_DIMENSIONS = (
    *("vocabulary", "d_model", "encoder_layers", "decoder_layers", "attention_heads", "feed_forward", "dropout"),
)
"""Parameters that are read for a model from scratch alone."""
_TRAINED = (
    *("parameters", "vocabulary", "edges", "normalizer", "steps", "epochs", "best_step", "best_validation_wer"),
    *("best_validation_loss", "last_validation_wer", "published", "seconds_of_audio", "padding_share"),
)
"""Keys of `metrics/train.json` that are taken over."""


def environment(inputs: RecordInputs) -> Mapping[str, Any]:
    """Devices, Python and libraries of each stage, as its metrics record them; no machine is named.

    Raises:
        UserError: a metrics file has no provenance.
    """
    stages = {stage: inputs.metric(stage, "provenance") for stage in inputs.metrics}
    used: dict[str, set[str]] = {}
    for block in stages.values():
        for name, version in block["versions"].items():
            used.setdefault(name, set()).add(version)
    return {
        "stages": {
            stage: {key: value for key, value in block.items() if key not in _HASHES} for stage, block in stages.items()
        },
        "versions": {name: sorted(versions) for name, versions in sorted(used.items())},
    }


def model_info(inputs: RecordInputs) -> Mapping[str, Any]:
    """The network and its training in numbers.

    Raises:
        UserError: a key is missing.
    """
    base = inputs.param("model", "name")
    scratch = base == SCRATCH
    return {
        **{key: inputs.metric("train", key) for key in _TRAINED},
        "architecture": inputs.param("model", "architecture"),
        "base_model": None if scratch else nameless(base),
        "base_revision": None if scratch else inputs.param("model", "revision"),
        "dimensions": {key: inputs.param("model", key) for key in _DIMENSIONS} if scratch else None,
        "language": inputs.language,
        "licence_of_data": inputs.param("data", "licence"),
    }


def experiment(inputs: RecordInputs) -> Mapping[str, Any]:
    """All parameters, all metrics, and hashes of what they rest on.

    Raises:
        UserError: a file or a key is missing.
    """
    hashes = {stage: inputs.metric(stage, "provenance") for stage in inputs.metrics}
    return {
        "schema": SCHEMA,
        "params": nameless(inputs.params),
        "metrics": dict(inputs.metrics),
        "hashes": {
            "stages": {stage: {key: block[key] for key in sorted(_HASHES)} for stage, block in hashes.items()},
            "splits": files_hash([inputs.splits / f"{name}.jsonl" for name in SPLITS]),
            "predictions": files_hash([inputs.predictions]),
        },
    }


def nameless(value: Any) -> Any:
    """Without paths of one machine: of an absolute path only the last part stays, at any depth."""
    if isinstance(value, Mapping):
        return {key: nameless(item) for key, item in value.items()}
    if isinstance(value, list):
        return [nameless(item) for item in value]
    for kind in (PurePosixPath, PureWindowsPath):
        if isinstance(value, str) and (path := kind(value)).is_absolute():
            return path.name
    return value
