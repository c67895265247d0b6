"""Damages good files at random and counts what the decoder in the child process makes of them.

    python -m benchmarks.mutations [--files 2000] [--seed 1]    writes benchmarks/results/mutations.json

Some damage has to be flagged wherever it hits: cuts, sizes that lie, floats that are no samples, tails of other
files. Of other damage no decoder can know: a bit flipped in PCM is another sample, for PCM has no checksum; nor has
the payload of an MP3 frame. Such files are counted as undetectable by design where they pass.
"""

import argparse
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from asr.audio import decode
from asr.isolation import DECODE_SECONDS, IsolatedDecoder
from asr.pcm import AudioError, Decode, Sound
from benchmarks.records import write_record
from tests.ugly.damage import FORMS, MUTATIONS, VARIANTS, Form, Mutation, Rng

MUST_NOT = ("audio.decode_timeout", "audio.decode_crash")
"""Codes that stand for harm done to the child; counted by themselves."""


@dataclass
class Report:
    """What became of the damaged files."""

    files: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    """Codes of refusals, `noted`, `unchanged` (the same samples as before the damage) and `undetectable`."""
    by_kind: dict[str, Counter[str]] = field(default_factory=dict)
    """The same by form and mutation, in three classes: flagged, passed, and missed where it had to be flagged."""
    missed: list[str] = field(default_factory=list)
    """Form, mutation and number of each file that had to be flagged and was not."""
    slowest_s: float = 0.0
    seconds: float = 0.0
    growth_mib: float | None = None
    """Of the child's memory at its highest over that after the good files; None where the system does not tell."""


def run(files: int, seed: int, decoder: Decode = decode) -> Report:
    """Decodes `files` damaged files in isolation; any error but `AudioError` is raised."""
    report, began = Report(), time.perf_counter()
    good = {form: form.files() for form in FORMS}
    with IsolatedDecoder(decoder=decoder) as isolated:
        whole = {(form, n): isolated(data, "") for form, datas in good.items() for n, data in enumerate(datas)}
        first = _memory_mib("VmRSS")
        for number, (form, mutation, variant) in enumerate(_plan(files)):
            data = good[form][variant]
            damaged = _other(data, form, mutation, np.random.default_rng([seed, number]))
            start = time.perf_counter()
            found = _outcome(isolated, damaged, whole[form, variant])
            report.slowest_s = max(report.slowest_s, time.perf_counter() - start)
            _count(report, form, mutation, number, found)
        highest = _memory_mib("VmHWM")
    report.growth_mib = highest - first if first and highest else None
    report.seconds = time.perf_counter() - began
    return report


def _plan(files: int) -> Iterator[tuple[Form, Mutation, int]]:
    """Forms and mutations in turn, so that each has its share."""
    pairs = [(form, mutation) for mutation in MUTATIONS for form in FORMS if mutation.fits(form)]
    for number in range(files):
        yield *pairs[number % len(pairs)], number // len(pairs) % VARIANTS


def _other(data: bytes, form: Form, mutation: Mutation, rng: Rng) -> bytes:
    """A damaged file that is not by chance the good one."""
    while (damaged := mutation.apply(data, form, rng)) == data:
        pass
    return damaged


def _outcome(isolated: IsolatedDecoder, data: bytes, whole: Sound) -> str:
    try:
        sound = isolated(data, "")
    except AudioError as error:
        return error.code
    if not isinstance(sound, Sound):
        raise TypeError(f"decoding gave a {type(sound).__name__}")
    if set(sound.notes) - set(whole.notes):
        return "noted"
    return "unchanged" if np.array_equal(sound.pcm, whole.pcm) else "undetectable"


def _count(report: Report, form: Form, mutation: Mutation, number: int, outcome: str) -> None:
    passed = outcome in ("unchanged", "undetectable")
    missed = passed and mutation.flagged(form) and not (mutation.may_miss_samples and outcome == "unchanged")
    report.files += 1
    report.outcomes["missed" if missed else outcome] += 1
    kinds = report.by_kind.setdefault(f"{form.name}: {mutation.name}", Counter())
    kinds["missed" if missed else "passed" if passed else "flagged"] += 1
    if missed:
        report.missed.append(f"{form.name}: {mutation.name} ({number}): {outcome}")


def _memory_mib(field_name: str) -> float:
    """Of the decoder's process, from Linux's /proc; 0 elsewhere."""
    [child] = multiprocessing.active_children()
    status = Path(f"/proc/{child.pid}/status")
    lines = status.read_text(encoding="ascii").splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{field_name}:")), 0.0)


def figures(report: Report) -> dict[str, Any]:
    """For the record."""
    flagged = Counter[str]()
    for kind, counts in report.by_kind.items():
        flagged[kind.partition(": ")[2]] += counts["flagged"]
    return {
        "files": report.files,
        "outcomes": dict(sorted(report.outcomes.items())),
        "harm": {code: report.outcomes[code] for code in MUST_NOT},
        "missed": report.missed,
        "by_kind": {kind: dict(sorted(counts.items())) for kind, counts in report.by_kind.items()},
        "seconds": round(report.seconds, 2),
        "slowest_s": round(report.slowest_s, 4),
        "limit_s": DECODE_SECONDS,
        "memory_growth_mib": None if report.growth_mib is None else round(report.growth_mib, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    found = figures(run(arguments.files, arguments.seed))
    command = f"python -m benchmarks.mutations --files {arguments.files} --seed {arguments.seed}"
    path = write_record("mutations", command, ("numpy", "soundfile", "soxr"), found)
    print(f"{path.name}: {found['files']} files, outcomes {found['outcomes']}, missed {found['missed']}")
    print(f"{found['seconds']} s, slowest {found['slowest_s']} s, child grew by {found['memory_growth_mib']} MiB")


if __name__ == "__main__":
    main()
