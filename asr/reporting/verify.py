"""Says whether the results in the tree are the committed ones, and if not, why."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr.files import read_json

METRICS = "metrics/evaluate.json"


@dataclass(frozen=True)
class Result:
    """The test score of one evaluation, and what made it."""

    wer: float
    wer_low: float
    wer_high: float
    clips: int
    provenance: dict[str, Any]

    @classmethod
    def of(cls, metrics: dict[str, Any]) -> "Result":
        """From the content of `metrics/evaluate.json`."""
        test = metrics["test"]
        return cls(test["wer"], test["wer_low"], test["wer_high"], test["clips"], metrics["provenance"])


def verdict(root: Path) -> str:
    """Two lines: the test WER, and how it compares with the committed results.

    Raises:
        UserError: there are no results yet.
    """
    here = Result.of(read_json(root / METRICS))
    line = f"test WER {here.wer:.4f} [{here.wer_low:.4f}, {here.wer_high:.4f}] on {here.clips} clips"
    committed = _committed(root)
    if committed is None:
        return f"{line}\nNo committed results to compare with: this is no Git checkout, or its first run."
    return f"{line}\n{comparison(here, committed, _same_lock(root))}"


def comparison(here: Result, committed: Result, same_lock: bool) -> str:
    """One line on two results of the same pipeline.

    Args:
        here: the result in the tree.
        committed: the result in Git.
        same_lock: `dvc.lock`, and with it every output's hash, is the committed one.
    """
    if same_lock and here == committed:
        return "Same bytes as the committed results: every output has the hash that dvc.lock records."
    changed = [name for name in ("params", "data", "code") if here.provenance[name] != committed.provenance[name]]
    wers = f"test WER {here.wer:.4f} here, {committed.wer:.4f} committed"
    if "params" in changed or "code" in changed:
        return f"Other {' and '.join(changed)} than committed: {wers}."
    machines = f"{here.provenance['device']} here, {committed.provenance['device']} committed"
    return (
        f"Same code and parameters, other bits: {wers}. Another CPU type or thread count rounds differently "
        f"({machines}), and Git shows dvc.lock, metrics and plots as changed for that reason."
    )


def _committed(root: Path) -> Result | None:
    shown = _git(root, "show", f"HEAD:{METRICS}")
    return None if shown is None else Result.of(json.loads(shown))


def _same_lock(root: Path) -> bool:
    return _git(root, "diff", "--quiet", "HEAD", "--", "dvc.lock", "metrics", "plots") is not None


def _git(root: Path, *arguments: str) -> str | None:
    """What Git prints, or None where it fails: no repository, no such file, or a difference."""
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else None
