"""Are the words as good? The same model on the same clips and steps, padded to 30 s and not, with a paired bootstrap.

    dvc repro validate && python -m benchmarks.padded_unpadded [--steps 2200] [--window 30]

Three models of the sample preset's network, all with a window of 30 s, learn the sample corpus with the same seed,
batches of the same size and the same schedule; only the length of their inputs differs:

padded      every clip is padded to the whole window, in training and in decoding: the usual recipe
unpadded    every clip is padded to the next of 16 edges chosen for the corpus, in training and in decoding
both        as unpadded, but some clips of each epoch get a random margin or the whole window (`train.margin_share`,
            `train.window_share` of the preset); decoded both ways

Runs the stages themselves, `stages.train` and `stages.evaluate` (greedy), on `data/clips` and `data/splits`. A run
that died is gone on with. Writes benchmarks/results/padded-unpadded.json: WER of each on the test and validation
clips, differences with a paired interval over groups (95 %, `docs/intervals.md`), and minutes of training, which are
worth reading only on an otherwise idle machine.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from asr.files import read_jsonl, write_json
from asr.provenance import files_hash
from asr.scoring.intervals import bootstrap_interval
from asr.scoring.paired import paired_bootstrap
from benchmarks.records import write_record

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / ".scratch" / "benchmarks" / "padded-unpadded"
SPLITS = ("validation", "test")
Arm = dict[str, dict[str, Any]]


def main() -> None:
    """Trains, scores, compares, prints and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2200)
    parser.add_argument("--window", type=float, default=30.0, help="s")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--without-both", action="store_true", help="leave out the third model")
    args = parser.parse_args()
    names = ("padded", "unpadded") if args.without_both else ("padded", "unpadded", "both")
    arms = {name: settings(name, args.steps, args.window, args.seed) for name in names}
    minutes = {name: train(name, arm) for name, arm in arms.items()}
    heard = {name: decode(name, arms[name], name == "padded", args.window) for name in arms}
    if "both" in arms:
        heard["both, decoded padded"] = decode("both", arms["both"], True, args.window)
    figures: dict[str, Any] = {
        "steps": args.steps,
        "window, s": args.window,
        "splits": files_hash(sorted((ROOT / "data" / "splits").glob("*.jsonl"))),
        "minutes of training": minutes,
        **{split: compared({name: rows[split] for name, rows in heard.items()}) for split in SPLITS},
    }
    options = f"--steps {args.steps} --window {args.window:g} --seed {args.seed}{' --without-both' * args.without_both}"
    command = f"python -m benchmarks.padded_unpadded {options}"
    path = write_record(record_name(args), command, ("torch", "transformers", "numpy"), figures)
    print(path.read_text(encoding="utf-8"))


def record_name(args: argparse.Namespace) -> str:
    """One record for each window and seed."""
    return "padded-unpadded" + f"-{args.window:g}s" * (args.window != 30) + f"-seed{args.seed}" * (args.seed != 1)


def settings(name: str, steps: int, window: float, seed: int) -> Arm:
    """The sample preset with what makes this arm."""
    params: Arm = yaml.safe_load((ROOT / "presets" / "sample.yaml").read_text(encoding="utf-8"))
    scale = steps / params["train"]["max_steps"]
    for key in ("warmup_steps", "augment_from_step", "evaluate_every"):
        params["train"][key] = max(1, round(params["train"][key] * scale))
    params["train"] |= {"max_steps": steps, "seed": seed}
    params["features"] |= {"longest": window, "edges": [window] if name == "padded" else None}
    if name != "both":
        params["train"] |= {"margin_share": 0.0, "window_share": 0.0}
    params["evaluate"] |= {"beams": 1, "full_window": False}
    return params


def train(name: str, arm: Arm) -> float:
    """Runs the stage unless it is done; minutes of this run."""
    folder = WORK / f"{name}-{files_hash_of(arm)}"
    if (folder / "metrics.json").exists():
        return float((folder / "minutes").read_text(encoding="utf-8"))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(arm), encoding="utf-8")
    start = time.perf_counter()
    outputs = ["--model", folder / "model", "--last", folder / "last", "--metrics", folder / "metrics.json"]
    stage("train", [*outputs, "--plots", folder / "plots", "--params", folder / "params.yaml"])
    minutes = round((time.perf_counter() - start) / 60, 1)
    (folder / "minutes").write_text(str(minutes), encoding="utf-8")
    return minutes


def decode(name: str, arm: Arm, padded: bool, window: float) -> dict[str, list[dict[str, Any]]]:
    """Rows of the predictions of both splits, clips without words left out."""
    folder = WORK / f"{name}-{files_hash_of(arm)}"
    model = folder / "model"
    if padded:
        model = folder / "model-at-full-window"
        _with_edges(folder / "model", model, [window])
    target = folder / f"predictions{'-padded' * padded}"
    outputs = ["--predictions", target, "--metrics", folder / "evaluate.json", "--plots", folder / "plots"]
    stage("evaluate", ["--model", model, *outputs, "--params", folder / "params.yaml"])
    return {split: [row for row in read_jsonl(target / f"{split}.jsonl") if row["words"]] for split in SPLITS}


def _with_edges(model: Path, target: Path, edges: list[float]) -> None:
    """The same model directory that says another way to pad."""
    target.mkdir(exist_ok=True)
    for path in model.iterdir():
        (target / path.name).unlink(missing_ok=True)
        if path.name == "experiment.json":
            experiment = yaml.safe_load(path.read_text(encoding="utf-8"))
            write_json(target / path.name, {**experiment, "edges": {"seconds": edges, "tail": 0.0}})
        else:
            (target / path.name).hardlink_to(path)


def compared(rows: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """WER of each, and how much each differs from the padded one."""
    words = [row["words"] for row in rows["padded"]]
    groups = [row["group"] for row in rows["padded"]]
    baseline = [row["errors"] for row in rows["padded"]]
    found = {}
    for name, of_arm in rows.items():
        errors = [row["errors"] for row in of_arm]
        alone, paired = bootstrap_interval(errors, words, groups), paired_bootstrap(errors, baseline, words, groups)
        found[name] = {
            "wer": round(sum(errors) / sum(words), 5),
            "interval": [round(alone.low, 5), round(alone.high, 5)],
            "minus padded": round((sum(errors) - sum(baseline)) / sum(words), 5),
            "paired interval": [round(paired.low, 5), round(paired.high, 5)],
        }
    return found | {"words": sum(words), "groups": alone.groups}


def stage(name: str, arguments: list[Any]) -> None:
    """One stage on the pipeline's clips and splits."""
    fixed = ["--clips", "data/clips", "--splits", "data/splits"]
    subprocess.run([sys.executable, "-m", f"stages.{name}", *fixed, *map(str, arguments)], cwd=ROOT, check=True)


def files_hash_of(arm: Arm) -> str:
    """Short name of an arm's parameters."""
    path = WORK / "params.tmp"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(arm), encoding="utf-8")
    return files_hash([path])[:8]


if __name__ == "__main__":
    main()
