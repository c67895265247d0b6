"""Contract: the speed of a decoding is told and logged, and a log that fails stops nothing."""

import json
import subprocess
import threading
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from asr.decoding import speed
from asr.decoding.speed import Speed, log_speed, speed_log, timed
from tests.pipeline import ROOT

SPEED = Speed(12.3, 540.0, 320)


def clips(*seconds: float) -> list[np.ndarray]:
    return [np.zeros(round(16_000 * s), np.int16) for s in seconds]


def test_time_and_audio_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 100.5])
    monkeypatch.setattr(speed.time, "perf_counter", lambda: next(clock))
    assert timed(lambda: "texts", clips(1.5, 0.5)) == ("texts", Speed(0.5, 2.0, 2))


def test_the_real_time_factor_is_time_by_audio() -> None:
    assert Speed(0.5, 2.0, 2).rtf == 0.25
    assert Speed(0.5, 0.0, 0).rtf is None


def test_what_decoding_raises_is_raised() -> None:
    def fails() -> str:
        raise MemoryError("too small")

    with pytest.raises(MemoryError, match="too small"):
        timed(fails, clips(1.0))


def test_the_console_has_one_line() -> None:
    assert SPEED.describe("test") == "test: 320 clips, 0.15 h in 12.3 s, real-time factor 0.0228"
    assert Speed(0.01, 0.0, 0).describe("test") == "test: 0 clips, 0.00 h in 0.0 s, no audio"


def test_a_line_holds_the_speed_and_the_class_of_the_device(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "evaluate" / "speed.jsonl"
    assert log_speed(path, "test", SPEED, "cpu-avx512-2-threads") == SPEED.describe("test")
    log_speed(path, "boş", Speed(0.01, 0.0, 0), "cpu")
    first, second = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    assert datetime.fromisoformat(first.pop("time")).tzinfo is not None
    assert first == {
        "kind": "speed",
        "title": "test",
        "clips": 320,
        "seconds": 12.3,
        "seconds_of_audio": 540.0,
        "rtf": pytest.approx(12.3 / 540),
        "device": "cpu-avx512-2-threads",
    }
    assert (second["title"], second["rtf"]) == ("boş", None)


def test_half_a_line_left_by_a_full_disk_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "speed.jsonl"
    path.write_bytes(b'{"kind": "sp')
    log_speed(path, "test", SPEED, "cpu")
    half, whole = path.read_text(encoding="utf-8").splitlines()
    assert half == '{"kind": "sp'
    assert json.loads(whole)["title"] == "test"


def test_evaluations_that_run_at_once_do_not_mix_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "speed.jsonl"

    def write(name: str) -> None:
        for _ in range(30):
            log_speed(path, name, SPEED, "cpu")

    threads = [threading.Thread(target=write, args=[name]) for name in ("one", "other")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    titles = [json.loads(line)["title"] for line in path.read_text(encoding="utf-8").splitlines() if line]
    assert sorted(titles) == ["one"] * 30 + ["other"] * 30


def test_a_log_that_cannot_be_written_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "runs").write_text("a file where a folder should be", encoding="utf-8")
    assert log_speed(tmp_path / "runs" / "speed.jsonl", "test", SPEED, "cpu") == SPEED.describe("test")
    assert "goes on without it" in caplog.text


def test_the_log_lies_where_neither_git_nor_dvc_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DVC_ROOT", raising=False)
    assert subprocess.run(["git", "check-ignore", "-q", speed_log()], cwd=ROOT, check=False).returncode == 0
    assert "runs/" in (ROOT / ".dvcignore").read_text(encoding="utf-8").split()
    monkeypatch.setenv("DVC_ROOT", "/repository")
    assert speed_log() == Path("/repository/runs/evaluate/speed.jsonl")
