"""Writes an ugly corpus to look at, or to run the stages on.

    python -m tests.ugly FOLDER [--seed N]      corpus/ with metadata.jsonl, external/; prints what is planted where
    python -m tests.ugly --table                the catalogue of faults as Markdown

The corpus is read with `data.source: folder`, `data.path: FOLDER/corpus`, `group_column: speaker`,
`split_column: split`, `duration_column: seconds`, and needs `validate.max_rejected: 1.0`.
"""

import argparse
import sys
from pathlib import Path

from tests.ugly.catalogue import table
from tests.ugly.corpus import CLIP_FAULTS, Written, write_corpus


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="an empty folder, or one to be made")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--table", action="store_true", help="print the catalogue and write nothing")
    arguments = parser.parse_args()
    if arguments.table:
        sys.stdout.write(f"{table()}\n")
        return
    if arguments.folder is None or (arguments.folder.exists() and any(arguments.folder.iterdir())):
        parser.error("name a folder that is empty or not there yet")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    sys.stdout.write(f"{planted(write_corpus(arguments.folder, arguments.seed, CLIP_FAULTS))}\n")


def planted(written: Written) -> str:
    """A line for each clip with a fault, and the sum."""
    lines = [
        f"{fault.number:2} | {fault.name} | {name!r} | {fault.code} | {fault.action.value}"
        for fault, names in sorted(written.planted.items(), key=lambda item: item[0].number)
        for name in names
    ]
    counted = f"{len(written.good)} clips to be kept, {len(written.planted)} faults in {len(lines)} places"
    return "\n".join(["number | fault | file | code | action", *lines, counted])


if __name__ == "__main__":
    main()
