"""How fast prepare turns Parquet with 16 kHz PCM16 WAV into the audio store, against a plain soundfile loop.

    python -m benchmarks.prepare [--clips 40000] [--rounds 5] [--disk]

The clips have the duration mix of LocalDoc/azerbaijani_asr (36.1 % 0-2 s, 47.2 % 2-5 s, 14.6 % 5-10 s, 2.0 %
10-20 s, 0.1 % 20-30 s) and noise for content. Four things are timed in turn, as whole processes with their
start, so that a busy moment hits all of them; a first round, which a virtual machine spends on fetching memory
from its host, does not count:

prepare     this repository's stage on all cores: decode, check, hash, measure, store, index
quarter     the same on the first quarter of the clips; what the other three quarters add is the sustained rate, free of
            the second that the processes take to start
same job    one process: each row read with `soundfile`, hashed, its level measured, written to a WAV of its own
            with `soundfile`, a CSV of durations at the end: what a preparation script of this field does
decoding    one process: each row read with `soundfile` and dropped, nothing else

Files stand in memory (/dev/shm), since prepare is faster than many disks: at 5,800 clips/s it writes 640 MB/s.
With `--disk` they stand under data/, and the figure is that of the disk as well.

Writes benchmarks/results/prepare.json, or prepare-disk.json.
"""

import argparse
import csv
import hashlib
import io
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile
import yaml

from benchmarks.mix import clip_lengths
from benchmarks.records import spread, write_record

ROOT = Path(__file__).resolve().parent.parent
RATE = 16_000
ROWS_PER_GROUP = 100
"""As `datasets` writes audio."""
ROWS_PER_FILE = 2500


def main() -> None:
    """Makes the corpus, times them, prints and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--disk", action="store_true")
    parser.add_argument("--child", choices=sorted(CHILDREN), help=argparse.SUPPRESS)
    parser.add_argument("--corpus", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        CHILDREN[args.child](args.corpus)
        return
    place = ROOT / "data" if args.disk else Path("/dev/shm")  # noqa: S108  # memory on purpose; the folder inside gets a random name
    with tempfile.TemporaryDirectory(dir=place, prefix=".benchmark.", suffix=".partial") as folder:
        corpus = Path(folder)
        hours = write_corpus(corpus / "parquet", args.clips)
        _link_quarter(corpus, args.clips)
        figures = measured(corpus, args.clips, args.rounds)
    figures = {"files": "on disk" if args.disk else "in memory", "clips": args.clips, "hours": hours, **figures}
    command = f"python -m benchmarks.prepare --clips {args.clips} --rounds {args.rounds}{' --disk' * args.disk}"
    name = "prepare-disk" if args.disk else "prepare"
    path = write_record(name, command, ("numpy", "pyarrow", "soundfile", "soxr"), figures)
    print(path.read_text(encoding="utf-8"))


def measured(corpus: Path, clips: int, rounds: int) -> dict[str, object]:
    """Clips a second of each of the four, the sustained rate, the ratio, and the peak memory of prepare."""
    seconds: dict[str, list[float]] = {"prepare": [], "quarter": [], "same job": [], "decoding": []}
    peaks = []
    for turn in range(rounds + 1):
        for name, taken in seconds.items():
            for left in ("out", "wavs"):
                shutil.rmtree(corpus / left, ignore_errors=True)
            wall, peak = timed(_command(name, corpus))
            print(f"{name}: {wall:.2f} s, {peak / 2**20:,.0f} MiB", flush=True)
            if turn:
                taken.append(wall)
                peaks += [peak / 2**20] * (name == "prepare")
    pairs = list(zip(seconds["prepare"], seconds["quarter"], seconds["same job"], strict=True))
    return {
        "prepare, clips/s, with its start": spread([clips / wall for wall in seconds["prepare"]]),
        "prepare, clips/s, sustained": spread([(clips - clips // 4) / (wall - part) for wall, part, _ in pairs]),
        "same job, clips/s": spread([clips / wall for wall in seconds["same job"]]),
        "decoding, clips/s": spread([clips / wall for wall in seconds["decoding"]]),
        "prepare over same job, ratio of whole runs": spread([loop / wall for wall, _, loop in pairs]),
        "prepare, peak MiB of all processes": spread(peaks),
    }


def _command(name: str, corpus: Path) -> list[str]:
    """What is run for one of the four."""
    if name not in ("prepare", "quarter"):
        return [sys.executable, "-m", "benchmarks.prepare", "--child", name, "--corpus", str(corpus)]
    params = yaml.safe_load((ROOT / "presets" / "sample.yaml").read_text(encoding="utf-8"))
    params["data"] |= {"source": "hub", "path": str(corpus / ("parquet" if name == "prepare" else "quarter"))}
    (corpus / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    outputs = ["--clips", str(corpus / "out" / "clips"), "--index", str(corpus / "out" / "index.parquet")]
    return [sys.executable, "-m", "stages.prepare", "--params", str(corpus / "params.yaml"), *outputs]


def timed(arguments: list[str]) -> tuple[float, int]:
    """Wall seconds of a command, and the most memory its processes held together in bytes."""
    start = time.perf_counter()
    process = subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    peaks = [0]
    watch = threading.Thread(target=_watch, args=(process.pid, peaks), daemon=True)
    watch.start()
    _, errors = process.communicate()
    seconds = time.perf_counter() - start
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed:\n{errors}")
    return seconds, peaks[0]


def _watch(root: int, peaks: list[int]) -> None:
    while Path(f"/proc/{root}").exists():
        peaks[0] = max(peaks[0], sum(map(_resident_bytes, _tree(root))))
        time.sleep(0.2)


def _tree(root: int) -> Iterator[int]:
    yield root
    try:
        children = Path(f"/proc/{root}/task/{root}/children").read_text(encoding="utf-8").split()
    except OSError:
        return
    for child in children:
        yield from _tree(int(child))


def _resident_bytes(process: int) -> int:
    """Of one process; pages that several share count for each, so that sums are never too low."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text(encoding="utf-8").split()[1])
    except (OSError, IndexError):
        return 0
    return pages * resource.getpagesize()


def write_corpus(folder: Path, clips: int) -> float:
    """Parquet files as the Hub serves them; returns the hours of audio."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(1)
    noise = (rng.standard_normal(40 * RATE) * 2000).astype(np.int16)
    lengths = clip_lengths(clips, rng)
    for number, start in enumerate(range(0, clips, ROWS_PER_FILE)):
        rows = [_row(start + i, noise, int(n), rng) for i, n in enumerate(lengths[start : start + ROWS_PER_FILE])]
        schema = pa.schema(
            [("audio", pa.struct([("bytes", pa.binary()), ("path", pa.string())])), ("text", pa.string())]
        )
        table = pa.Table.from_pylist(rows, schema=schema)
        pq.write_table(table, folder / f"train-{number:05d}.parquet", row_group_size=ROWS_PER_GROUP)
    return round(float(lengths.sum()) / RATE / 3600, 2)


def _link_quarter(corpus: Path, clips: int) -> None:
    """The first quarter of the files under another folder."""
    (corpus / "quarter").mkdir()
    for path in sorted((corpus / "parquet").iterdir())[: clips // 4 // ROWS_PER_FILE]:
        (corpus / "quarter" / path.name).hardlink_to(path)


def _row(number: int, noise: np.ndarray, samples: int, rng: np.random.Generator) -> dict[str, object]:
    start = int(rng.integers(0, len(noise) - samples))
    file = io.BytesIO()
    soundfile.write(file, noise[start : start + samples], RATE, format="WAV", subtype="PCM_16")
    return {"audio": {"bytes": file.getvalue(), "path": f"{number:06d}.wav"}, "text": f"Bu, {number} nömrəli cümlədir."}


def same_job(corpus: Path) -> None:
    """The plain loop."""
    (corpus / "wavs").mkdir()
    with (corpus / "wavs" / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        manifest = csv.writer(file)
        for name, data, text in _rows(corpus):
            samples, rate = soundfile.read(io.BytesIO(data), dtype="float32")
            level = float(np.sqrt(np.mean(samples**2)))
            digest = hashlib.sha256(data).hexdigest()
            soundfile.write(corpus / "wavs" / name, samples, rate, subtype="PCM_16")
            manifest.writerow([name, text, len(samples) / rate, level, float(np.abs(samples).max()), digest])


def decoding(corpus: Path) -> None:
    """Decoding alone."""
    for _, data, _ in _rows(corpus):
        soundfile.read(io.BytesIO(data), dtype="float32")


def _rows(corpus: Path) -> Iterator[tuple[str, bytes, str]]:
    for path in sorted((corpus / "parquet").glob("*.parquet")):
        for batch in pq.ParquetFile(path).iter_batches(64):
            for row in batch.to_pylist():
                yield row["audio"]["path"], row["audio"]["bytes"], row["text"]


CHILDREN = {"same job": same_job, "decoding": decoding}

if __name__ == "__main__":
    os.chdir(ROOT)
    main()
