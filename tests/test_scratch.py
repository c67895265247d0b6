"""Contract: a run's scratch folder is its own: named by what it will come to, and used by one process at a time."""

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.errors import UserError
from asr.training.checkpoint.scratch import claimed, discard, other_runs, run_key, scratch_folder
from tests.pipeline import ROOT
from tests.test_durable import killed_at, operations_of

HOLDER = """
import os, sys, time
from pathlib import Path
from asr.training.checkpoint.scratch import claimed
with claimed(Path(sys.argv[1])):
    child = os.fork() if "fork" in sys.argv else os.getpid()
    if child:
        print(child, flush=True)
    time.sleep(20)
"""
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def holder(folder: Path, *words: str) -> tuple[subprocess.Popen[str], int]:
    """Another process that holds a folder, and the number of the child it was told to fork, else its own."""
    command = [sys.executable, "-c", HOLDER, str(folder), *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    number = int(process.stdout.readline())
    assert number > 1, "a signal to 0 would reach every process of the group"
    return process, number


@given(st.dictionaries(st.text(), PLAIN, max_size=4))
def test_the_key_does_not_depend_on_the_order_of_the_parts(parts: dict[str, object]) -> None:
    assert run_key(parts) == run_key(dict(reversed(parts.items())))


def test_any_changed_part_gives_another_key() -> None:
    base = {"params": {"seed": 1, "rate": 1e-3}, "code": "ab", "data": "cd", "device": "cpu-avx2"}
    others = [{**base, name: "other"} for name in base]
    others += [{**base, "params": {"seed": 2, "rate": 1e-3}}, {**base, "params": {"seed": 1, "rate": 1.0000001e-3}}]
    assert len({run_key(parts) for parts in [base, *others]}) == 1 + len(others)
    assert len(run_key(base)) == 32


def test_the_key_is_a_hash_of_canonical_json() -> None:
    text = rb'{"a":"\u0259","b":[1,2.5,null]}'
    assert run_key({"b": [1, 2.5, None], "a": "ə"}) == hashlib.sha256(text).hexdigest()[:32]


def test_the_folder_lies_in_the_repository_that_dvc_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    assert scratch_folder("key") == tmp_path / ".scratch/train/key"
    monkeypatch.delenv("DVC_ROOT")
    assert scratch_folder("key") == Path(".scratch/train/key")


def test_a_second_process_is_refused_and_told_who_holds_the_folder(tmp_path: Path) -> None:
    process, _ = holder(tmp_path / "run")
    try:
        with pytest.raises(UserError, match=rf"run: another process \(pid {process.pid}\)"), claimed(tmp_path / "run"):
            pass
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_holder_leaves_the_folder_free_at_once(tmp_path: Path, number: int) -> None:
    process, _ = holder(tmp_path / "run")
    process.send_signal(number)
    process.wait()
    with claimed(tmp_path / "run"):
        assert (tmp_path / "run/lock").read_text() == str(os.getpid())
    process.communicate()


def test_workers_that_outlive_a_killed_run_do_not_hold_its_folder(tmp_path: Path) -> None:
    process, child = holder(tmp_path / "run", "fork")
    try:
        process.kill()
        process.wait()
        os.kill(child, 0)  # it lives
        with claimed(tmp_path / "run"):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        process.communicate()


def test_a_folder_is_free_after_the_block_also_after_an_error_in_it(tmp_path: Path) -> None:
    def fail() -> None:
        with claimed(tmp_path / "a/run"):
            raise RuntimeError("step")

    with pytest.raises(RuntimeError, match="step"):
        fail()
    with claimed(tmp_path / "a/run"):
        pass
    assert (tmp_path / "a/run/lock").read_text() == ""


def test_a_folder_that_cannot_be_made_is_a_user_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file.*give write access"), claimed(tmp_path / "file/run"):
        pass


def test_a_claim_on_a_folder_that_is_discarded_meanwhile_makes_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    lock, run = fcntl.lockf, tmp_path / "run"

    def late(descriptor: int, flags: int) -> None:
        monkeypatch.setattr(fcntl, "lockf", lock)
        discard(run)
        lock(descriptor, flags)

    monkeypatch.setattr(fcntl, "lockf", late)
    with claimed(run):
        assert (run / "lock").read_text() == str(os.getpid())


def test_a_kill_at_any_operation_of_a_discard_leaves_the_whole_run_or_nothing_that_looks_like_one(
    tmp_path: Path,
) -> None:
    run, names = tmp_path / "key", ("lock", "checkpoints/batch-1/state.json", "weights/step-1/model")

    def make() -> None:
        for name in names:
            (run / name).parent.mkdir(parents=True, exist_ok=True)
            (run / name).touch()

    make()
    count = len(operations_of(lambda: discard(run)))
    assert count > len(names)
    for number in range(count):
        make()
        assert killed_at(number, lambda: discard(run))
        assert not run.exists() or all((run / name).exists() for name in names)
        assert other_runs(tmp_path / "mine") == ([run] if run.exists() else [])
        discard(run)
        assert not list(tmp_path.iterdir())


def test_other_runs_are_those_that_neither_ended_nor_run(tmp_path: Path) -> None:
    process, _ = holder(tmp_path / "running")
    killed, _ = holder(tmp_path / "killed")
    killed.kill()
    killed.communicate()
    for name in ("mine", "unlocked", ".ended.discarded"):
        (tmp_path / name).mkdir()
    (tmp_path / "file").touch()
    try:
        assert other_runs(tmp_path / "mine") == [tmp_path / "killed", tmp_path / "unlocked"]
    finally:
        process.kill()
        process.communicate()
    assert other_runs(tmp_path / "absent/mine") == []
