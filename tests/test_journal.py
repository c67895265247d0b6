"""Contract: the log of a run holds every batch once, however often the run died, and never stops a run."""

import errno
import json
import logging
import os
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.errors import UserError
from asr.training.observe import journal as module
from asr.training.observe.journal import Journal, read_journal, runs_folder
from tests.pipeline import ROOT


def written(path: Path, *batches: int) -> Path:
    with Journal(path) as journal:
        for batch in batches:
            journal.write("step", batch, loss=batch / 8)
    return path


def batches(path: Path) -> list[int]:
    return [record["batch"] for record in read_journal(path)]


class FullDisk(module.FileIO):
    """Takes whole lines until its room is used up, and half of the next one."""

    room = 0

    def write(self, line: Any, /) -> int:
        if not FullDisk.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        FullDisk.room -= 1
        return super().write(line if FullDisk.room else line[: len(line) // 2])


def test_a_line_has_its_kind_batch_time_and_values(tmp_path: Path) -> None:
    with Journal(tmp_path / "deep" / "log.jsonl") as journal:
        journal.write("step", 3, loss=0.1, clips=["ə", "b"], scale=None)
    (record,) = read_journal(tmp_path / "deep" / "log.jsonl")
    assert datetime.fromisoformat(record.pop("time")).utcoffset() is not None
    assert record == {"kind": "step", "batch": 3, "loss": 0.1, "clips": ["ə", "b"], "scale": None}


@pytest.mark.parametrize(
    ("value", "word"), [(float("nan"), "nan"), (float("inf"), "inf"), (float("-inf"), "-inf"), (1e308, 1e308)]
)
def test_a_number_that_json_lacks_becomes_a_word_wherever_it_stands(tmp_path: Path, value: float, word: object) -> None:
    with Journal(tmp_path / "log") as journal:
        journal.write("step", 1, loss=value, shares={"wait": value, "all": (value, 1.0)})

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    record = json.loads((tmp_path / "log").read_text(encoding="utf-8"), parse_constant=refuse)
    assert (record["loss"], record["shares"]) == (word, {"wait": word, "all": [word, 1.0]})


@given(st.dictionaries(st.text(min_size=1), st.floats() | st.text(st.characters()) | st.integers() | st.none()))
def test_any_values_stay_one_line_that_reads_back(tmp_path_factory: pytest.TempPathFactory, values: Any) -> None:
    path = tmp_path_factory.mktemp("journal") / "log"
    with Journal(path) as journal:
        journal.write("step", 1, values=values)
        journal.write("step", 2)
    first, second = read_journal(path)
    assert second["batch"] == 2
    assert list(first["values"]) == list(values)


def test_half_a_surrogate_pair_as_a_path_may_hold_it_is_kept(tmp_path: Path) -> None:
    with Journal(tmp_path / "log") as journal:
        journal.write("skip", 1, clips=["a\udce9"])
    assert [record["clips"] for record in read_journal(tmp_path / "log")] == [["a\udce9"]]


def test_a_line_is_out_before_the_next_command(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "log")
    journal.write("start", 0)
    assert batches(tmp_path / "log") == [0]


def test_a_killed_process_loses_no_line(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from asr.training.observe.journal import Journal\n"
        "journal = Journal(Path(sys.argv[1]), 0)\n"
        "for batch in range(50): journal.write('step', batch)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "log"], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert batches(tmp_path / "log") == list(range(50))


@pytest.mark.parametrize(("batch", "kept"), [(0, []), (2, [1, 2]), (4, [1, 2, 4]), (9, [1, 2, 4, 6])])
def test_lines_of_later_batches_are_cut_back(tmp_path: Path, batch: int, kept: list[int]) -> None:
    path = written(tmp_path / "log", 1, 2, 4, 6)
    with Journal(path, batch) as journal:
        assert batches(path) == kept
        journal.write("resume", batch)
    assert batches(path) == [*kept, batch]


def test_a_log_that_needs_no_cut_is_not_written_anew(tmp_path: Path) -> None:
    path = written(tmp_path / "log", 1, 2)
    before = path.stat()
    Journal(path, 2).close()
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize(
    "rest", [b'{"kind": "st', b"\n", b"\0\0\0\0\n", b"[1]\n", b"null\n", b'{"kind": "x"}\n', b"\xff\n"]
)
def test_unreadable_lines_are_dropped_at_a_resume(tmp_path: Path, rest: bytes) -> None:
    path = written(tmp_path / "log", 1, 2)
    path.write_bytes(path.read_bytes() + rest)
    Journal(path, 2).close()
    assert batches(path) == [1, 2]


@pytest.mark.parametrize("half", [1, 100_000])
def test_a_half_line_is_dropped_before_the_next_is_appended(tmp_path: Path, half: int) -> None:
    path = written(tmp_path / "log", 1, 2)
    path.write_bytes(path.read_bytes() + b"x" * half)
    assert batches(path) == [1, 2], "also while the other process writes"
    with Journal(path) as journal:
        journal.write("step", 3)
    assert batches(path) == [1, 2, 3]


def test_a_run_cut_short_at_any_byte_goes_on_with_every_batch_once(tmp_path: Path) -> None:
    content = written(tmp_path / "whole", 1, 2, 3, 4, 5).read_bytes()
    for end in range(0, len(content), 11):  # a fsync each
        path = tmp_path / "log"
        path.write_bytes(content[:end])
        with Journal(path, 2) as journal:
            for batch in (3, 4, 5):
                journal.write("step", batch)
        assert [batch for batch in batches(path) if batch > 2] == [3, 4, 5]


def test_a_cut_that_fails_leaves_the_log_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = written(tmp_path / "log", 1, 2, 3)

    def refuse(_: object, __: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(module.os, "replace", refuse)
        Journal(path, 1).close()
    assert "not cut back to batch 1" in caplog.text
    assert batches(path) == [1, 2, 3]
    Journal(path, 1).close()
    assert batches(path) == [1]


def test_a_full_disk_costs_lines_and_not_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "FileIO", FullDisk)
    FullDisk.room = 3
    with Journal(tmp_path / "log") as journal:
        for batch in range(1, 7):
            journal.write("step", batch)
        FullDisk.room = 9
        journal.write("step", 7)
    assert batches(tmp_path / "log") == [1, 2, 7]
    assert [record.getMessage().split(": ", 1)[1] for record in caplog.records] == [
        "cannot be written ([Errno 28] No space left on device); training goes on without it",
        "4 of 7 lines could not be written",
    ]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_a_folder_that_cannot_be_made_costs_lines_and_not_the_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "runs").write_text("a file where a folder should be", encoding="utf-8")
    with Journal(tmp_path / "runs" / "log", 5) as journal:
        journal.write("start", 0)
        journal.write("step", 1)
    assert "2 of 2 lines could not be written" in caplog.text


def test_a_journal_without_a_path_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Journal(None, 3) as journal:
        journal.write("step", 4)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("root", "folder"), [(None, "runs/train/ab"), ("", "runs/train/ab"), ("/r", "/r/runs/train/ab")]
)
def test_the_folder_lies_in_the_users_repository(
    monkeypatch: pytest.MonkeyPatch, root: str | None, folder: str
) -> None:
    monkeypatch.delenv("DVC_ROOT", raising=False)
    if root is not None:
        monkeypatch.setenv("DVC_ROOT", root)
    assert runs_folder("ab") == Path(folder)


def test_reading_says_which_line_is_broken_and_which_log_is_missing(tmp_path: Path) -> None:
    path = written(tmp_path / "log", 1)
    path.write_bytes(path.read_bytes() + b"{broken\n")
    with pytest.raises(UserError, match="log:2: not JSON"):
        list(read_journal(path))
    with pytest.raises(UserError, match="missing"):
        list(read_journal(tmp_path / "none"))
