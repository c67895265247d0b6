"""Dated records of measurements: what was run, on what, with which versions, and the figures."""

import datetime
import importlib.metadata
import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True)
class Spread:
    """Repeated measurements of one thing."""

    median: float
    lowest: float
    highest: float
    runs: int


def spread(values: Sequence[float]) -> Spread:
    """Median and extremes, to four digits."""
    rounded = [float(f"{value:.4g}") for value in values]
    return Spread(float(f"{statistics.median(values):.4g}"), min(rounded), max(rounded), len(rounded))


def write_record(name: str, command: str, libraries: Sequence[str], figures: dict[str, Any]) -> Path:
    """Writes `results/<name>.json`; figures may hold `Spread`s. Names neither the machine nor its paths."""
    record = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": command,
        "machine": {"cpu": _cpu(), "cores": _cores(), "system": platform.system()},
        "versions": {"python": platform.python_version()} | {n: importlib.metadata.version(n) for n in libraries},
        "figures": {key: asdict(value) if isinstance(value, Spread) else value for key, value in figures.items()},
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
