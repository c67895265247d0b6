"""Kills training inside `dvc exp run --queue` and `--temp`: run again, it must go on and end in the same weights.

    python -m benchmarks.queue_resume

DVC runs such experiments in a copy of the repository that it deletes, also after a failure. In a copy of this
repository with the smoke preset, for each of the two ways: an experiment starts, its training process gets
`kill -9` once it has checkpoints, the experiment is started again and ends; what it ends in is compared with an
experiment that nobody disturbed, in a second copy, so that DVC's run cache cannot answer for it. An experiment
with other parameters, started in between, must not touch the checkpoints that were left.

Writes benchmarks/results/queue-resume.json.
"""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from asr.training.observe.journal import read_journal
from benchmarks.records import write_record
from tests.pipeline import commit, copy_repository, dvc

LONGER = ("-S", "train.max_steps=120", "-S", "train.evaluate_every=60")
SECONDS = 300.0
"""Longest wait for anything."""


def main() -> None:
    """Runs all of it, prints and writes the record."""
    with tempfile.TemporaryDirectory(prefix="queue.") as name:
        disturbed, quiet = Path(name) / "disturbed", Path(name) / "quiet"
        disturbed.mkdir()
        copy_repository(disturbed)
        dvc(disturbed, "repro")
        commit(disturbed, "results")
        shutil.copytree(disturbed, quiet, symlinks=True)
        figures = {way: compared(disturbed, quiet, way, seed) for way, seed in (("--queue", 2), ("--temp", 3))}
    print(write_record("queue-resume", "python -m benchmarks.queue_resume", ("dvc", "torch"), figures).read_text())
    if not all(row["same weights"] and row["went on after batch"] > 0 for row in figures.values()):
        sys.exit(1)


def compared(disturbed: Path, quiet: Path, way: str, seed: int) -> dict[str, Any]:
    """One way of running an experiment: killed and run again, against undisturbed."""
    change = (*LONGER, "-S", f"train.seed={seed}")
    killed_at = start_and_kill(disturbed, way, change)
    other = (*LONGER, "-S", f"train.seed={seed}", "-S", "train.batch_size=4", "-S", "train.max_steps=10")
    start(disturbed, way, "other", other, check=True)
    left = sorted(path.name for path in (disturbed / ".scratch" / "train").glob("*"))
    start(disturbed, way, "again", change, check=True)
    dvc(quiet, "exp", "run", "--name", f"quiet{seed}", *change)
    key = left[0] if left else ""
    kinds = [
        line for line in read_journal(disturbed / "runs" / "train" / key / "log.jsonl") if line["kind"] == "resume"
    ]
    dvc(disturbed, "exp", "apply", f"again{way}")
    ours, theirs = weights(disturbed), weights(quiet)
    for folder in (disturbed, quiet):
        subprocess.run(["git", "reset", "--hard", "--quiet"], cwd=folder, check=True)
    return {
        "killed after batch": killed_at,
        "folders left by the killed run, after another experiment": len(left),
        "went on after batch": kinds[-1]["batch"] if kinds else 0,
        "same weights": ours == theirs,
        "model.safetensors, sha256": ours,
        "checkpoints left at the end": len(list((disturbed / ".scratch" / "train").glob("*/checkpoints/*"))),
    }


def start_and_kill(repository: Path, way: str, change: tuple[str, ...]) -> int:
    """Batches in the newest checkpoint when the training process was killed."""
    running = subprocess.Popen(
        [sys.executable, "-c", _START, str(repository), way, "killed", *change], stderr=subprocess.DEVNULL
    )
    scratch = repository / ".scratch" / "train"
    deadline = time.monotonic() + SECONDS
    while not (found := sorted(scratch.glob("*/checkpoints/batch-*/manifest.json"))):
        assert time.monotonic() < deadline, "no checkpoint appeared"
        time.sleep(0.01)
    os.kill(int((found[0].parents[2] / "lock").read_text()), signal.SIGKILL)
    running.wait(SECONDS)
    return max(int(path.parent.name.removeprefix("batch-")) for path in scratch.glob("*/checkpoints/*/manifest.json"))


_START = (
    "import sys; from pathlib import Path; from benchmarks.queue_resume import start; "
    "start(Path(sys.argv[1]), sys.argv[2], sys.argv[3], tuple(sys.argv[4:]), check=False)"
)


def start(repository: Path, way: str, name: str, change: tuple[str, ...], check: bool) -> None:
    """Runs an experiment to its end, good or bad."""
    done = dvc(repository, "exp", "run", way, "--name", f"{name}{way}", *change, check=check)
    if way == "--queue":
        dvc(repository, "queue", "start")
        deadline = time.monotonic() + SECONDS
        while (status := state_of(repository, f"{name}{way}")) not in ("Success", "Failed"):
            assert time.monotonic() < deadline, f"{name} is {status}"
            time.sleep(0.5)
        assert status == "Success" or not check, dvc(repository, "queue", "logs", f"{name}{way}", check=False).stdout
    assert done.returncode == 0 or not check


def state_of(repository: Path, name: str) -> str:
    """What `dvc queue status` says of an experiment."""
    lines = dvc(repository, "queue", "status").stdout.splitlines()
    return next((line.split()[-1] for line in lines if name in line), "")


def weights(repository: Path) -> str:
    """Hash of the published weights."""
    return hashlib.sha256((repository / "models" / "asr" / "model.safetensors").read_bytes()).hexdigest()


if __name__ == "__main__":
    main()
