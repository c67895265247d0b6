"""Stage 3 of 5: train a Whisper on unpadded clips.

Reads    data/clips, data/splits/train.jsonl, data/splits/validation.jsonl
Writes   models/asr (best on validation) and models/last (after the last step), both as plain Whisper
         directories; metrics/train.json; plots/train/*, also while it runs
Params   train, model, features, data.language
Keeps    .scratch/train/KEY, checkpoints of a run that died: the same command goes on from there, to the same bits;
         runs/train/KEY/log.jsonl, a log with clock times
Alone    python -m stages.train
"""

import argparse
import logging
import os
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState

from asr.corpus.clips import read_split
from asr.corpus.store import ClipStore
from asr.devices import Compute, choose_compute
from asr.files import replaced_folder, write_json, write_text
from asr.models.build import SpeechModel, save
from asr.models.card import LAST, model_card, validation
from asr.params import TrainStage, as_plain
from asr.provenance import files_hash, provenance
from asr.stage import run
from asr.training.checkpoint.scratch import run_key
from asr.training.observe.console import DEFAULT, ENVIRONMENT, configure_logging
from asr.training.run import Outcome, Splits, decisive, metrics, trained

LOG = logging.getLogger(__name__)
LIBRARIES = ("accelerate", "numpy", "tokenizers", "torch", "transformers")


def main() -> None:
    """Paths from the command line, knobs from params.yaml."""
    args = _arguments()
    configure_logging(os.environ.get(ENVIRONMENT, DEFAULT))
    params = TrainStage.load(args.params)
    compute = choose_compute(params.train.device, params.train.precision, params.train.threads, params.train.tf32)
    files = [args.splits / "train.jsonl", args.splits / "validation.jsonl"]
    splits = Splits(read_split(files[0]), read_split(files[1]), ClipStore(args.clips))
    made_of = provenance("train", as_plain(params), files, LIBRARIES, compute.device_class)
    audio = files_hash(args.clips.glob("*.arrow"))
    device = {"precision": compute.precision, "build": torch.__version__, "processes": _processes(compute)}
    key = run_key({**made_of, **device, "params": decisive(params), "audio": audio, "base": _base(params.model.name)})

    with trained(params, splits, compute, key, args.plots) as (model, outcome):
        if outcome.is_main:
            _write(model, outcome, args, as_plain(params), made_of)


def _base(name: str) -> str:
    """Hash of a base model in a local folder; those of the Hub have a revision."""
    return files_hash(path for path in Path(name).rglob("*") if path.is_file() and name != "scratch")


def _processes(compute: Compute) -> int:
    """How many train together: they add up their gradients in another order than one does."""
    return int(PartialState(cpu=compute.device.type == "cpu").num_processes)


def _write(
    model: SpeechModel, outcome: Outcome, args: argparse.Namespace, params: dict[str, Any], made_of: dict[str, Any]
) -> None:
    results = metrics(model, outcome) | {"provenance": made_of}
    _save(model, args.last, params, results | {"published": LAST})
    model.network.load_state_dict(outcome.weights)
    _save(model, args.model, params, results)
    write_json(args.metrics, results)
    LOG.info("validation WER %s; %s", validation(results), args.model)


def _save(model: SpeechModel, target: Path, params: dict[str, Any], results: dict[str, Any]) -> None:
    card = model_card(model.language, params["model"]["name"], results, params["licence"], params["corpus"])
    with replaced_folder(target) as folder:
        save(model, folder, {"params": params, "train": results})
        write_text(folder / "README.md", card)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, default=Path("data/clips"))
    parser.add_argument("--splits", type=Path, default=Path("data/splits"))
    parser.add_argument("--model", type=Path, default=Path("models/asr"))
    parser.add_argument("--last", type=Path, default=Path("models/last"))
    parser.add_argument("--metrics", type=Path, default=Path("metrics/train.json"))
    parser.add_argument("--plots", type=Path, default=Path("plots/train"))
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
