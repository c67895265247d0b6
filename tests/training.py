"""Small trainers for tests: a scratch model of 20,000 parameters and twelve clips of tones."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from asr.devices import choose_compute
from asr.models.build import SpeechModel
from asr.models.tokenizer import end_id
from asr.params import ModelParams, TrainParams, TrainStage
from asr.training.batches import Planner
from asr.training.checkpoint.store import Store
from asr.training.checkpoint.tensors import optimizer_tensors
from asr.training.data import TrainingSet
from asr.training.guards.signals import Signals
from asr.training.history import EvaluationRecord, Heard
from asr.training.loop import Evaluate, Run, train
from asr.training.objective import Objective
from asr.training.observe.journal import Journal
from asr.training.observe.reporter import Reporter
from asr.training.observe.trackers import open_tracker
from asr.training.progress import Progress
from asr.training.run import Outcome, Splits, make_planner, trained
from asr.training.saving import Saver
from asr.training.trainer import Trainer, make_trainer
from asr.training.validation import Evaluation
from tests.models import FEATURES, tiny_corpus, tiny_model, train_params

PARAMS = train_params(
    batch_size=4, max_steps=6, warmup_steps=2, log_every=2, evaluate_every=3, checkpoint_every=2, device="cpu"
)


def make_trainer_and_planner(
    params: TrainParams = PARAMS, dropout: float = 0.1
) -> tuple[Trainer, Planner, SpeechModel]:
    """The same weights in every call."""
    torch.manual_seed(0)
    model = tiny_model(dropout=dropout)
    utterances, clips = tiny_corpus()
    data = TrainingSet.build(utterances, clips, model.tokenizer, model.edges, "az")
    objective = Objective(model.network, end_id(model.tokenizer), params.label_smoothing, params.ctc_weight)
    trainer = make_trainer(params, data, objective, choose_compute("cpu", "fp32", 1))
    trainer.objective.train()
    return trainer, make_planner(trainer), model


def state_of(trainer: Trainer) -> dict[str, torch.Tensor]:
    """Copies of the weights and of the optimizer's state."""
    weights = {name: value.detach().clone() for name, value in trainer.names().items()}
    state = optimizer_tensors(trainer.optimizer, trainer.names())
    return weights | {name: value.clone() for name, value in state.items()}


def worse_and_worse(step: int) -> Evaluation:
    """Evaluations whose first one is the best."""
    return Evaluation(EvaluationRecord(step, wer=step / 10, loss=step / 10, capped=0), [Heard(step, "a", "x", "y")])


@contextmanager
def made_run(folder: Path, trainer: Trainer, evaluate: Evaluate = worse_and_worse) -> Iterator[tuple[Run, Progress]]:
    """A run in `folder`, from its newest checkpoint on."""
    saver = Saver(trainer, Store(folder / "scratch", trainer.params.keep_checkpoints), "key")
    progress = saver.resume()
    with Signals() as signals, Journal(folder / "log.jsonl", progress.batch) as journal:
        reporter = Reporter(trainer, journal, open_tracker(None, "key", folder, {}), folder / "plots")
        try:
            yield Run(trainer, make_planner(trainer), evaluate, saver, reporter, signals), progress
        finally:
            reporter.close()


def run_here(folder: Path, trainer: Trainer, evaluate: Evaluate = worse_and_worse) -> Progress:
    """Trains to the end."""
    with made_run(folder, trainer, evaluate) as (run, progress):
        train(run, progress)
    return progress


def stage(**changes: object) -> TrainStage:
    """The parameters of a whole small run."""
    model = ModelParams("whisper", "scratch", None, 270, 16, 1, 1, 2, 32, 0.0)
    return TrainStage(FEATURES, model, replace(PARAMS, **changes), "az", "keep", None, None)  # type: ignore[arg-type]  # mixed types


def splits() -> Splits:
    """Eight clips to learn from, four to judge by."""
    utterances, clips = tiny_corpus()
    return Splits(utterances[:8], utterances[8:], clips)


def whole_run(params: TrainStage, learnt_from: Splits, folder: Path, key: str = "key") -> tuple[SpeechModel, Outcome]:
    """What the stage does, but for writing the results."""
    compute = choose_compute("cpu", params.train.precision, 1)
    with trained(params, learnt_from, compute, key, folder / "plots") as (model, outcome):
        return model, outcome
