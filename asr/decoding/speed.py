"""How fast decoding is: told on the console, and kept in a log that no result depends on.

The log, `runs/evaluate/speed.jsonl`, holds clock times, so neither Git nor DVC looks at it. It names the class of the
device, never the machine. A log that cannot be written is no reason to stop an evaluation.
"""

import json
import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from asr.pcm import SAMPLE_RATE, Pcm16

LOG = logging.getLogger(__name__)
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Speed:
    """How long one decoding took."""

    seconds: float
    """On the clock, from samples in memory to texts."""
    seconds_of_audio: float
    """Of the clips as they are, without padding."""
    clips: int

    @property
    def rtf(self) -> float | None:
        """Real-time factor: seconds a second of audio, less is faster; None without audio."""
        return self.seconds / self.seconds_of_audio if self.seconds_of_audio else None

    def describe(self, title: str) -> str:
        """One line for the console.

        Args:
            title: what was decoded, such as `test`.
        """
        hours = self.seconds_of_audio / 3600
        factor = "no audio" if self.rtf is None else f"real-time factor {self.rtf:.3g}"
        return f"{title}: {self.clips} clips, {hours:.2f} h in {self.seconds:.1f} s, {factor}"


def timed(decode: Callable[[], _Result], clips: Sequence[Pcm16]) -> tuple[_Result, Speed]:
    """What a decoding gives, and how fast it was.

    Args:
        decode: gives texts, so a GPU has done its work when it returns.
        clips: what it decodes, samples at 16 kHz.
    """
    start = time.perf_counter()
    result = decode()
    seconds = time.perf_counter() - start
    return result, Speed(seconds, sum(map(len, clips)) / SAMPLE_RATE, len(clips))


def speed_log() -> Path:
    """Where speeds are kept: below the user's repository, also under `dvc exp run --temp`.

    `DVC_ROOT` names that repository even where DVC runs the stage in a copy.
    """
    return Path(os.environ.get("DVC_ROOT") or ".") / "runs" / "evaluate" / "speed.jsonl"


def log_speed(path: Path, title: str, speed: Speed, device_class: str) -> str:
    """Appends one line to a log and returns one for the console.

    Args:
        path: the log, made if it is not there.
        title: what was decoded, such as `test`.
        speed: of the decoding.
        device_class: such as `cpu-avx512-2-threads`.
    """
    record = {
        "kind": "speed",
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "title": title,
        "clips": speed.clips,
        "seconds": speed.seconds,
        "seconds_of_audio": speed.seconds_of_audio,
        "rtf": speed.rtf,
        "device": device_class,
    }
    try:
        _append(path, (json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n").encode())
    except OSError as error:
        LOG.warning("%s: cannot be written (%s); the evaluation goes on without it", path, error)
    return speed.describe(title)


def _append(path: Path, line: bytes) -> None:
    """In one piece, so that evaluations that run at once do not mix their lines; half a line before it is ended."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b", buffering=0) as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            line = line if file.read(1) == b"\n" else b"\n" + line
        file.write(line)
