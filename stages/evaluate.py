"""Stage 4 of 5: decode and score the validation and test clips.

Reads    models/asr, data/clips, data/splits/{validation,test}.jsonl; data/splits/train.jsonl for its hash, so
         that a model is never scored on splits it was not trained with
Writes   data/predictions/{validation,test}.jsonl, metrics/evaluate.json, plots/evaluate/wer_by_duration.tsv
Params   evaluate (language and edges come with the model)
Alone    python -m stages.evaluate
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from asr.corpus.clips import read_split
from asr.corpus.store import ClipStore
from asr.decoding.predict import Predictions, at_full_window, full_window_section, make_transcriber, predict
from asr.devices import choose_compute
from asr.files import read_json, replaced_folder, write_json, write_jsonl, write_tsv
from asr.models.build import EXPERIMENT, SpeechModel, load
from asr.models.identity import Identity, require_same
from asr.params import EvaluateStage, as_plain
from asr.provenance import provenance
from asr.scoring.slices import TSV_COLUMNS
from asr.stage import run

LIBRARIES = ("jiwer", "numpy", "torch", "transformers")
SPLITS = ("validation", "test")


def main() -> None:
    """Paths from the command line, knobs from params.yaml."""
    args = _arguments()
    params = EvaluateStage.load(args.params)
    compute = choose_compute(params.evaluate.device, "fp32", params.evaluate.threads)
    files = {name: args.splits / f"{name}.jsonl" for name in SPLITS}
    transcriber = make_transcriber(_checked_model(args), params.evaluate, compute)
    clips = ClipStore(args.clips)

    found = {name: predict(transcriber, read_split(files[name]), clips, name) for name in SPLITS}
    results: dict[str, Any] = {name: found[name].evaluation.as_plain() for name in SPLITS}
    if params.evaluate.full_window:
        for name in SPLITS:
            padded = predict(at_full_window(transcriber), read_split(files[name]), clips, f"{name}, full window")
            results[name]["full_window"] = full_window_section(found[name], padded)

    inputs = [*files.values(), args.model / EXPERIMENT, args.model / "model.safetensors"]
    results["provenance"] = provenance("evaluate", as_plain(params), inputs, LIBRARIES, compute.device_class)
    _write(args, found, results)
    print(f"test WER {results['test']['wer']:.4f}, CER {results['test']['cer']:.4f}")


def _checked_model(args: argparse.Namespace) -> SpeechModel:
    recorded = Identity.recorded(read_json(args.model / EXPERIMENT))
    model = load(args.model)
    if recorded.splits is None:
        print(
            f"warning: {args.model / EXPERIMENT} does not say what the model was trained on, as for a model from "
            "elsewhere: whether it has heard these test clips is unknown",
            file=sys.stderr,
        )
    else:
        require_same(recorded, Identity.present(args.splits, model.tokenizer))
    return model


def _write(args: argparse.Namespace, found: dict[str, Predictions], results: dict[str, Any]) -> None:
    with replaced_folder(args.predictions) as folder:
        for name in SPLITS:
            write_jsonl(folder / f"{name}.jsonl", found[name].rows())
    slices = found["test"].evaluation.slices
    write_tsv(args.plots / "wer_by_duration.tsv", TSV_COLUMNS, (part.as_row() for part in slices))
    write_json(args.metrics, results)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("models/asr"))
    parser.add_argument("--clips", type=Path, default=Path("data/clips"))
    parser.add_argument("--splits", type=Path, default=Path("data/splits"))
    parser.add_argument("--predictions", type=Path, default=Path("data/predictions"))
    parser.add_argument("--metrics", type=Path, default=Path("metrics/evaluate.json"))
    parser.add_argument("--plots", type=Path, default=Path("plots/evaluate"))
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
