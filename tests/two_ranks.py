"""Trains the small model of the tests as one of two processes; `tests/test_ranks.py` starts it twice.

python -m tests.two_ranks FOLDER
"""

import sys
from dataclasses import replace
from pathlib import Path

from safetensors.torch import save_file

from asr.training.loading import load
from asr.training.progress import Progress
from asr.training.update import take_step
from tests.training import PARAMS, make_trainer_and_planner


def main() -> None:
    """Four steps, the third poisoned in the second process alone."""
    folder = Path(sys.argv[1])
    params = replace(PARAMS, augment_from_step=99)
    trainer, planner, _ = make_trainer_and_planner(params, dropout=0.0)
    planner = replace(planner, rank=trainer.ranks.index, ranks=trainer.ranks.count)
    progress, batches = Progress(), planner.batches(0)
    for number in range(4):
        loaded = [load(trainer.data, micro) for micro in next(batches)]
        poisoned = number == 2 and trainer.ranks.index == trainer.ranks.count - 1
        if poisoned:
            loaded[0].wave.fill_(float("nan"))
        take_step(trainer, progress, loaded)
    weights = {name: value.detach().clone() for name, value in trainer.names().items()}
    save_file(weights, folder / f"rank{trainer.ranks.index}.safetensors")
    (folder / f"rank{trainer.ranks.index}.txt").write_text(
        f"{progress.step} {[skip.cause for skip in progress.skipped]} {progress.history.steps} {progress.sums.tokens}"
    )


if __name__ == "__main__":
    main()
