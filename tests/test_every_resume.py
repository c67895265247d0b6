"""Contract: in whatever way a run trains and wherever it dies, whole runs end in the bytes of an undisturbed one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState

from asr.training import update
from asr.training.run import metrics
from asr.training.validation import Validator
from tests.training import splits, stage, whole_run

SETTINGS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "plateau": {"schedule": "plateau", "plateau_patience": 1, "evaluate_every": 1, "warmup_steps": 1},
    "average of the last": {"average": "last", "average_count": 2, "evaluate_every": 1},
    "average of the best": {"average": "best", "average_count": 2, "evaluate_every": 2},
    "early stop": {"stop_after": 2, "evaluate_every": 2, "max_steps": 40},
    "frozen encoder": {"freeze_encoder": True},
    "without CTC": {"ctc_weight": 0.0},
    "gradient checkpointing": {"gradient_checkpointing": True},
    "restarts": {"schedule": "cosine_restarts", "restart_steps": 2},
    "bf16": {"precision": "bf16"},
    "poisoned batches": {"evaluate_every": 2},
    "out of memory": {},
}
DEATHS = [("_micro_batch", 5), ("count", 3), ("_decode", 2)]


class Died(Exception):  # noqa: N818  # stands for kill -9
    """The process ends here."""


@contextmanager
def deadly(owner: Any, name: str, at: int) -> Iterator[None]:
    """Lets the call number `at` of a function be the last thing that happens."""
    original, calls = getattr(owner, name), [0]

    def dies(*args: Any, **named: Any) -> Any:
        calls[0] += 1
        if calls[0] == at:
            raise Died
        return original(*args, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, dies)
        yield


@contextmanager
def troubled(setting: str) -> Iterator[None]:
    """What befalls the batches of some settings, whether or not the run dies."""
    original: Callable[..., Any] = update._micro_batch

    def poisoned(trainer: Any, progress: Any, micro: Any, *rest: Any, **named: Any) -> Any:
        if progress.batch in (1, 2, 4):
            micro.wave.fill_(float("nan"))
        return original(trainer, progress, micro, *rest, **named)

    def short(trainer: Any, progress: Any, micro: Any, *rest: Any, **named: Any) -> Any:
        found = original(trainer, progress, micro, *rest, **named)
        if progress.batch >= 2 and len(micro.clips) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return found

    with pytest.MonkeyPatch.context() as patch:
        if setting == "poisoned batches":
            patch.setattr(update, "_micro_batch", poisoned)
        if setting == "out of memory":
            patch.setattr(update, "_micro_batch", short)
        yield


def ends_in(setting: str, folder: Path) -> tuple[Any, ...]:
    """Weights, metrics and curves of a whole run."""
    AcceleratorState._reset_state(reset_partial_state=True)
    with troubled(setting):
        model, outcome = whole_run(stage(learning_rate=0.02, **SETTINGS[setting]), splits(), folder)
    AcceleratorState._reset_state(reset_partial_state=True)
    curves = {path.name: path.read_bytes() for path in (folder / "plots").iterdir()}
    weights = [
        {name: value.numpy().tobytes() for name, value in state.items()}
        for state in (outcome.weights, model.network.state_dict())
    ]
    return weights, metrics(model, outcome), curves, outcome.progress.plain()


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_run_that_dies_here_or_there_ends_in_the_same_bytes(
    setting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    truth, deaths = ends_in(setting, tmp_path), 0
    for name, at in DEATHS:
        try:
            with deadly(Validator if name == "_decode" else update, name, at):
                ends_in(setting, tmp_path)
        except Died:
            deaths += 1
        assert ends_in(setting, tmp_path) == truth, (name, at)
    assert deaths == len(DEATHS), "otherwise this shows nothing"
