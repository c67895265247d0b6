"""Contract: whatever a user can mend ends a stage in one line and its own exit status, never in a traceback."""

import errno
import os
import signal
from collections.abc import Iterator

import pytest

from asr.errors import Interrupted, UserError
from asr.stage import run


@pytest.fixture(autouse=True)
def handlers_as_before() -> Iterator[None]:
    """A stage that was interrupted ignores further signals; processes that later tests start would inherit that."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def failing(error: BaseException):
    def main() -> None:
        raise error

    return main


CASES = [
    (UserError("train.batch_size = 0: write at least 1"), 2, "error: train.batch_size = 0"),
    (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "data/index.parquet"), 2, "data/index.parquet: No space left"),
    (PermissionError(errno.EACCES, os.strerror(errno.EACCES), "models"), 2, "models: Permission denied; give access"),
    (OSError(errno.EROFS, os.strerror(errno.EROFS)), 2, "a file: Read-only file system"),
    (Interrupted(signal.SIGTERM, "saved after step 5 of 9"), 143, "stopped: SIGTERM: saved after step 5"),
    (Interrupted(signal.SIGINT, "saved"), 130, "stopped: SIGINT"),
    (KeyboardInterrupt(), 130, ""),
]


@pytest.mark.parametrize(("error", "status", "said"), CASES, ids=[type(e).__name__ + str(s) for e, s, _ in CASES])
def test_an_end_has_its_line_and_its_status(error: BaseException, status: int, said: str, capsys) -> None:
    with pytest.raises(SystemExit) as left:
        run(failing(error))
    assert left.value.code == status
    printed = capsys.readouterr().err
    assert said in printed
    assert printed.count("\n") <= 1


@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), KeyError("x"), AssertionError()])
def test_what_is_the_codes_fault_keeps_its_traceback(error: BaseException) -> None:
    with pytest.raises(type(error)):
        run(failing(error))


def test_under_dvc_a_failure_says_how_to_bring_the_results_back(monkeypatch, capsys) -> None:
    monkeypatch.setenv("DVC_STAGE", "train")
    with pytest.raises(SystemExit):
        run(failing(UserError("no")))
    assert "dvc checkout" in capsys.readouterr().err
