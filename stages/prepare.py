"""Stage 1 of 5: decode, resample and measure every clip of the corpus; nothing is judged.

Reads   the source that `data.source` names (and `data.path`, for all but the sample and the Hub)
Writes  data/clips/         audio store: Arrow shards of mono 16 kHz PCM16 with ids
        data/index.parquet  one row a clip: transcript, measurements, or why it could not be decoded
Params  data
Alone   python -m stages.prepare
"""

import argparse
import sys
from pathlib import Path

from asr.corpus.prepare import prepare, usable_cores
from asr.corpus.sources import open_source
from asr.params import PrepareStage
from asr.stage import run


def main() -> None:
    """Command line of the stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--clips", type=Path, default=Path("data/clips"), help="folder of the audio store (replaced)")
    parser.add_argument("--index", type=Path, default=Path("data/index.parquet"))
    args = parser.parse_args()

    source = open_source(PrepareStage.load(args.params).data)
    for note in source.notes:
        print(f"prepare: note: {note}", file=sys.stderr)
    print(f"prepare: {prepare(source, args.clips, args.index, usable_cores())}")


if __name__ == "__main__":
    run(main)
