"""Stage 5 of 5: draws the pictures, writes the report page and the records, prints the result; needs no model.

Reads   metrics/{validate,train,evaluate}.json, the tables under plots/{validate,train,evaluate},
        data/predictions/test.jsonl, data/splits, data/clips (what the page plays)
Writes  plots/images/{data,training,evaluation,conditions,summary}.png, plots/report.html (a page, one file),
        plots/records (histories, samples, statistics, environment, a model card with the test WER)
Params  all: the page shows them

Alone: python -m stages.plot
"""

import argparse
from pathlib import Path

from asr.corpus.store import ClipStore
from asr.files import read_json, read_jsonl, replaced_folder
from asr.params import PlotStage, as_plain
from asr.reporting.gallery import Tables, gallery
from asr.reporting.page.build import PageInputs, write_page
from asr.reporting.records.inputs import RecordInputs
from asr.reporting.records.write import write_records
from asr.reporting.results import read_results
from asr.reporting.style import house_style, save_png
from asr.reporting.summary import summary
from asr.stage import run

STAGES = ("validate", "train", "evaluate")
"""Whose metrics are read."""


def main() -> None:
    """Runs the stage."""
    arguments = _arguments()
    params = PlotStage.load(arguments.params)
    results = read_results(arguments.validate, arguments.train, arguments.evaluate)
    with house_style(), replaced_folder(arguments.images) as folder:
        for name, figure in gallery(results, _tables(arguments), params.data.numbers).items():
            save_png(figure, folder / f"{name}.png", params.plot.dpi)
    write_records(arguments.records, _for_records(arguments, params))
    write_page(arguments.report, _for_page(arguments, params))
    print(summary(results, arguments.report))


def _tables(arguments: argparse.Namespace) -> Tables:
    validate, train, evaluate = (getattr(arguments, f"{stage}_tables") for stage in STAGES)
    return Tables(validate, train, evaluate, arguments.predictions / "test.jsonl")


def _for_records(arguments: argparse.Namespace, params: PlotStage) -> RecordInputs:
    return RecordInputs(
        **{stage: read_json(getattr(arguments, stage)) for stage in STAGES},
        params=as_plain(params),
        tables=arguments.train_tables,
        predictions=arguments.predictions / "test.jsonl",
        splits=arguments.splits,
        language=params.data.language,
    )


def _for_page(arguments: argparse.Namespace, params: PlotStage) -> PageInputs:
    return PageInputs(
        **{stage: read_json(getattr(arguments, stage)) for stage in STAGES},
        predictions=list(read_jsonl(arguments.predictions / "test.jsonl")),
        rejected=arguments.splits / "rejected.jsonl",
        card=arguments.splits / "README.md",
        images={path.stem: path for path in sorted(arguments.images.glob("*.png"))},
        clips=ClipStore(arguments.clips),
        params=as_plain(params),
        language=params.data.language,
        numbers=params.data.numbers,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for stage in STAGES:
        parser.add_argument(f"--{stage}", type=Path, default=Path(f"metrics/{stage}.json"), help="metrics to read")
        parser.add_argument(f"--{stage}-tables", type=Path, default=Path(f"plots/{stage}"), help="tables to read")
    parser.add_argument("--predictions", type=Path, default=Path("data/predictions"), help="written by evaluate")
    for name in ("clips", "splits"):
        parser.add_argument(f"--{name}", type=Path, default=Path(f"data/{name}"), help="folder to read")
    for name in ("images", "records"):
        parser.add_argument(f"--{name}", type=Path, default=Path(f"plots/{name}"), help="folder to write")
    parser.add_argument("--report", type=Path, default=Path("plots/report.html"), help="page to write")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="parameters of all stages")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
