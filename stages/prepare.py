"""Stage 1 of 5: decode, resample and measure every clip of the corpus; nothing is judged.

Reads   the source that `data.source` names (and `data.path`, for all but the sample and the Hub)
Writes  data/clips/         audio store: Arrow shards of mono 16 kHz PCM16 with ids
        data/index.parquet  one row a clip: transcript, measurements, or why it could not be decoded
Params  data
Keeps   data/.clips.partial/  finished parts of a run that was killed; the next run goes on from there
Alone   python -m stages.prepare
"""

import argparse
import json
import sys
from pathlib import Path

from asr.corpus.prepare import prepare
from asr.corpus.sources.open import open_source
from asr.corpus.startup import leave_pandas_out
from asr.corpus.voice import PACKAGES, detector
from asr.corpus.workers import Crew, usable_cores
from asr.params import PrepareStage, as_plain
from asr.provenance import ROOT, files_hash, versions
from asr.stage import run

LIBRARIES = ("librosa", "numpy", "pyarrow", "soundfile", "soxr")
"""Distributions whose versions may change what a part holds."""


def main() -> None:
    """Command line of the stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--clips", type=Path, default=Path("data/clips"), help="folder of the audio store (replaced)")
    parser.add_argument("--index", type=Path, default=Path("data/index.parquet"))
    args = parser.parse_args()

    data = PrepareStage.load(args.params).data
    if data.vad:
        detector()  # a missing package ends the stage here, before anything is read or fetched
    libraries = (*LIBRARIES, *PACKAGES) if data.vad else LIBRARIES
    with Crew(usable_cores()) as crew:
        source = open_source(data)
        for note in source.notes:
            print(f"prepare: note: {note}", file=sys.stderr)
        leave_pandas_out()
        key = json.dumps([as_plain(data), files_hash((ROOT / "asr").rglob("*.py")), versions(libraries)])
        summary = prepare(source, args.clips, args.index, crew, data.licence or "", key, data.vad)
    print(f"prepare: {summary}")


if __name__ == "__main__":
    run(main)
