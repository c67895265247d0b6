"""How large the report of a thousand test clips is, and how long it takes to write.

    python -m benchmarks.page_size [--clips 1000] [--rounds 3]

The clips have the lengths of LocalDoc/azerbaijani_asr and hold synthesised speech (`benchmarks.mix`); about one word
in ten is wrong in their hypotheses. The pictures are those under `plots/images`, so run the pipeline before. The page
is written once to warm up and then in every round; it must have the same bytes each time.

Writes benchmarks/results/page-size.json.
"""

import argparse
import hashlib
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from asr.errors import UserError
from asr.files import write_jsonl, write_text
from asr.pcm import Pcm16
from asr.reporting.page import sound
from asr.reporting.page.build import PageInputs, write_page
from asr.scoring.evaluation import evaluate_pairs
from asr.scoring.wer import Pair
from benchmarks.mix import ROOT, Spoken, speech_clips
from benchmarks.records import spread, write_record

LANGUAGE = "az"
WRONG = 0.1
"""Share of words."""
GROUPS = 40
MEGABYTE = 1e6


def main() -> None:
    """Makes the page, prints and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measured(Path(folder), speech_clips(args.clips, seed=1), args.rounds)
    command = f"python -m benchmarks.page_size --clips {args.clips} --rounds {args.rounds}"
    path = write_record("page-size", command, ("soundfile", "numpy"), figures)
    print(path.read_text(encoding="utf-8"))


def measured(folder: Path, clips: list[Spoken], rounds: int) -> dict[str, Any]:
    """Sizes, and seconds of each round."""
    inputs = page_inputs(folder, clips)
    path = folder / "report.html"
    seconds, hashes = [], set()
    for _ in range(rounds + 1):
        start = perf_counter()
        write_page(path, inputs)
        seconds.append(perf_counter() - start)
        hashes.add(hashlib.sha256(path.read_bytes()).hexdigest())
    assert len(hashes) == 1, "the page has other bytes every time"
    length = sum(clip.seconds for clip in clips)
    sounds = sound.embedded([row["id"] for row in inputs.predictions], length, samples(clips))
    return {
        "clips": len(clips),
        "mean length of a clip, s": round(length / len(clips), 3),
        "clips with sound": len(sounds),
        "page, MB": round(path.stat().st_size / MEGABYTE, 3),
        "of it sound, MB": round(sum(map(len, sounds.values())) / MEGABYTE, 3),
        "of it pictures, MB": round(sum(p.stat().st_size for p in inputs.images.values()) * 4 / 3 / MEGABYTE, 3),
        "writing it, s": spread(seconds[1:]),
    }


def page_inputs(folder: Path, clips: list[Spoken]) -> PageInputs:
    """A run of these clips, as far as the page shows it.

    Raises:
        UserError: the pipeline has drawn no pictures.
    """
    images = {path.stem: path for path in (ROOT / "plots" / "images").glob("*.png")}
    if not images:
        raise UserError("plots/images: no pictures, which belong to the size of the page; run `dvc repro` before")
    rows = predictions(clips)
    pairs = [Pair(row["id"], row["reference"], row["hypothesis"], row["group"], row["duration"]) for row in rows]
    scores = evaluate_pairs(pairs, LANGUAGE).as_plain()
    write_jsonl(folder / "rejected.jsonl", [])
    write_text(folder / "card.md", "# Synthesised speech\n")
    return PageInputs(
        validate={},
        train={},
        evaluate={"test": scores, "validation": scores},
        predictions=rows,
        rejected=folder / "rejected.jsonl",
        card=folder / "card.md",
        images=images,
        clips=samples(clips),
        params={},
        language=LANGUAGE,
        numbers="keep",
    )


def predictions(clips: list[Spoken]) -> list[dict[str, Any]]:
    """Rows of a predictions file; a wrong word is one of another clip."""
    rng = np.random.default_rng(1)
    words = sorted({word for clip in clips for word in clip.text.split()})
    rows = []
    for number, clip in enumerate(clips):
        heard = [words[int(rng.integers(len(words)))] if rng.random() < WRONG else word for word in clip.text.split()]
        rows.append(
            {
                "id": clip_id(number),
                "reference": clip.text,
                "hypothesis": " ".join(heard),
                "group": f"speaker-{number % GROUPS:02d}",
                "duration": clip.seconds,
                "source": "synthesis",
                "snr_db": round(float(rng.uniform(10, 40)), 4),
                "capped": False,
                "confidence": round(float(rng.random()), 4),
            }
        )
    return rows


def samples(clips: list[Spoken]) -> dict[str, Pcm16]:
    """By id."""
    return {clip_id(number): clip.pcm for number, clip in enumerate(clips)}


def clip_id(number: int) -> str:
    """As long as the ids that prepare gives."""
    return f"{number:016x}"


if __name__ == "__main__":
    main()
