"""What the records are made of, and how a missing part of it is named."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr.errors import UserError


@dataclass(frozen=True)
class RecordInputs:
    """All that `write_records` reads."""

    validate: Mapping[str, Any]
    """Content of `metrics/validate.json`; `train` and `evaluate` likewise."""
    train: Mapping[str, Any]
    evaluate: Mapping[str, Any]
    params: Mapping[str, Any]
    """Content of `params.yaml`."""
    tables: Path
    """Folder of the tables that train wrote, `plots/train`."""
    predictions: Path
    """`data/predictions/test.jsonl`."""
    splits: Path
    """`data/splits`."""
    language: str

    @property
    def metrics(self) -> Mapping[str, Mapping[str, Any]]:
        """The three metrics files by their stage."""
        return {"validate": self.validate, "train": self.train, "evaluate": self.evaluate}

    def metric(self, stage: str, *keys: str) -> Any:
        """A value of the stage's metrics file.

        Raises:
            UserError: it is not there.
        """
        return _found(self.metrics[stage], keys, f"metrics/{stage}.json", f"run {stage} again")

    def param(self, *keys: str) -> Any:
        """A value of `params.yaml`.

        Raises:
            UserError: it is not there.
        """
        return _found(self.params, keys, "params.yaml", "take it from a preset and run plot again")


def _found(content: Mapping[str, Any], keys: tuple[str, ...], file: str, remedy: str) -> Any:
    value: Any = content
    for depth, key in enumerate(keys, 1):
        if not isinstance(value, Mapping) or key not in value:
            raise UserError(f"{file}: {'.'.join(keys[:depth])} is missing; {remedy}")
        value = value[key]
    return value
