"""Kills training hundreds of times at random moments; every run must go on unaided and end in the same bytes.

    python -m benchmarks.kills [--kills 200] [--seed 1] [--workers 0] [--data FOLDER]

On the smoke preset. Each run is killed one to three times with `kill -9`, then left alone; what it ends in (weights,
metrics, curves) is compared with a run that nobody disturbed. A blow falls

operation   at the n-th file operation (open, write, fsync, rename, unlink, ...) of all checkpoints, and of the
            clean-up at the end
backward    before the n-th micro-batch: in the midst of accumulation where a batch has several
update      after the n-th update of the weights, before it is counted
decoding    in the n-th batch of an evaluation
moment      after a random share of the time that an undisturbed run takes
term        the same with SIGTERM, which the run answers with a checkpoint and status 143

Processes are forked from one that has imported the stage, so that 200 deaths do not mean 200 imports. Writes
benchmarks/results/kills.json; fails if any run ends otherwise.
"""

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from tqdm import tqdm

import asr.provenance
import asr.training.run
import stages.train
from asr.decoding.generate import Transcriber
from asr.stage import EXIT_SIGNAL, run
from asr.training import update
from asr.training.checkpoint.store import Store
from benchmarks.records import write_record

ROOT = Path(__file__).resolve().parent.parent
OPERATIONS = ("open", "write", "fsync", "replace", "rename", "mkdir", "unlink", "rmdir", "close", "scandir")
RESULTS = ("models/asr", "models/last", "metrics", "plots")
KINDS = ("operation", "backward", "update", "decoding", "moment", "term")
TIMED = {"moment": signal.SIGKILL, "term": signal.SIGTERM}
"""Kinds that fall from outside, at a time."""


SHORT = {"max_steps": 8, "warmup_steps": 2, "checkpoint_every": 2, "evaluate_every": 4, "evaluate_clips": 4}


@dataclass(frozen=True)
class Place:
    """Where the runs are."""

    folder: Path
    data: Path
    """Holds clips/ and splits/."""
    short: bool

    @property
    def run(self) -> Path:
        """Folder of the present run."""
        return self.folder / "run"

    @property
    def said(self) -> Path:
        """What its processes print."""
        return self.run / "said"


@dataclass(frozen=True)
class Blow:
    """When a process dies."""

    kind: str
    at: float
    """The n-th occasion, or for what comes from outside the share of an undisturbed run's time."""


@dataclass(frozen=True)
class Undisturbed:
    """What a run ends in, and how many occasions to die it has."""

    digests: dict[str, str]
    occasions: dict[str, int]
    seconds: float


def main() -> None:
    """Runs all trials, prints and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0, help="train.workers, at random this many or none")
    parser.add_argument("--data", type=Path, help="folder with clips/ and splits/ of the smoke preset; made if absent")
    parser.add_argument("--short", action="store_true", help="8 steps instead of 20 and few validation clips")
    parser.add_argument("--no-record", action="store_true", help="compare only")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kills.") as name:
        folder = Path(name)
        data = args.data or made_data(folder / "data")
        figures = trials(Place(folder, data.resolve(), args.short), args.kills, args.seed, args.workers)
    print(figures)
    if not args.no_record:
        command = f"python -m benchmarks.kills --kills {args.kills} --seed {args.seed} --workers {args.workers}"
        write_record("kills" + "-workers" * bool(args.workers), command, ("torch", "safetensors"), figures)
    if figures["runs that ended otherwise"]:
        sys.exit(1)


def made_data(folder: Path) -> Path:
    """Clips and splits of the smoke preset."""
    preset = ["--params", str(ROOT / "presets" / "smoke.yaml")]
    places = ["--index", str(folder / "index.parquet")]
    prepare = [sys.executable, "-m", "stages.prepare", *preset, *places, "--clips", str(folder / "clips")]
    outputs = ["--splits", str(folder / "splits"), "--metrics", str(folder / "v.json"), "--plots", str(folder / "v")]
    for command in (prepare, [sys.executable, "-m", "stages.validate", *preset, *places, *outputs]):
        subprocess.run(command, cwd=ROOT, check=True)
    return folder


def remember_the_code() -> None:
    """Hashes the code once, not in every process."""
    code = asr.provenance.code_hash("train", ROOT)
    asr.provenance.code_hash = lambda *_: code


def trials(where: Place, kills: int, seed: int, workers: int) -> dict[str, Any]:
    """Kills until there are enough deaths; what came of it."""
    remember_the_code()
    truth = undisturbed(where)
    rng = np.random.default_rng(seed)
    deaths: Counter[str] = Counter()
    wrong, runs = [], 0
    with tqdm(total=kills, desc="kills", disable=None) as bar:
        while deaths.total() - deaths["term"] < kills:
            blows = drawn(rng, truth.occasions, int(rng.integers(1, 4)))
            died = [blow for blow in blows if strike(where, blow, truth, workers * int(rng.integers(0, 2)))]
            status = ended(forked(where, None, workers * int(rng.integers(0, 2))))
            if status or digests(where.run) != truth.digests:
                wrong.append(f"{blows}: status {status}; {where.said.read_text()[-500:]}")
            deaths.update(blow.kind for blow in died)
            bar.update(sum(blow.kind != "term" for blow in died))
            shutil.rmtree(where.run)
            runs += 1
    return {
        "kills": deaths.total() - deaths["term"],
        "deaths by kind": dict(sorted(deaths.items())),
        "runs": runs,
        "runs that ended otherwise": len(wrong),
        "first of them": wrong[:3],
        "file operations of all checkpoints of a run": truth.occasions["operation"],
        "model.safetensors, sha256": truth.digests["models/asr/model.safetensors"],
    }


def drawn(rng: np.random.Generator, occasions: dict[str, int], count: int) -> list[Blow]:
    """Random blows; later ones of a run fall on what is left of it, or miss."""
    kinds = [str(kind) for kind in rng.choice(KINDS, count, p=[0.45, 0.1, 0.1, 0.1, 0.15, 0.1])]
    return [Blow(k, float(rng.random()) if k in TIMED else int(rng.integers(0, occasions[k]))) for k in kinds]


def undisturbed(where: Place) -> Undisturbed:
    """A run that counts its occasions to die."""
    counts: dict[str, int] = {}
    tally = where.folder / "tally"
    start = time.monotonic()
    for kind in set(KINDS) - set(TIMED):
        shutil.rmtree(where.run, ignore_errors=True)
        status = ended(forked(where, Blow(kind, -1), 0, tally))
        assert status == 0, where.said.read_text()
        counts[kind] = int(tally.read_text())
    seconds = (time.monotonic() - start) / len(counts)
    found = digests(where.run)
    shutil.rmtree(where.run)
    return Undisturbed(found, counts, seconds)


def strike(where: Place, blow: Blow, truth: Undisturbed, workers: int) -> bool:
    """Starts the run, or goes on with it, until the blow falls; whether it did before the run was over."""
    child = forked(where, blow, workers)
    if blow.kind in TIMED:
        time.sleep(blow.at * truth.seconds)
        os.kill(child, TIMED[blow.kind])
    return ended(child) in (-signal.SIGKILL, -signal.SIGTERM, EXIT_SIGNAL + signal.SIGTERM)


def ended(child: int) -> int:
    """Exit status of a process, or minus the signal that killed it, once it has ended."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def forked(where: Place, blow: Blow | None, workers: int, tally: Path | None = None) -> int:
    """Number of a process that trains in `where.run`."""
    where.run.mkdir(exist_ok=True)
    params = yaml.safe_load((ROOT / "presets" / "smoke.yaml").read_text(encoding="utf-8"))
    params["train"] |= {"workers": workers} | (SHORT if where.short else {})
    (where.run / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    child = os.fork()
    if child:
        return child
    train(where, blow, tally)
    os._exit(0)


def train(where: Place, blow: Blow | None, tally: Path | None) -> None:
    """Runs the stage here, in a process of its own."""
    os.chdir(where.run)
    os.environ.pop("DVC_ROOT", None)
    said = os.open(where.said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(said, 1)
    os.dup2(said, 2)
    sys.argv = ["train", "--clips", str(where.data / "clips"), "--splits", str(where.data / "splits")]
    try:
        with doomed(blow) if blow and blow.kind not in TIMED else nothing() as count:
            run(stages.train.main)
    except SystemExit as left:
        os._exit(int(left.code or 0))
    if tally:
        tally.write_text(str(count()))


@contextmanager
def nothing() -> Iterator[Callable[[], int]]:
    """No blow."""
    yield lambda: 0


@contextmanager
def doomed(blow: Blow) -> Iterator[Callable[[], int]]:
    """Lets the process die at the blow's occasion; gives how many there were."""
    seen = [0]

    def occasion(*_: object) -> None:
        if seen[0] == blow.at:
            os.kill(os.getpid(), signal.SIGKILL)
        seen[0] += 1

    if blow.kind == "operation":
        watch_operations(occasion)
    elif blow.kind == "decoding":
        before(Transcriber, "encode", occasion)
    else:
        before(update, "_micro_batch" if blow.kind == "backward" else "count", occasion)
    yield lambda: seen[0]


def watch_operations(occasion: Callable[..., None]) -> None:
    """Calls `occasion` before every file operation of the store and of the clean-up."""
    inside = [0]
    for owner, names in ((Store, ("save", "keep_weights", "newest")), (asr.training.run, ("discard",))):
        for name in names:
            within(owner, name, inside)
    for name in OPERATIONS:
        before(os, name, lambda: occasion() if inside[0] else None)


def before(owner: Any, name: str, call: Callable[..., None]) -> None:
    """Has `call` called before the function `name` of a module or class."""
    original = getattr(owner, name)

    def watched(*args: Any, **kwargs: Any) -> Any:
        call()
        return original(*args, **kwargs)

    setattr(owner, name, watched)


def within(owner: Any, name: str, inside: list[int]) -> None:
    """Counts in `inside` how deep execution is in the function `name`."""
    original = getattr(owner, name)

    def entered(*args: Any, **kwargs: Any) -> Any:
        inside[0] += 1
        try:
            return original(*args, **kwargs)
        finally:
            inside[0] -= 1

    setattr(owner, name, entered)


def digests(place: Path) -> dict[str, str]:
    """sha256 of every result, without the number of workers, which may differ and is quoted in some."""
    files = sorted(path for part in RESULTS for path in (place / part).rglob("*") if path.is_file())
    return {path.relative_to(place).as_posix(): hashlib.sha256(_content(path)).hexdigest() for path in files}


def _content(path: Path) -> bytes:
    if path.name not in ("experiment.json", "train.json"):
        return path.read_bytes()
    content = json.loads(path.read_text(encoding="utf-8"))
    for part in (content, content.get("train", {})):
        part.get("provenance", {}).pop("params", None)
    content.get("params", {}).get("train", {}).pop("workers", None)
    return json.dumps(content, sort_keys=True).encode()


if __name__ == "__main__":
    main()
