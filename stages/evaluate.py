"""Stage 4 of 5: decode and score the validation and test clips.

Reads    models/asr, data/clips, data/splits/{validation,test}.jsonl; data/splits/train.jsonl for its hash, so
         that a model is never scored on splits it was not trained with; data/second, speech of another kind
Writes   data/predictions/{validation,test}.jsonl and test.txt, metrics/evaluate.json, plots/evaluate/*.tsv
Params   evaluate, data.numbers (language and edges come with the model)
Keeps    runs/evaluate/speed.jsonl, a log with clock times
Alone    python -m stages.evaluate
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from asr.corpus.clips import Clips, Utterance, read_split
from asr.corpus.store import ClipStore
from asr.decoding.alternatives import alternatives
from asr.decoding.generate import Transcriber
from asr.decoding.predict import Judged, judged, make_transcriber, predict
from asr.decoding.second import second_section
from asr.decoding.speed import log_speed, speed_log, timed
from asr.devices import choose_compute
from asr.files import read_json, replaced_folder, write_json, write_jsonl, write_text, write_tsv
from asr.models.build import EXPERIMENT, SpeechModel, load
from asr.models.identity import Identity, require_same
from asr.params import EvaluateStage, as_plain
from asr.provenance import provenance
from asr.robustness.assess import assess
from asr.scoring.sclite import report
from asr.scoring.table import Table
from asr.stage import run

LIBRARIES = ("numpy", "rapidfuzz", "torch", "transformers")
SPLITS = ("validation", "test")


def main() -> None:
    """Paths from the command line, knobs from params.yaml."""
    args = _arguments()
    params = EvaluateStage.load(args.params)
    compute = choose_compute(params.evaluate.device, "fp32", params.evaluate.threads)
    experiment = read_json(args.model / EXPERIMENT)
    transcriber = make_transcriber(_checked_model(args, experiment), params.evaluate, compute)
    second = second_section(args.second, experiment, transcriber, params.numbers, params.evaluate.second_language)
    files = {name: args.splits / f"{name}.jsonl" for name in SPLITS}
    utterances, clips = {name: read_split(path) for name, path in files.items()}, ClipStore(args.clips)

    found, results = {}, {}
    for name in SPLITS:
        found[name] = _heard(transcriber, utterances[name], clips, name, params, compute.device_class)
        others = alternatives(transcriber, found[name].found, clips, experiment, params.evaluate)
        results[name] = found[name].as_plain() | others
    beyond = assess(transcriber, utterances["test"], clips, params.evaluate.robustness_clips, params.numbers)
    results["test"] |= beyond.as_plain() | {"second": second}

    inputs = [*files.values(), args.model / EXPERIMENT, args.model / "model.safetensors"]
    results["provenance"] = provenance("evaluate", as_plain(params), inputs, LIBRARIES, compute.device_class)
    _write(args, found, {**found["test"].tables(), **beyond.tables()}, results)
    print(f"test WER {results['test']['wer']:.4f}, CER {results['test']['cer']:.4f}")


def _heard(
    transcriber: Transcriber, utterances: list[Utterance], clips: Clips, name: str, params: EvaluateStage, device: str
) -> Judged:
    samples = [clips[item.id] for item in utterances]
    found, speed = timed(lambda: predict(transcriber, utterances, clips, name, params.numbers), samples)
    print(log_speed(speed_log(), name, speed, device))
    return judged(transcriber, found, clips, name)


def _checked_model(args: argparse.Namespace, experiment: Mapping[str, Any]) -> SpeechModel:
    recorded = Identity.recorded(experiment)
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


def _write(
    args: argparse.Namespace, found: Mapping[str, Judged], tables: Mapping[str, Table], results: Mapping[str, Any]
) -> None:
    with replaced_folder(args.predictions) as folder:
        for name in SPLITS:
            write_jsonl(folder / f"{name}.jsonl", found[name].rows())
        test = found["test"].found
        write_text(folder / "test.txt", "".join(f"{line}\n" for line in report(test.pairs, test.evaluation)))
    for name, table in tables.items():
        write_tsv(args.plots / f"{name}.tsv", table.columns, table.rows)
    write_json(args.metrics, results)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("models/asr"))
    parser.add_argument("--clips", type=Path, default=Path("data/clips"))
    parser.add_argument("--splits", type=Path, default=Path("data/splits"))
    parser.add_argument("--second", type=Path, default=Path("data/second"))
    parser.add_argument("--predictions", type=Path, default=Path("data/predictions"))
    parser.add_argument("--metrics", type=Path, default=Path("metrics/evaluate.json"))
    parser.add_argument("--plots", type=Path, default=Path("plots/evaluate"))
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
