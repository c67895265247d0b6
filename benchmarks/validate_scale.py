"""How long validate takes, and how much memory, for a corpus as large as LocalDoc/azerbaijani_asr.

    python -m benchmarks.validate_scale [--clips 351019] [--rounds 3]

The index is made up, without audio: the duration mix of that corpus, 14.8 characters a second, words by Zipf's law,
and some of everything that the rules look for: copies, near copies, repeated sentences, texts to repair, clips that
cannot be decoded, poor signals. Equal seeds give equal rows. The stage runs as a process of its own, so that its
start, its reading and its writing count.

Writes benchmarks/results/validate-scale.json.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import yaml
from numpy.typing import NDArray

from asr.corpus.index import SCHEMA, write_index
from asr.files import read_json
from asr.knobs import read_yaml
from benchmarks.records import spread, write_record

ROOT = Path(__file__).resolve().parent.parent
MIX = ((0.361, 0.3, 2), (0.472, 2, 5), (0.146, 5, 10), (0.020, 10, 20), (0.001, 20, 29))
"""Share of clips, and bounds of their length in seconds."""
CHARACTERS_PER_SECOND = 14.8
WORDS = 60_000
LETTERS = "aaaaəəəəiiiınnnrrrllldddmmmeebbsstttkyyuqşçgzvoxüöhpfcjğ"


@dataclass(frozen=True)
class Run:
    """One run of the stage."""

    wall: float
    """Seconds."""
    processor: float
    """Seconds of user and system time."""
    peak: float
    """Largest resident set, MB."""


def main() -> None:
    """Makes the index, runs the stage, prints and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=351_019)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="validate-scale-") as folder:
        place = Path(folder)
        write_index(place / "index.parquet", corpus(args.clips, args.seed))
        (place / "params.yaml").write_text(yaml.safe_dump(parameters()), encoding="utf-8")
        runs = [stage(place) for _ in range(args.rounds)]
        report = read_json(place / "validate.json")
    figures = {
        "clips": args.clips,
        "hours": round(report["hours_in"], 1),
        "clips_kept": report["clips_kept"],
        "rejected": report["rejected"],
        "wall_seconds": spread([run.wall for run in runs]),
        "processor_seconds": spread([run.processor for run in runs]),
        "peak_megabytes": spread([run.peak for run in runs]),
    }
    print(figures)
    command = f"python -m benchmarks.validate_scale --clips {args.clips} --rounds {args.rounds} --seed {args.seed}"
    print(write_record("validate-scale", command, ["numpy", "pyarrow", "rapidfuzz"], figures))


def stage(place: Path) -> Run:
    """Runs the stage on the index in `place`, where its outputs go as well."""
    outputs = {"--splits": "splits", "--metrics": "validate.json", "--plots": "plots", "--external": "external"}
    inputs = {"--index": "index.parquet", "--params": "params.yaml"}
    words = [word for option, name in (inputs | outputs).items() for word in (option, str(place / name))]
    (place / "external").mkdir(exist_ok=True)
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "stages.validate", *words], cwd=ROOT)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"the stage ended with status {process.returncode}")
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000)


def parameters() -> dict[str, object]:
    """The sample preset with limits for clips of up to half a minute."""
    params = read_yaml(ROOT / "presets" / "sample.yaml")
    params["validate"]["max_duration"] = 30.0
    params["features"]["edges"] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0]
    return params


def corpus(clips: int, seed: int) -> pa.Table:
    """Rows of an index with some of every fault."""
    chance = np.random.default_rng(seed)
    shares = np.array([share for share, _, _ in MIX])
    bins = chance.choice(len(MIX), clips, p=shares / shares.sum())
    low, high = np.array([bounds[1:] for bounds in MIX], np.float64)[bins].T
    duration = np.round(chance.uniform(low, high) * 16_000) / 16_000
    texts = sentences(duration, chance)
    pictures = chance.integers(0, 2**64, (clips, 2), np.uint64)
    hashes = np.arange(clips)
    _plant_copies(texts, pictures, hashes, duration, chance)
    lost = chance.random(clips) < 0.0002
    columns = _words(texts, pictures, hashes, lost) | _numbers(np.where(lost, 0.0, duration), chance)
    return pa.table({name: columns[name] for name in SCHEMA.names}, schema=SCHEMA)


def sentences(duration: NDArray[np.float64], chance: np.random.Generator) -> list[str]:
    """A text for each duration: made-up words, some of them typed in a way that needs repair."""
    letters = chance.choice(list(LETTERS), (WORDS, 10))
    lengths = chance.integers(2, 11, WORDS)
    words = ["".join(row[:length]) for row, length in zip(letters.tolist(), lengths.tolist(), strict=True)]
    pace = np.clip(chance.normal(CHARACTERS_PER_SECOND, 2.5, len(duration)), 5, 21)
    counts = np.maximum(1, np.rint(duration * pace / 7)).astype(int)
    ranks = (WORDS ** chance.random(counts.sum())).astype(int)  # Zipf's law: the chance of a word falls as 1 / rank
    texts, start = [], 0
    for count in counts.tolist():
        texts.append(" ".join(words[rank - 1] for rank in ranks[start : start + count].tolist()).capitalize() + ".")
        start += count
    for place in np.flatnonzero(chance.random(len(texts)) < 0.01).tolist():
        texts[place] = texts[place].replace("ə", "\u04d9").replace(" ", "\u00a0", 1)
    return texts


def _plant_copies(
    texts: list[str],
    pictures: NDArray[np.uint64],
    hashes: NDArray[np.int64],
    duration: NDArray[np.float64],
    chance: np.random.Generator,
) -> None:
    """Every hundredth clip says what another says; some of these are its copy, or its copy re-encoded."""
    clips = len(texts)
    for place, model, kind in zip(
        chance.choice(clips, clips // 100, replace=False).tolist(),
        chance.integers(0, clips, clips // 100).tolist(),
        chance.choice(3, clips // 100, p=[0.6, 0.2, 0.2]).tolist(),
        strict=True,
    ):
        texts[place], duration[place] = texts[model], duration[model]
        if kind == 1:
            hashes[place], pictures[place] = hashes[model], pictures[model]
        if kind == 2:
            pictures[place] = pictures[model] ^ np.uint64(1 << 40)


def _words(
    texts: Sequence[str], pictures: NDArray[np.uint64], hashes: NDArray[np.int64], lost: NDArray[np.bool_]
) -> dict[str, list[str]]:
    places = range(len(texts))
    return {
        "id": [f"{place * 0x9E3779B97F4A7C15 % 2**64:016x}" for place in places],
        "name": [f"part-{place // 1000:04d}/clip-{place:07d}.wav" for place in places],
        "text": list(texts),
        "group": [""] * len(texts),
        "source": ["LocalDoc/azerbaijani_asr"] * len(texts),
        "split": [""] * len(texts),
        "licence": ["CC-BY-NC-4.0"] * len(texts),
        "encoding": ["WAV PCM_16"] * len(texts),
        "sha256": [f"{number:064x}" for number in hashes.tolist()],
        "fingerprint": [f"{first:016x}{second:016x}" for first, second in pictures.tolist()],
        "notes": ["signal.resampled" if place % 1000 == 0 else "" for place in places],
        "code": ["audio.truncated" if gone else "" for gone in lost.tolist()],
        "message": ["half of it" if gone else "" for gone in lost.tolist()],
    }


def _numbers(duration: NDArray[np.float64], chance: np.random.Generator) -> dict[str, NDArray[np.generic]]:
    clips = len(duration)

    def mostly(usual: float, odd: float, share: float) -> NDArray[np.float64]:
        return np.where(chance.random(clips) < share, odd, usual)

    return {
        "row": np.arange(clips),
        "declared": duration,
        "rate": np.full(clips, 16_000),
        "channels": np.ones(clips, np.int64),
        "channel_correlation": np.ones(clips),
        "channel_gap_db": np.zeros(clips),
        "duration": duration,
        "peak": np.full(clips, 0.5),
        "rms_dbfs": mostly(-22.0, -70.0, 0.001),
        "clipped": mostly(0.0, 0.003, 0.02),
        "dc_offset": np.zeros(clips),
        "snr_db": mostly(30.0, 6.0, 0.02),
        "speech_share": np.full(clips, np.nan),
        "lead_silence": mostly(0.1, 1.5, 0.02),
        "tail_silence": np.full(clips, 0.1),
        "silence": np.full(clips, 0.1),
        "bandwidth": mostly(7500.0, 3400.0, 0.02),
        "tone_share": np.full(clips, 0.1),
        "edge_db": mostly(-30.0, -3.0, 0.05),
        "zero_run": mostly(0.0, 0.1, 0.01),
    }


if __name__ == "__main__":
    main()
