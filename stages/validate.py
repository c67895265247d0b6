"""Stage 2 of 5: judges every clip of the index, repairs transcripts, and splits the corpus.

Reads   data/index.parquet (no audio), texts of outside test sets in data/external, earlier splits in data/earlier
Writes  data/splits/{train,validation,test,rejected,repaired,warned}.jsonl, README.md (the data card), leakage.json,
        metrics/validate.json, plots/validate/*.tsv
Params  validate.*, data.language, data.numbers

Alone: python -m stages.validate
"""

import argparse
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from asr.corpus.card import card
from asr.corpus.index import read_index
from asr.corpus.ledger import by_any_code, by_code
from asr.corpus.splitting.earlier import account, read_earlier, split_files
from asr.corpus.splitting.external import read_references
from asr.corpus.statistics import metrics, write_tables
from asr.corpus.transcripts.labels import tokenizer_files
from asr.corpus.validate import STEPS, Validated, validate
from asr.files import replaced_folder, write_json, write_jsonl, write_text
from asr.params import ValidateStage, as_plain
from asr.provenance import provenance
from asr.stage import run

TOP_WARNINGS = 5
"""Kinds of warnings printed; all of them are in the metrics."""


def main() -> None:
    """Runs the stage."""
    arguments = _arguments()
    params = ValidateStage.load(arguments.params)
    index = read_index(arguments.index)
    references = read_references(arguments.external, params.language, params.numbers)
    tokenizer = tokenizer_files(params.validate.tokenizer, arguments.external)
    record = read_earlier(arguments.earlier)
    with tqdm(total=len(STEPS), desc="validate", unit="step", disable=None) as bar:
        validated = validate(
            index, params.validate, params.language, references, lambda step: _show(bar, step), record, params.numbers
        )
    inputs = [arguments.index, *(arguments.external / reference.name for reference in references)]
    inputs += [*tokenizer, *(split_files(arguments.earlier) if record else ())]
    made_by = provenance("validate", as_plain(params), inputs, ["numpy", "pyarrow", "rapidfuzz"], "cpu")
    _write_splits(arguments.splits, validated)
    write_json(arguments.metrics, metrics(validated) | account(validated.earlier) | {"provenance": made_by})
    write_tables(arguments.plots, validated)
    _report(validated)


def _show(bar: tqdm, step: str) -> None:
    bar.set_postfix_str(step, refresh=False)
    bar.update(1)


def _write_splits(folder: Path, validated: Validated) -> None:
    ledgers = {"rejected": validated.rejections, "repaired": validated.repairs, "warned": validated.warnings}
    with replaced_folder(folder) as partial:
        for name, rows in {**validated.splits, **ledgers}.items():
            write_jsonl(partial / f"{name}.jsonl", map(vars, rows))
        write_json(partial / "leakage.json", asdict(validated.leakage))
        write_text(partial / "README.md", card(validated))


def _report(validated: Validated) -> None:
    sizes = ", ".join(f"{name} {len(split)}" for name, split in validated.splits.items())
    print(f"{validated.all_in.clips} clips in; kept: {sizes}; rejected: {_listed(by_code(validated.rejections))}")
    if validated.warnings:
        counts = _listed(by_any_code(validated.warnings), TOP_WARNINGS)
        print(f"{len(validated.warnings)} kept clips have warnings: {counts}")
    if validated.earlier:
        print(f"earlier release: {validated.earlier}")
    _warn_of_leakage(validated)
    if validated.unlicensed:
        _warn(f"{validated.unlicensed} kept clips state no licence (manifest.licence): set data.licence")


def _warn_of_leakage(validated: Validated) -> None:
    if shared := {name.replace("_", " "): getattr(validated.leakage, name) for name in validated.leakage.shared}:
        _warn(f"occur in more than one split: {_listed(shared)}; see the data card")
    for name, splits in validated.leakage.external.items():
        if found := {split: common.keys for split, common in splits.items() if common.keys}:
            _warn(f"texts of the outside test set {name} that are in a split: {_listed(found)}")
    if validated.leakage.groups:
        _warn(
            f"{validated.leakage.groups} groups (speakers, recordings) are in several splits, by data.split_column or "
            "validate.earlier: the test says little about new speakers."
        )


def _listed(counts: Mapping[str, int], most: int | None = None) -> str:
    listed = ", ".join(f"{name} {count}" for name, count in list(counts.items())[:most])
    more = len(counts) - most if most is not None and len(counts) > most else 0
    return (f"{listed} and {more} more kinds" if more else listed) or "none"


def _warn(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--index", type=Path, default=Path("data/index.parquet"), help="written by prepare")
    parser.add_argument("--external", type=Path, default=Path("data/external"), help="transcripts of outside test sets")
    parser.add_argument("--earlier", type=Path, default=Path("data/earlier"), help="splits of an earlier release")
    parser.add_argument("--splits", type=Path, default=Path("data/splits"), help="folder to write")
    parser.add_argument("--metrics", type=Path, default=Path("metrics/validate.json"), help="file to write")
    parser.add_argument("--plots", type=Path, default=Path("plots/validate"), help="folder for tables")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="parameters of all stages")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
