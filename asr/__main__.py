"""Commands beside the pipeline: `python -m asr check | verify | compare | transcribe | stream`."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from asr.params import EvaluateStage, load_params
from asr.stage import run


def main() -> None:
    """Dispatches to the command; heavy imports happen inside the one that needs them."""
    args = _parser().parse_args()
    args.command(args)


def check(args: argparse.Namespace) -> None:
    """Checks every parameter without running anything."""
    load_params(args.params)
    print(f"{args.params}: all parameters are known, typed and in range")


def verify(_: argparse.Namespace) -> None:
    """Prints the test WER and whether the results are the committed ones."""
    from asr.reporting.verify import verdict

    print(verdict(Path()))


def compare(args: argparse.Namespace) -> None:
    """Says which of two revisions, experiments or files of predictions has fewer errors, and how sure that is."""
    from asr.comparing.comparison import comparison
    from asr.comparing.revisions import read_systems
    from asr.comparing.table import render
    from asr.comparing.verdict import verdict

    found = comparison(*read_systems((args.a, args.b), args.split, args.params))
    if args.json:
        plain = {"verdict": asdict(verdict(found)), **found.as_plain()}
        print(json.dumps(plain, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False))
    else:
        print(render(found), end="")


def transcribe(args: argparse.Namespace) -> None:
    """Prints one line of text a file, or with --times one a segment."""
    from asr.decoding.files import transcribe_files

    params = EvaluateStage.load(args.params).evaluate
    for path, transcript in zip(args.files, transcribe_files(args.files, args.model, params), strict=True):
        for notice in transcript.notices:
            print(f"warning: {path}: {notice.at_s:.2f} s: {notice.code}: {notice.message}", file=sys.stderr)
        if not args.times:
            print(f"{path}\t{transcript.text}")
            continue
        for line in transcript.lines:
            print(f"{path}\t{line.start_s:.2f}-{line.end_s:.2f}\t{line.text}")


def stream(args: argparse.Namespace) -> None:
    """Transcribes raw samples from standard input while they come in: times and text of each utterance."""
    from asr.decoding.live import Line, transcribe_stream
    from asr.decoding.stream import PcmFormat

    declared = PcmFormat(args.rate, args.channels, args.format)
    params = EvaluateStage.load(args.params).evaluate
    for event in transcribe_stream(sys.stdin.buffer, declared, args.model, params):
        if isinstance(event, Line):
            print(f"{event.start_s:.2f}-{event.end_s:.2f}\t{event.text}", flush=True)
        else:
            print(f"warning: {event.at_s:.2f} s: {event.code}: {event.message}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m asr", description="Commands beside the pipeline.")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for function in (check, verify):
        commands.add_parser(function.__name__, help=function.__doc__).set_defaults(command=function)
    pair = commands.add_parser("compare", help=compare.__doc__)
    pair.add_argument(
        "a", metavar="REV_A", help="revision, tag, branch, experiment, `workspace`, or a path of predictions"
    )
    pair.add_argument("b", metavar="REV_B", nargs="?", default="workspace", help="the same; the workspace by default")
    pair.add_argument("--split", choices=("test", "validation"), default="test")
    pair.add_argument("--json", action="store_true", help="one JSON document instead of text; rates are fractions")
    pair.set_defaults(command=compare)
    files = commands.add_parser("transcribe", help=transcribe.__doc__)
    files.add_argument("files", type=Path, nargs="+", metavar="FILE", help="audio files")
    files.add_argument("--model", type=Path, default=Path("models/asr"))
    files.add_argument("--times", action="store_true", help="one line a segment, with its seconds in the file")
    files.set_defaults(command=transcribe)
    raw = commands.add_parser("stream", help=stream.__doc__)
    raw.add_argument("--rate", type=int, default=16_000, help="Hz of the samples")
    raw.add_argument("--format", choices=("s16le", "f32le"), default="s16le", help="encoding of a sample")
    raw.add_argument("--channels", type=int, default=1, help="interleaved; their mean is heard")
    raw.add_argument("--model", type=Path, default=Path("models/asr"))
    raw.set_defaults(command=stream)
    return parser


if __name__ == "__main__":
    run(main)
