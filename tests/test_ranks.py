"""Contract: two processes train as one does, and agree on what to leave out."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.pipeline import ROOT


def started(what: str, folder: Path, processes: int) -> list[dict[str, torch.Tensor]]:
    """Weights that each process leaves after `tests.two_ranks`."""
    folder.mkdir(exist_ok=True)
    said = ended(what, folder, processes)
    if any("EADDRINUSE" in errors or "address already in use" in errors for _, errors in said):
        said = ended(what, folder, processes)  # somebody took the port between finding and using it
    assert all(status == 0 for status, _ in said), said
    return [load_file(path) for path in sorted(folder.glob("rank*.safetensors"))]


def ended(what: str, folder: Path, processes: int) -> list[tuple[int, str]]:
    """Exit status and errors of each process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    together = {"WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    command = [sys.executable, "-m", "tests.two_ranks", what, str(folder)]
    running = []
    for rank in range(processes):
        ranked = {**together, "RANK": str(rank), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1"}
        environment = {**os.environ, **(ranked if processes > 1 else {})}
        running.append(subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True))
    errors = [process.communicate(timeout=100)[1] for process in running]
    return [(process.returncode, text) for process, text in zip(running, errors, strict=True)]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, torch.Tensor]], Path]:
    folder = tmp_path_factory.mktemp("ranks")
    alone = started("steps", folder / "one", 1)
    return folder / "two", [*started("steps", folder / "two", 2), *alone], folder / "one"


def test_two_processes_hold_the_same_weights(both) -> None:
    first, second, _ = both[1]
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_two_processes_end_where_one_does_beyond_rounding(both) -> None:
    first, _, alone = both[1]
    assert all(torch.allclose(first[name], alone[name], atol=2e-5) for name in first)


def test_a_batch_poisoned_in_one_process_is_left_out_by_both(both) -> None:
    said = [(both[0] / f"rank{rank}.txt").read_text() for rank in (0, 1)]
    assert said[0] == said[1]
    assert said[0].startswith("3 ['features']")
    assert said[0] == (both[2] / "rank0.txt").read_text(), "tokens are counted over all processes"


def test_a_signal_to_one_process_ends_both_with_one_checkpoint_from_which_both_go_on(tmp_path: Path) -> None:
    truth = started("whole", tmp_path / "undisturbed", 2)
    assert started("stopped", tmp_path / "stopped", 2) == []
    said = [(tmp_path / "stopped" / f"rank{rank}.txt").read_text() for rank in (0, 1)]
    assert all("saved after step 2 of 6" in text for text in said)
    found = started("whole", tmp_path / "stopped", 2)
    assert len(found) == len(truth) == 2
    for weights in [*found, *truth]:
        assert all(torch.equal(weights[name], truth[0][name]) for name in truth[0])
