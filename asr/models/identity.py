"""What a trained model belongs to: its splits, its normaliser, its vocabulary.

A model scored on other splits may have learnt their test clips, and WERs of two normalisers are not
comparable. `experiment.json` therefore says under `train` what the model was made from, and evaluate
compares before it decodes.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import WhisperTokenizer

from asr.errors import UserError
from asr.provenance import SHORT, files_hash
from asr.text import NORMALIZER_VERSION, normalizer_hash

LEARNT_FROM = ("train.jsonl", "validation.jsonl")
"""Split files that training reads; their common hash is `train.provenance.data` of `experiment.json`."""


@dataclass(frozen=True)
class Identity:
    """What a model was trained with; a field is None where its record does not say."""

    splits: str | None
    """Hash over names and contents of `LEARNT_FROM`."""
    normalizer: str | None
    """Version and hash of its tables."""
    vocabulary: str | None
    """Hash over tokens and ids."""

    @classmethod
    def recorded(cls, experiment: Mapping[str, Any]) -> "Identity":
        """From the content of `experiment.json`; a foreign model's has no `train`."""
        train = experiment.get("train", {})
        splits = train.get("provenance", {}).get("data")
        return cls(splits, _normalizer(train.get("normalizer")), train.get("vocabulary"))

    @classmethod
    def present(cls, splits: Path, tokenizer: WhisperTokenizer) -> "Identity":
        """Of the splits in a folder, this code and a tokenizer.

        Raises:
            UserError: a split file is missing, so that nobody can tell what is being evaluated.
        """
        files = [splits / name for name in LEARNT_FROM]
        missing = [path for path in files if not path.is_file()]
        if missing:
            raise UserError(
                f"{missing[0]}: missing, so a test clip may be one of training; `dvc repro validate` writes it"
            )
        made = record(tokenizer)
        return cls(files_hash(files), _normalizer(made["normalizer"]), made["vocabulary"])


def record(tokenizer: WhisperTokenizer) -> dict[str, Any]:
    """What training adds to `experiment.json` and `metrics/train.json`; the hash of the data stands in provenance."""
    vocabulary = json.dumps(tokenizer.get_vocab(), sort_keys=True).encode()
    return {
        "normalizer": {"version": NORMALIZER_VERSION, "hash": normalizer_hash()},
        "vocabulary": hashlib.sha256(vocabulary).hexdigest()[:SHORT],
    }


def require_same(recorded: Identity, present: Identity) -> None:
    """Refuses to score a model with anything else than what it was trained with.

    Fields that the record lacks are not compared.

    Raises:
        UserError: `run.identity_mismatch`, with both values.
    """
    for name, remedy in _REMEDIES.items():
        then, now = getattr(recorded, name), getattr(present, name)
        if then is not None and then != now:
            raise UserError(f"run.identity_mismatch: the model was trained with {name} {then}, here is {now}; {remedy}")


_REMEDIES = {
    "splits": "its training may have heard these test clips: `dvc repro train` makes a model of these splits, "
    "`dvc checkout` brings back splits and model that belong together",
    "normalizer": "WERs of two normalisers are not comparable: `dvc repro train` makes a model with this one",
    "vocabulary": "the tokenizer is another model's: `dvc checkout models/asr` brings back the folder as it was saved",
}
"""By field of `Identity`, in the order of the comparison."""


def _normalizer(recorded: Mapping[str, str] | None) -> str | None:
    return None if recorded is None else f"{recorded['version']} ({recorded['hash']})"
