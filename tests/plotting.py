"""The files that the stage plot reads, made up."""

import math
from dataclasses import asdict

import numpy as np

from asr.corpus.statistics import CHARACTERS, CHARACTERS_PER_SECOND, DURATIONS, SNR
from asr.files import write_json, write_jsonl, write_text, write_tsv
from asr.pcm import SAMPLE_RATE
from asr.scoring.evaluation import evaluate_pairs
from asr.scoring.wer import Pair
from tests.test_records import provenance, split_row, train_metrics, validate_metrics

WORDS = ["salam", "dünya", "bu", "gün", "hava", "çox", "gözəldir", "kitab", "oxumaq", "istəyirəm", "Bakı", "şəhərində"]
PERCENTILES = {"p1": 1.0, "p5": 1.5, "p50": 2.5, "p95": 4.0, "p99": 5.0}
CORPUS = {
    "clips_in": 1320,
    "clips_kept": 1274,
    "hours_kept": 1.21,
    "negatives": 12,
    "quantiles": {"duration": PERCENTILES, "characters_per_second": PERCENTILES, "snr_db": PERCENTILES},
    "splits": {
        "train": {"clips": 1000, "hours": 0.98, "groups": 110},
        "validation": {"clips": 140, "hours": 0.12, "groups": 16},
        "test": {"clips": 134, "hours": 0.11, "groups": 16},
    },
}


NOISE = [("kind", "snr_db", "wer"), *(("clean", snr, 0.1) for snr in (0, 10)), ("white", 0, 0.9), ("white", 10, 0.25)]
CALIBRATION = [("confidence", "accuracy", "words"), (0.35, 0.5, 12), (0.95, 0.9, 300)]


def made_up_pairs(count=60):
    """Texts of three to eleven words, every fifth word wrong, the odd one lost; two clips of silence."""
    pairs = [Pair(f"silence{n}", "", "salam" * n, "", 1.0) for n in range(2)]
    for n in range(count):
        said = [WORDS[(n * 7 + k * 3) % len(WORDS)] for k in range(3 + n % 9)]
        heard = [w.replace("ü", "u").replace("ə", "e") if (n + k) % 5 == 0 else w for k, w in enumerate(said)]
        pairs.append(
            Pair(
                f"clip{n}",
                " ".join(said) + "." * (n % 3),
                " ".join(heard[n % 7 == 0 :]),
                f"g{n % 12}",
                0.5 + len(said) / 2,
            )
        )
    return pairs


def bell(scale, middle, height):
    """Labels of bins and counts that rise and fall around one of them."""
    return [(scale.label(i), round(height * math.exp(-((i - middle) ** 2) / 9))) for i in range(2 * middle)]


def write_corpus_tables(folder, rejected):
    """The tables of validate, with its labels."""
    write_tsv(folder / "durations.tsv", ("seconds", "clips"), bell(DURATIONS, 5, 300))
    write_tsv(folder / "text_lengths.tsv", ("characters", "clips"), bell(CHARACTERS, 4, 320))
    columns = ("characters_per_second", "clips")
    write_tsv(folder / "characters_per_second.tsv", columns, bell(CHARACTERS_PER_SECOND, 13, 250))
    write_tsv(folder / "snr.tsv", ("snr_db", "clips"), bell(SNR, 6, 280))
    groups = [("00001", 2, 0.01), ("00002-00004", 0, 0.0), ("00005-00009", 140, 1.2)]
    write_tsv(folder / "groups.tsv", ("clips_per_group", "groups", "hours"), groups)
    columns = ("source", "clips_kept", "hours_kept", "clips_rejected", "hours_rejected")
    write_tsv(folder / "sources.tsv", columns, [("sample", 1274, 1.21, 46, 0.1)])
    write_tsv(folder / "rejected.tsv", ("code", "clips"), sorted(rejected.items(), key=lambda kv: -kv[1]))
    write_tsv(folder / "warned.tsv", ("code", "clips"), [("text.digits", 40), ("signal.negative_example", 12)])


def write_inputs(root, pairs=None):
    """All files that plot reads, as the earlier stages write them."""
    pairs = pairs or made_up_pairs()
    evaluation = evaluate_pairs(pairs, "az")
    rejected = {"audio.truncated": 1, "text.empty": 2, "text.char_rate": 12, "split.text_overlap": 31}
    write_json(root / "metrics/validate.json", {**validate_metrics(), **CORPUS, "rejected": rejected})
    write_json(
        root / "metrics/train.json",
        {
            **train_metrics(),
            "steps": 2000,
            "best_step": 1500,
            "best_validation_wer": 0.231,
            "seconds_of_audio": 51234.5,
        },
    )
    results = {name: evaluation.as_plain() for name in ("test", "validation")}
    write_json(root / "metrics/evaluate.json", {**results, "provenance": provenance()})
    tables = root / "plots"
    write_corpus_tables(tables / "validate", rejected)
    steps = range(20, 2001, 20)
    wobble = [0.1 * math.sin(step) for step in steps]
    loss = [
        (s, 5 * math.exp(-s / 500) + 1.1 + w, 4 * math.exp(-s / 300) + 0.4 + w)
        for s, w in zip(steps, wobble, strict=True)
    ]
    write_tsv(tables / "train/loss.tsv", ("step", "loss", "ctc_loss"), loss)
    rates = [(s, 2e-3 * min(s / 200, (2000 - s) / 1800)) for s in steps]
    write_tsv(tables / "train/learning_rate.tsv", ("step", "learning_rate"), rates)
    norms = [(s, 2 + 8 * math.exp(-s / 200) + 5 * w) for s, w in zip(steps, wobble, strict=True)]
    write_tsv(tables / "train/gradient_norm.tsv", ("step", "gradient_norm"), norms)
    write_tsv(
        tables / "train/validation_wer.tsv", ("step", "wer"), [(500, 0.61), (1000, 0.33), (1500, 0.231), (2000, 0.238)]
    )
    by_duration = evaluation.tables()["wer_by_duration"]
    write_tsv(tables / "evaluate/wer_by_duration.tsv", by_duration.columns, by_duration.rows)
    for name, table in {"noise": NOISE, "calibration": CALIBRATION}.items():
        write_tsv(tables / f"evaluate/{name}.tsv", table[0], table[1:])
    write_tsv(
        tables / "train/validation_loss.tsv", ("step", "loss"), [(500, 2.1), (1000, 1.3), (1500, 1.1), (2000, 1.2)]
    )
    write_jsonl(root / "data/predictions/test.jsonl", predicted(pairs, evaluation.scores.utterances))
    write_splits(root / "data/splits")


def predicted(pairs, scores):
    """Rows as evaluate writes them."""
    for pair, score in zip(pairs, scores, strict=True):
        yield {**asdict(pair), "capped": False, "errors": score.errors, "words": score.words, "confidence": 0.5}


def write_splits(folder):
    """As many clips as the metrics say, a data card, and one rejected clip."""
    for name, size in CORPUS["splits"].items():
        write_jsonl(folder / f"{name}.jsonl", (split_row(f"{name}{n}", n % 5) for n in range(size["clips"])))
    write_text(folder / "README.md", "# Speech\n")
    row = {"id": "bad", "code": "text.empty", "codes": ["text.empty"], "name": "bad.wav", "row": 1, "duration": 1.0}
    write_jsonl(folder / "rejected.jsonl", [{**row, "value": None, "limit": None, "message": "no text"}])


class Tones:
    """A store that has a second of sound for every clip."""

    def __getitem__(self, clip_id):
        return np.resize(np.arange(-4000, 4000, 40, dtype=np.int16), SAMPLE_RATE)
