"""Contract: whatever stops a write or a save, the old or the new is there whole; whatever damages it later is found."""

import errno
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from safetensors.torch import load

from asr.training.checkpoint import sealed
from asr.training.checkpoint.durable import make_folder, sync_folder, write_durably
from asr.training.checkpoint.store import SaveError, Store
from asr.training.checkpoint.tensors import to_bytes
from tests.test_checkpoint import content, listing, names, newest, save

OLD, NEW = b"old" * 1000, b"new" * 1000
OPERATIONS = ("open", "write", "fsync", "close", "replace", "mkdir", "unlink", "rmdir")
"""Functions of `os` that change a disk, or say that it has changed."""
CODES = (errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT, errno.EIO)


@contextmanager
def before_each_call(act: Callable[[int, str, Any], None]) -> Iterator[list[str]]:
    """Tells `act` the number, name and first argument of each operation before it happens; the calls so far."""
    calls: list[str] = []

    def watched(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            calls.append(name)
            act(len(calls) - 1, name, args)
            return real(*args, **named)

        return call

    with patch.multiple(os, **{name: watched(name, getattr(os, name)) for name in OPERATIONS}):
        yield calls


def operations_of(action: Callable[[], object]) -> list[str]:
    """Names of the operations of an action, in order."""
    with before_each_call(lambda *_: None) as calls:
        action()
    return calls


def killed_at(number: int, action: Callable[[], object]) -> bool:
    """Runs an action in a child that kills itself before an operation, or half through it if that is a write."""
    write = os.write

    def kill(call: int, name: str, args: Any) -> None:
        if call == number:
            if name == "write":
                write(args[0], args[1][: len(args[1]) // 2])
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if not child:
        status = 1
        try:
            with before_each_call(kill):
                action()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def failing_at(number: int, code: int, once: bool = True) -> Callable[[int, str, Any], None]:
    """For `before_each_call`: one operation, or every one from there on, raises an OSError."""

    def fail(call: int, _name: str, _args: Any) -> None:
        if call == number or (call > number and not once):
            raise OSError(code, os.strerror(code))

    return fail


def naive(path: Path, content: bytes) -> None:
    """What `write_durably` must not be."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.write(descriptor, content)
    os.close(descriptor)


def contents_after_kills(write: Callable[[Path, bytes], None], folder: Path) -> list[bytes]:
    """What a file holds after a kill at each operation of a write over `OLD`."""
    path, found = folder / "file", []
    for number in range(len(operations_of(lambda: write(path, OLD)))):
        path.write_bytes(OLD)
        assert killed_at(number, lambda: write(path, NEW))
        found.append(path.read_bytes())
    assert not killed_at(len(found), lambda: write(path, NEW))
    assert path.read_bytes() == NEW
    return found


def test_a_kill_at_any_operation_leaves_the_old_bytes_or_the_new_ones(tmp_path: Path) -> None:
    found = contents_after_kills(write_durably, tmp_path)
    assert found == [OLD] * 5 + [NEW] * 3


def test_the_kills_find_a_writer_that_is_not_durable(tmp_path: Path) -> None:
    assert not set(contents_after_kills(naive, tmp_path)) <= {OLD, NEW}


def test_bytes_are_on_the_disk_before_the_name_and_the_name_before_the_call_returns(tmp_path: Path) -> None:
    calls = operations_of(lambda: write_durably(tmp_path / "file", NEW))
    assert calls == ["open", "write", "fsync", "close", "replace", "open", "fsync", "close"]
    calls = operations_of(lambda: make_folder(tmp_path / "a/b"))
    assert calls == ["mkdir", "open", "fsync", "close"] * 2


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EIO])
@pytest.mark.parametrize("operation", range(5), ids=["open", "write", "fsync", "close", "replace"])
def test_an_error_leaves_the_old_bytes_and_no_rest(tmp_path: Path, operation: int, code: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(OLD)
    with before_each_call(failing_at(operation, code)), pytest.raises(OSError, match=os.strerror(code)):
        write_durably(path, NEW)
    assert path.read_bytes() == OLD
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_takes_a_few_bytes_at_a_time_ends_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, content: write(descriptor, content[:7]))
    write_durably(tmp_path / "file", NEW)
    assert (tmp_path / "file").read_bytes() == NEW


@pytest.mark.parametrize(("code", "passes"), [(errno.EINVAL, True), (errno.EIO, False)])
def test_only_a_file_system_without_fsync_of_folders_is_forgiven(tmp_path: Path, code: int, passes: bool) -> None:
    with before_each_call(failing_at(1, code)) as calls:
        if passes:
            sync_folder(tmp_path)
        else:
            with pytest.raises(OSError, match=os.strerror(code)):
                sync_folder(tmp_path)
    assert calls == ["open", "fsync", "close"]


def test_a_folder_that_exists_is_left_alone_and_a_file_in_its_place_is_an_error(tmp_path: Path) -> None:
    assert operations_of(lambda: make_folder(tmp_path)) == []
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        make_folder(tmp_path / "file")


def first(folder: Path) -> None:
    """The first weights and checkpoint of a run."""
    Store(folder).keep_weights(2, content(2)["model"])
    save(folder, 2, (2,), seed=1002)


def again(folder: Path) -> None:
    """Weights and a checkpoint that are there already are written again; older ones go."""
    Store(folder).keep_weights(2, content(2)["model"])
    save(folder, 2, (2,), seed=1002, keep=1)


@pytest.fixture
def before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run with two checkpoints and the weights they rely on."""
    monkeypatch.setattr(os, "fsync", lambda _: None)  # waiting for the disk would take most of these tests' time
    for step in (1, 2):
        Store(tmp_path / "before").keep_weights(step, content(step)["model"])
        save(tmp_path / "before", step, (step,))
    return tmp_path / "before"


def prepare(before: Path, action: Callable[[Path], None]) -> Path:
    """A run as it is before an action."""
    run = before.with_name("run")
    shutil.rmtree(run, ignore_errors=True)
    if action is not first:
        shutil.copytree(before, run)
    return run


@pytest.mark.parametrize("action", [first, again])
def test_a_kill_at_any_operation_of_a_save_leaves_a_checkpoint_that_is_whole(
    before: Path, action: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    run = prepare(before, action)
    old, found = model(run), []
    for number in range(len(operations_of(lambda: action(run)))):
        new = model(run)
        prepare(before, action)
        assert killed_at(number, partial(action, run))
        found.append(model(run))
        further = 2 + number % 2
        save(run, further)
        assert newest(run) == further
        action(run)
        assert listing(run) == [*names(2), "step-00000002"]
    assert found == [old] * found.count(old) + [new] * found.count(new)
    assert min(found.count(old), found.count(new)) > 2
    assert caplog.records == []


def model(run: Path) -> list[float]:
    """What the newest checkpoint holds; nothing if there is none."""
    found = Store(run).newest()
    return found.tensors["model"]["a"].tolist() if found else []


@pytest.mark.parametrize("action", [first, again])
@pytest.mark.parametrize("once", [True, False], ids=["once", "from then on"])
def test_an_error_at_any_operation_of_a_save_leaves_what_was_there_and_says_so(
    before: Path, action: Callable[[Path], None], once: bool, caplog: pytest.LogCaptureFixture
) -> None:
    run = prepare(before, action)
    old, there = model(run), set(listing(run)) | {"step-00000002"}
    for number in range(len(operations_of(partial(action, run)))):
        prepare(before, action)
        caplog.clear()
        code, refusal = CODES[number % len(CODES)], ""
        try:
            with before_each_call(failing_at(number, code, once)):
                action(run)
        except SaveError as error:
            refusal = str(error)
        if refusal:
            standing = newest(run)
            assert os.strerror(code) in refusal
            assert refusal.endswith(f"the checkpoint of batch {standing} stands" if standing else "no checkpoint yet")
            assert not once or (model(run) == old and set(listing(run)) <= there)
        else:  # the save had ended
            (message,) = [record.getMessage() for record in caplog.records]
            assert "could not be deleted" in message
            assert model(run) != old
        action(run)
        assert listing(run) == [*names(2), "step-00000002"]


def flip(path: Path, chance: np.random.Generator) -> None:
    """One bit."""
    damaged = bytearray(path.read_bytes())
    damaged[chance.integers(len(damaged))] ^= 1 << int(chance.integers(8))
    path.write_bytes(damaged)


def cut(path: Path, chance: np.random.Generator) -> None:
    """At least the last byte."""
    path.write_bytes(path.read_bytes()[: chance.integers(path.stat().st_size)])


@pytest.mark.parametrize(("damage", "count"), [(flip, 1000), (cut, 100)])
def test_damage_to_any_file_is_found_and_the_checkpoint_before_is_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[Path, np.random.Generator], None], count: int
) -> None:
    chance, store = np.random.default_rng(count), Store(tmp_path)
    store.save(1, {}, content(1), [])
    store.keep_weights(5, content(5)["model"])
    store.save(2, {"text": "ə"}, content(2), [5])
    paths = [*tmp_path.glob("*/batch-00000002/*"), *tmp_path.glob("weights/*/*")]
    assert len(paths) == 6
    for number in range(count):
        path = paths[number % len(paths)]
        before = path.read_bytes()
        damage(path, chance)
        assert newest(tmp_path) == 1, path.name
        path.write_bytes(before)
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == count
    assert all("batch-00000002 is broken: " in m and m.endswith("batch 1 is used instead") for m in messages)
    assert newest(tmp_path) == 2


def test_safetensors_alone_would_load_a_flipped_bit() -> None:
    damaged = bytearray(to_bytes({"a": torch.ones(4)}))
    damaged[-1] ^= 1
    assert not torch.equal(load(bytes(damaged))["a"], torch.ones(4))


def test_a_hundred_good_checkpoints_raise_no_alarm(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # which is all the time that this would take
    for batch in range(100):
        save(tmp_path, batch)
        assert newest(tmp_path) == batch
    assert caplog.records == []


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (lambda folder: (folder / "model.safetensors").unlink(), "model.safetensors is missing"),
        (lambda folder: (folder / "more").touch(), "more is not in the manifest"),
        (lambda folder: (folder / "state.json").write_bytes(b"{}"), "state.json has 2 bytes instead of "),
        (
            lambda folder: flip(folder / "state.json", np.random.default_rng(1)),
            "state.json has another SHA-256 than when",
        ),
        (lambda folder: cut(folder / "manifest.json", np.random.default_rng(1)), "manifest.json is damaged"),
        (lambda folder: (folder / "manifest.json").write_bytes(b""), "manifest.json is damaged"),
        (lambda folder: (folder / "manifest.json").unlink(), "manifest.json is missing"),
        (shutil.rmtree, "manifest.json is missing"),
        (lambda _: None, ""),
    ],
)
def test_a_fault_is_named_with_its_file(tmp_path: Path, damage: Callable[[Path], object], fault: str) -> None:
    save(tmp_path, 1)
    folder = tmp_path / "checkpoints/batch-00000001"
    damage(folder)
    assert sealed.why_broken(folder).startswith(fault)
    assert bool(sealed.why_broken(folder)) == bool(fault)
