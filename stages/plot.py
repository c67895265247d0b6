"""Stage 5 of 5: draws the pictures and prints the result; needs no model and no audio.

Reads   metrics/{validate,train,evaluate}.json, the tables under plots/{validate,train,evaluate},
        data/predictions/test.jsonl
Writes  plots/images/{data,training,evaluation,summary}.png
Params  plot.dpi

Alone: python -m stages.plot
"""

import argparse
from pathlib import Path

from matplotlib.figure import Figure

from asr.files import replaced_folder
from asr.params import PlotStage
from asr.reporting.figures import corpus_figure, evaluation_figure, summary_figure, training_figure
from asr.reporting.results import Results, read_bars, read_confusions, read_corpus_tables, read_curve, read_results
from asr.reporting.style import house_style, save_png
from asr.reporting.summary import summary
from asr.stage import run

CONFUSIONS = 10
"""Word pairs shown."""


def main() -> None:
    """Runs the stage."""
    arguments = _arguments()
    params = PlotStage.load(arguments.params)
    results = read_results(arguments.validate, arguments.train, arguments.evaluate)
    with house_style(), replaced_folder(arguments.images) as folder:
        for name, figure in _figures(arguments, results).items():
            save_png(figure, folder / f"{name}.png", params.plot.dpi)
    print(summary(results))


def _figures(arguments: argparse.Namespace, results: Results) -> dict[str, Figure]:
    return {
        "data": corpus_figure(results.corpus, read_corpus_tables(arguments.validate_tables)),
        "training": _training(arguments.train_tables, results),
        "evaluation": _evaluation(arguments.evaluate_tables, arguments.predictions, results),
        "summary": summary_figure(results),
    }


def _training(tables: Path, results: Results) -> Figure:
    return training_figure(
        results.train,
        loss=read_curve(tables / "loss.tsv", "loss"),
        ctc_loss=read_curve(tables / "loss.tsv", "ctc_loss"),
        rate=read_curve(tables / "learning_rate.tsv", "learning_rate"),
        norm=read_curve(tables / "gradient_norm.tsv", "gradient_norm"),
        validation=read_curve(tables / "validation_wer.tsv", "wer"),
    )


def _evaluation(tables: Path, predictions: Path, results: Results) -> Figure:
    return evaluation_figure(
        results.test,
        by_duration=read_bars(tables / "wer_by_duration.tsv", "seconds", "wer"),
        clips=read_bars(tables / "wer_by_duration.tsv", "seconds", "clips"),
        confusions=read_confusions(predictions / "test.jsonl", results.test.normalizer.language, CONFUSIONS),
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for stage in ("validate", "train", "evaluate"):
        parser.add_argument(f"--{stage}", type=Path, default=Path(f"metrics/{stage}.json"), help="metrics to read")
        parser.add_argument(f"--{stage}-tables", type=Path, default=Path(f"plots/{stage}"), help="tables to read")
    parser.add_argument("--predictions", type=Path, default=Path("data/predictions"), help="written by evaluate")
    parser.add_argument("--images", type=Path, default=Path("plots/images"), help="folder to write")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="parameters of all stages")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
