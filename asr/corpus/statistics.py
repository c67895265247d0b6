"""Counts of a validated corpus: `metrics/validate.json` and the tables for its plots."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from asr.corpus.clips import Utterance
from asr.corpus.ledger import by_code, total
from asr.corpus.validate import Validated
from asr.files import write_tsv
from asr.text import NORMALIZER_VERSION, normalizer_hash

SECONDS_PER_BIN = 0.5
CHARACTERS_PER_BIN = 10


def metrics(validated: Validated) -> dict[str, Any]:
    """The content of `metrics/validate.json`, without provenance."""
    kept = total(utterance.duration for utterance in validated.kept)
    repaired = Counter(code for repair in validated.repairs for code in repair.codes)
    return {
        "clips_in": validated.all_in.clips,
        "clips_kept": kept.clips,
        "hours_in": validated.all_in.hours,
        "hours_kept": kept.hours,
        "mean_duration": kept.hours * 3600 / kept.clips,
        "negatives": sum(not utterance.text for utterance in validated.kept),
        "rejected": by_code(validated.rejections),
        "repaired": dict(repaired),
        "leakage": asdict(validated.leakage),
        "splits": {name: _split_metrics(split) for name, split in validated.splits.items()},
        "normalizer": {"version": NORMALIZER_VERSION, "hash": normalizer_hash()},
    }


def write_tables(folder: Path, validated: Validated) -> None:
    """The distributions of the kept clips, and the reasons of the rejected ones."""
    durations = _bins((u.duration for u in validated.kept), SECONDS_PER_BIN)
    rows = [(f"{i * SECONDS_PER_BIN:.1f}-{(i + 1) * SECONDS_PER_BIN:.1f}", n) for i, n in enumerate(durations)]
    write_tsv(folder / "durations.tsv", ("seconds", "clips"), rows)
    lengths = _bins((len(u.text) for u in validated.kept), CHARACTERS_PER_BIN)
    rows = [(f"{i * CHARACTERS_PER_BIN}-{(i + 1) * CHARACTERS_PER_BIN - 1}", n) for i, n in enumerate(lengths)]
    write_tsv(folder / "text_lengths.tsv", ("characters", "clips"), rows)
    write_tsv(folder / "rejected.tsv", ("code", "clips"), by_code(validated.rejections).items())


def _split_metrics(split: tuple[Utterance, ...]) -> dict[str, Any]:
    length = total(utterance.duration for utterance in split)
    groups = {utterance.group for utterance in split} - {""}
    return {"clips": length.clips, "hours": length.hours, "groups": len(groups)}


def _bins(values: Iterable[float], width: float) -> list[int]:
    """Counts of [0, width), [width, 2 width), ... up to the largest value."""
    counts = Counter(int(value // width) for value in values)
    return [counts[index] for index in range(max(counts, default=-1) + 1)]
