"""The corpus and its splits in numbers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any

from asr.corpus.clips import SPLITS, Utterance, read_split
from asr.errors import UserError
from asr.provenance import files_hash
from asr.reporting.records.inputs import RecordInputs

_WHOLE = (
    *("clips_in", "clips_kept", "hours_in", "hours_kept", "mean_duration", "quantiles"),
    *("rejected", "rejected_share", "repaired", "warned", "negatives", "groups", "sources", "licences"),
)
"""Keys of `metrics/validate.json` that are taken over."""
_HOW = ("seed", "validation_share", "test_share", "block_clips", "overlap_min_characters", "near_text_share")
"""Parameters of validate that decide about the split."""


def data_statistics(inputs: RecordInputs) -> Mapping[str, Any]:
    """What was kept and what was not, with lengths of clips and texts by split.

    Raises:
        UserError: a file or a key is missing, or splits and metrics are of different runs.
    """
    splits = {}
    for name in SPLITS:
        size, items = inputs.metric("validate", "splits", name), read_split(_file(inputs, name))
        if size["clips"] != len(items):
            raise UserError(
                f"{_file(inputs, name)}: {len(items)} clips, but metrics/validate.json says {size['clips']}; "
                "run validate again"
            )
        splits[name] = {**size, **_lengths(items)}
    return {**{key: inputs.metric("validate", key) for key in _WHOLE}, "splits": splits}


def split_info(inputs: RecordInputs) -> Mapping[str, Any]:
    """How the corpus was split, which files that made, and what the splits share.

    Raises:
        UserError: a file or a key is missing.
    """
    splits = {
        name: {**inputs.metric("validate", "splits", name), "hash": files_hash([_file(inputs, name)])}
        for name in SPLITS
    }
    return {
        "splits": splits,
        "params": {key: inputs.param("validate", key) for key in _HOW},
        "grouping": inputs.metric("validate", "grouping"),
        "leakage": inputs.metric("validate", "leakage"),
        "normalizer": inputs.metric("validate", "normalizer"),
    }


def _file(inputs: RecordInputs, name: str) -> Path:
    return inputs.splits / f"{name}.jsonl"


def _lengths(items: Sequence[Utterance]) -> Mapping[str, Any]:
    """Seconds of all clips; characters and words, at white space, of those with a text."""
    texts = [item.text for item in items if item.text.strip()]
    words = [text.split() for text in texts]
    return {
        "clips_with_text": len(texts),
        "seconds": _spread([item.duration for item in items]),
        "characters": _spread([len(text) for text in texts]),
        "words": _spread([len(text) for text in words]),
        "distinct_texts": len(set(texts)),
        "distinct_words": len({word for text in words for word in text}),
        "sources": dict(sorted(_counts([item.source for item in items]).items())),
    }


def _spread(values: Sequence[float]) -> Mapping[str, float] | None:
    """None without values."""
    if not values:
        return None
    return {"sum": sum(values), "mean": fmean(values), "median": median(values), "min": min(values), "max": max(values)}


def _counts(names: Sequence[str]) -> Mapping[str, int]:
    return {name: names.count(name) for name in set(names)}
