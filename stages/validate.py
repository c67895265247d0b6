"""Stage 2 of 5: judges every clip of the index, repairs transcripts, and splits the corpus.

Reads   data/index.parquet (no audio)
Writes  data/splits/{train,validation,test,rejected,repaired}.jsonl, metrics/validate.json,
        plots/validate/{durations,text_lengths,rejected}.tsv
Params  validate.*, data.language

Alone: python -m stages.validate
"""

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from asr.corpus.index import read_index
from asr.corpus.ledger import by_code
from asr.corpus.statistics import metrics, write_tables
from asr.corpus.validate import Validated, validate
from asr.files import replaced_folder, write_json, write_jsonl
from asr.params import ValidateStage, as_plain
from asr.provenance import provenance
from asr.stage import run


def main() -> None:
    """Runs the stage."""
    arguments = _arguments()
    params = ValidateStage.load(arguments.params)
    rows = tqdm(read_index(arguments.index), desc="validate", unit="clip", disable=None)
    validated = validate(rows, params.validate, params.language)
    made_by = provenance("validate", as_plain(params), [arguments.index], ["pyarrow"], "cpu")
    _write_splits(arguments.splits, validated)
    write_json(arguments.metrics, {**metrics(validated), "provenance": made_by})
    write_tables(arguments.plots, validated)
    _report(validated)


def _write_splits(folder: Path, validated: Validated) -> None:
    with replaced_folder(folder) as partial:
        for name, split in validated.splits.items():
            write_jsonl(partial / f"{name}.jsonl", map(vars, split))
        write_jsonl(partial / "rejected.jsonl", map(vars, validated.rejections))
        write_jsonl(partial / "repaired.jsonl", map(vars, validated.repairs))


def _report(validated: Validated) -> None:
    sizes = ", ".join(f"{name} {len(split)}" for name, split in validated.splits.items())
    reasons = ", ".join(f"{code} {clips}" for code, clips in by_code(validated.rejections).items())
    print(f"{validated.all_in.clips} clips in; kept: {sizes}; rejected: {reasons or 'none'}")
    if validated.leakage.groups:
        print(
            f"warning: {validated.leakage.groups} groups (speakers or recordings) occur in more than one split, since "
            "the source's own splits share them; the test says little about new speakers. With data.split_column "
            "null the corpus is split by group instead.",
            file=sys.stderr,
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--index", type=Path, default=Path("data/index.parquet"), help="written by prepare")
    parser.add_argument("--splits", type=Path, default=Path("data/splits"), help="folder to write")
    parser.add_argument("--metrics", type=Path, default=Path("metrics/validate.json"), help="file to write")
    parser.add_argument("--plots", type=Path, default=Path("plots/validate"), help="folder to write tables to")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="parameters of all stages")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
