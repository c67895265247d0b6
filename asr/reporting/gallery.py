"""All pictures of a run, from its metrics and tables."""

from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from asr.reporting.conditions import conditions_figure, read_calibration, read_noise
from asr.reporting.figures import corpus_figure, evaluation_figure, training_figure
from asr.reporting.overview import summary_figure
from asr.reporting.results import Results
from asr.reporting.tables import read_bars, read_confusions, read_corpus_tables, read_curve
from asr.text import Numbers

CONFUSIONS = 10
"""Word pairs shown."""


@dataclass(frozen=True)
class Tables:
    """Where the tables are."""

    validate: Path
    """A folder, like the next two."""
    train: Path
    evaluate: Path
    predictions: Path
    """Rows of the test split."""


def gallery(results: Results, tables: Tables, numbers: Numbers) -> dict[str, Figure]:
    """The figures by the names of their files.

    Args:
        results: the three metrics files.
        tables: of the same run.
        numbers: as evaluate normalised.

    Raises:
        UserError: a table or a column is missing.
    """
    loss = read_curve(tables.train / "loss.tsv", "loss")
    validation = read_curve(tables.train / "validation_wer.tsv", "wer")
    return {
        "data": corpus_figure(results.corpus, read_corpus_tables(tables.validate)),
        "training": training_figure(
            results.train,
            loss=loss,
            ctc_loss=read_curve(tables.train / "loss.tsv", "ctc_loss"),
            rate=read_curve(tables.train / "learning_rate.tsv", "learning_rate"),
            norm=read_curve(tables.train / "gradient_norm.tsv", "gradient_norm"),
            validation=validation,
        ),
        "evaluation": _evaluation(results, tables, numbers),
        "conditions": conditions_figure(
            read_noise(tables.evaluate / "noise.tsv"), read_calibration(tables.evaluate / "calibration.tsv")
        ),
        "summary": summary_figure(results, loss, validation),
    }


def _evaluation(results: Results, tables: Tables, numbers: Numbers) -> Figure:
    by_duration = tables.evaluate / "wer_by_duration.tsv"
    return evaluation_figure(
        results.test,
        by_duration=read_bars(by_duration, "seconds", "wer"),
        clips=read_bars(by_duration, "seconds", "clips"),
        confusions=read_confusions(tables.predictions, results.test.normalizer.language, CONFUSIONS, numbers),
    )
