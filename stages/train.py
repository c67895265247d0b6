"""Stage 3 of 5: train a Whisper on unpadded clips.

Reads    data/clips, data/splits/train.jsonl, data/splits/validation.jsonl
Writes   models/asr (best on validation) and models/last (after the last step), both as plain Whisper
         directories; metrics/train.json; plots/train/*.tsv
Params   train, model, features, data.language
Alone    python -m stages.train
"""

import argparse
from pathlib import Path
from typing import Any

from asr.corpus.clips import read_split
from asr.corpus.store import ClipStore
from asr.devices import choose_compute
from asr.files import replaced_folder, write_json, write_text
from asr.models.build import SpeechModel, save
from asr.models.card import model_card
from asr.params import TrainStage, as_plain
from asr.provenance import provenance
from asr.stage import run
from asr.training.history import write_curves
from asr.training.run import Splits, metrics, run_training

LIBRARIES = ("accelerate", "numpy", "tokenizers", "torch", "transformers")


def main() -> None:
    """Paths from the command line, knobs from params.yaml."""
    args = _arguments()
    params = TrainStage.load(args.params)
    compute = choose_compute(params.train.device, params.train.precision, params.train.threads)
    files = [args.splits / "train.jsonl", args.splits / "validation.jsonl"]
    splits = Splits(read_split(files[0]), read_split(files[1]), ClipStore(args.clips))

    model, outcome = run_training(params, splits, compute)

    results = metrics(model, outcome)
    plain = as_plain(params)
    results["provenance"] = provenance("train", plain, files, LIBRARIES, compute.device_class)
    _save(model, args.last, plain, results)
    model.network.load_state_dict(outcome.best_weights)
    _save(model, args.model, plain, results)
    write_curves(outcome.history, args.plots)
    write_json(args.metrics, results)
    print(f"best validation WER {results['best_validation_wer']:.4f} after step {results['best_step']}")


def _save(model: SpeechModel, target: Path, params: dict[str, Any], results: dict[str, Any]) -> None:
    with replaced_folder(target) as folder:
        save(model, folder, {"params": params, "train": results})
        write_text(folder / "README.md", model_card(model.language, params["model"]["name"], results))


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
