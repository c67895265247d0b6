"""Trains the small model of the tests as one of two processes; `tests/test_ranks.py` starts it twice.

python -m tests.two_ranks steps FOLDER          four steps, the third poisoned in the last process alone
python -m tests.two_ranks stopped FOLDER        a whole run that the last process is asked to end after two steps
python -m tests.two_ranks whole FOLDER          a whole run, from its checkpoint on if it has one
"""

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

from safetensors.torch import save_file

from asr.errors import Interrupted
from asr.training import update
from asr.training.loading import load
from asr.training.progress import Progress
from asr.training.update import take_step
from tests.training import PARAMS, make_trainer_and_planner, splits, stage, whole_run

RANK = int(os.environ.get("RANK", "0"))
LAST = int(os.environ.get("WORLD_SIZE", "1")) - 1


def main() -> None:
    """Does what the command line says."""
    folder = Path(sys.argv[2]).resolve()
    if sys.argv[1] == "steps":
        steps(folder)
        return
    os.chdir(folder)
    if sys.argv[1] == "stopped" and RANK == LAST:
        ask_to_end(after=2)
    try:
        model, outcome = whole_run(stage(learning_rate=0.02), splits(), folder)
    except Interrupted as interrupted:
        (folder / f"rank{RANK}.txt").write_text(str(interrupted))
        return
    state = {name: value.clone() for name, value in model.network.state_dict().items()}
    save_file(state | {f"published {name}": value.clone() for name, value in outcome.weights.items()}, _weights(folder))


def steps(folder: Path) -> None:
    """Without checkpoints and evaluations."""
    params = replace(PARAMS, augment_from_step=99)
    trainer, planner, _ = make_trainer_and_planner(params, dropout=0.0)
    progress, batches = Progress(), planner.batches(0)
    for number in range(4):
        loaded = [load(trainer.data, micro) for micro in next(batches)]
        if number == 2 and RANK == LAST:
            loaded[0].wave.fill_(float("nan"))
        take_step(trainer, progress, loaded)
    save_file({name: value.detach().clone() for name, value in trainer.names().items()}, _weights(folder))
    causes = [skip.cause for skip in progress.skipped]
    (folder / f"rank{RANK}.txt").write_text(f"{progress.step} {causes} {progress.sums.tokens}")


def ask_to_end(after: int) -> None:
    """Sends this process a SIGTERM in its step number `after`."""
    original, calls = update.measure, [0]

    def measure(*args: object) -> object:
        calls[0] += 1
        if calls[0] == after:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(*args)  # type: ignore[arg-type]  # passed on as they came

    update.measure = measure  # type: ignore[assignment]


def _weights(folder: Path) -> Path:
    return folder / f"rank{RANK}.safetensors"


if __name__ == "__main__":
    main()
