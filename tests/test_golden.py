"""Contract: the losses of twelve steps are those of `tests/golden/losses.json`, to the last bit on the same build.

A change of code that is not meant to change results must leave them as they are. One that is meant to writes them
anew, with `python -m tests.test_golden`, and says so in EXPERIMENTS.md.
"""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from asr.devices import choose_compute
from asr.training.loading import load
from asr.training.progress import Progress
from asr.training.trainer import Trainer
from asr.training.update import take_step
from tests.training import PARAMS, make_trainer_and_planner

GOLDEN = Path(__file__).parent / "golden" / "losses.json"
STEPS = 12
SETTINGS = replace(PARAMS, max_steps=STEPS, augment_from_step=4, micro_batch_seconds=4.0, clip_norm=1.0)


def measured() -> dict[str, Any]:
    """Hexadecimal floats: decimals printed to five places have hidden differences before (torchtitan #2517)."""
    trainer, planner, _ = make_trainer_and_planner(SETTINGS)
    progress, steps = Progress(clips_at_once=dict.fromkeys(range(3), 2)), []
    for batch, _ in zip(planner.batches(0), range(STEPS), strict=False):
        found = take_step(trainer, progress, [load(trainer.data, micro) for micro in batch])
        steps.append([found.cross_entropy.hex(), found.ctc.hex(), found.gradient_norm.hex()])
    return {"build": build(), "steps": steps, "weights, sha256": weights_hash(trainer)}


def build() -> dict[str, str]:
    """What may change the last bits."""
    torch_version = torch.__version__.split("+")[0]
    return {"torch": torch_version, "device": choose_compute("cpu", "fp32", 1).device_class}


def weights_hash(trainer: Trainer) -> str:
    """Losses alone prove little: different weights give equal ones to the last bit."""
    together = torch.cat([p.detach().flatten() for p in trainer.objective.parameters()])
    return hashlib.sha256(together.numpy().tobytes()).hexdigest()


def test_the_losses_are_the_golden_ones() -> None:
    golden, found = json.loads(GOLDEN.read_text(encoding="utf-8")), measured()
    assert len(golden["steps"]) == STEPS
    if golden["build"] == found["build"]:
        assert found == golden
    for ours, theirs in zip(found["steps"], golden["steps"], strict=True):
        numbers = [float.fromhex(value) for value in theirs]
        assert [float.fromhex(value) for value in ours] == pytest.approx(numbers, rel=1e-3)


def test_the_last_bit_of_one_weight_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    if golden["build"] != build():
        pytest.skip(f"bits are compared on {golden['build']} only")
    original = make_trainer_and_planner

    def nudged(*args: Any) -> Any:
        made = original(*args)
        weight = made[0].objective.model.model.encoder.conv1.weight.data
        weight[0, 0, 0] = torch.nextafter(weight[0, 0, 0], torch.tensor(1.0))
        return made

    monkeypatch.setattr("tests.test_golden.make_trainer_and_planner", nudged)
    assert measured() != golden


if __name__ == "__main__":
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(json.dumps(measured(), indent=1) + "\n", encoding="utf-8")
