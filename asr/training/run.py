"""One training run from parameters and splits to a model: what `stages/train.py` calls."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from asr.corpus.clips import Clips, Utterance
from asr.corpus.edges import wasted_work
from asr.devices import Compute, make_deterministic
from asr.models.build import SpeechModel, build
from asr.models.identity import record
from asr.models.tokenizer import end_id
from asr.params import TrainStage, as_plain
from asr.seeds import derive
from asr.training.averaging import averaged
from asr.training.batches import Planner
from asr.training.checkpoint.scratch import claimed, discard, other_runs, scratch_folder
from asr.training.checkpoint.store import Store
from asr.training.data import TrainingSet
from asr.training.guards.dump import dumped
from asr.training.guards.signals import Signals
from asr.training.history import EvaluationRecord
from asr.training.loop import Run, train
from asr.training.objective import Objective
from asr.training.observe.journal import Journal, runs_folder
from asr.training.observe.reporter import Reporter
from asr.training.observe.trackers import open_tracker
from asr.training.padding import Padding
from asr.training.progress import Progress
from asr.training.savers import checkpoint_gradients, freeze_encoder
from asr.training.saving import Saver
from asr.training.selection import to_average
from asr.training.trainer import Trainer, Weights, make_trainer
from asr.training.validation import Validator, chosen

LOG = logging.getLogger(__name__)
WITHOUT_EFFECT = (
    "workers",
    "tracker",
    "checkpoint_every",
    "keep_checkpoints",
    "max_skipped_in_a_row",
    "device",
    "precision",
)
"""Parameters of `train` that change no bit of the result: with other values the same run goes on. What device and
precision come to stands in its key apart."""


@dataclass(frozen=True)
class Splits:
    """What training may look at."""

    train: Sequence[Utterance]
    validation: Sequence[Utterance]
    clips: Clips


@dataclass(frozen=True)
class Outcome:
    """What a run has come to."""

    progress: Progress
    weights: Weights
    """Of the best evaluation, or the average that the parameters ask for."""
    average: EvaluationRecord | None
    """How good the average is; None where the best evaluation's weights are taken as they are."""
    epochs: int
    """Begun."""
    wasted_work: float
    """What padding to the edges costs the encoder on these clips, as a share of the work at their own lengths."""
    is_main: bool
    """Whether this process writes the results."""

    @property
    def best(self) -> EvaluationRecord:
        """The best evaluation."""
        assert self.progress.best is not None, "the last step is always evaluated"
        return self.progress.best


def decisive(params: TrainStage) -> dict[str, Any]:
    """The parameters that can change a result, as JSON holds them."""
    plain = as_plain(params)
    return {**plain, "train": {name: value for name, value in plain["train"].items() if name not in WITHOUT_EFFECT}}


@contextmanager
def trained(
    params: TrainStage, splits: Splits, compute: Compute, key: str, plots: Path
) -> Iterator[tuple[SpeechModel, Outcome]]:
    """Trains a model; it comes with the weights of the last step, the ones to publish are in the outcome.

    The checkpoints stay until the block ends well: in it, the results are written.

    Args:
        params: of the stage.
        splits: what to learn from and what to judge by.
        compute: device and number format.
        key: what the run depends on; a run with the same key that died is gone on with.
        plots: folder of the curves, which are written while training runs.

    Raises:
        Interrupted: a signal came; the state is saved.
        UserError: an empty split, labels that do not fit, a missing base model, another process on the same run,
            too little memory, or numbers that are not finite.
    """
    model, trainer = _built(params, splits, compute)
    folder, ranks = scratch_folder(key), trainer.ranks
    with claimed(folder) if ranks.is_main else nullcontext(), Signals() as signals:
        saver = Saver(trainer, Store(folder, params.train.keep_checkpoints), key)
        planner = make_planner(trainer)
        judged = TrainingSet.build(
            chosen(splits.validation, params.train.evaluate_clips),
            splits.clips,
            model.tokenizer,
            model.edges,
            params.language,
        )
        validator = Validator(model, trainer, judged, params.numbers, signals)
        progress = saver.resume()
        _say_what_others_left(folder)
        log = runs_folder(key) / ("log.jsonl" if ranks.is_main else f"log-{ranks.index}.jsonl")
        LOG.info(
            "%d clips, %s in %s, %d steps; log %s",
            len(splits.train),
            compute.device_class,
            compute.precision,
            params.train.max_steps,
            log,
        )
        tracker = open_tracker(
            params.train.tracker if ranks.is_main else None, key, log.parent.parent, as_plain(params), progress.step
        )
        with (
            Journal(log, progress.batch) as journal,
            closing(Reporter(trainer, journal, tracker, plots)) as reporter,
            dumped(trainer, progress, log.parent / "dump.json"),
        ):
            train(Run(trainer, planner, validator, saver, reporter, signals), progress)
        epochs = (progress.batch - 1) // planner.batches_in_an_epoch() + 1
        outcome = _outcome(params, progress, saver, validator, epochs)
        ranks.wait()
        yield model, outcome
        if ranks.is_main:
            _discard(folder)


def make_planner(trainer: Trainer) -> Planner:
    """The plan of a run: which clips make which step, at which length."""
    data, params, ranks = trainer.data, trainer.params, trainer.ranks
    padding = Padding.of(data.edges, data.samples(), params)
    return Planner(
        padding.epoch,
        padding.candidates(),
        len(data.utterances),
        params.batch_size,
        params.seed,
        ranks.index,
        ranks.count,
    )


def _discard(folder: Path) -> None:
    """The results are there: what cannot be deleted is no reason to fail."""
    try:
        discard(folder)
    except OSError as error:
        LOG.warning("%s: checkpoints not deleted: %s; they are of no use any more", folder, error.strerror)


def _say_what_others_left(folder: Path) -> None:
    """Checkpoints are large, and only a run that ends well deletes its own."""
    others = [other for other in other_runs(folder) if (other / "checkpoints").is_dir()]
    if others:
        held = sum(path.stat().st_size for other in others for path in other.rglob("*") if path.is_file())
        LOG.info(
            "%d unfinished runs of other parameters, data or code hold %.1f MB in %s; delete those you gave up",
            len(others),
            held / 1e6,
            folder.parent,
        )


def _built(params: TrainStage, splits: Splits, compute: Compute) -> tuple[SpeechModel, Trainer]:
    if compute.device.type == "cpu":
        make_deterministic()
    torch.manual_seed(derive(params.train.seed, "weights"))
    model = build(params.model, params.features, params.language, splits.train)
    data = TrainingSet.build(splits.train, splits.clips, model.tokenizer, model.edges, params.language)
    data.require_start(model.network.config.decoder_start_token_id)
    data.require_fitting_labels(model.network.config.max_target_positions, ctc=params.train.ctc_weight > 0)
    if params.train.freeze_encoder:
        freeze_encoder(model.network)
    if params.train.gradient_checkpointing:
        checkpoint_gradients(model.network)
    objective = Objective(model.network, end_id(model.tokenizer), params.train.label_smoothing, params.train.ctc_weight)
    return model, make_trainer(params.train, data, objective, compute)


def _outcome(params: TrainStage, progress: Progress, saver: Saver, validator: Validator, epochs: int) -> Outcome:
    assert progress.best is not None, "the last step is always evaluated"
    records, is_main = to_average(progress, params.train), validator.trainer.ranks.is_main
    waste = _wasted_work(validator.trainer)
    if not records:
        return Outcome(progress, saver.store.weights(progress.best.step), None, epochs, waste, is_main)
    weights = averaged(saver.store.weights(item.step) for item in records)
    network, last = validator.model.network, validator.trainer.weights()
    network.load_state_dict(weights)
    judged = replace(validator, signals=None)(progress.step).record
    network.load_state_dict(last)
    return Outcome(progress, weights, judged, epochs, waste, is_main)


def _wasted_work(trainer: Trainer) -> float:
    edges, seconds = trainer.data.edges, [item.duration for item in trainer.data.utterances]
    return wasted_work(seconds, edges.seconds, edges.tail, trainer.objective.model.config.d_model)


def metrics(model: SpeechModel, outcome: Outcome) -> dict[str, Any]:
    """The content of `metrics/train.json` and of `experiment.json`, without its provenance.

    Nothing here tells a run that was stopped and gone on with from one that was not: both end in the same bytes.
    """
    progress, evaluations = outcome.progress, outcome.progress.history.evaluations
    last = progress.history.steps[-1]
    judged = outcome.average
    average = {} if judged is None else {"average_validation_wer": judged.wer, "average_validation_loss": judged.loss}
    causes = ("features", "loss", "gradient", "overflow")
    return {
        "steps": progress.step,
        "epochs": outcome.epochs,
        "loss": last.loss,
        "ctc_loss": last.ctc_loss,
        "best_step": outcome.best.step,
        "best_validation_wer": outcome.best.wer,
        "best_validation_loss": outcome.best.loss,
        "last_validation_wer": evaluations[-1].wer,
        "last_validation_capped": evaluations[-1].capped,
        "published": "best" if judged is None else "average",
        **average,
        "skipped": {cause: sum(skip.cause == cause for skip in progress.skipped) for cause in causes},
        "batches_split": progress.batches_split,
        "parameters": sum(p.numel() for p in model.network.parameters()),
        "seconds_of_audio": round(progress.seconds_of_audio, 2),
        "edges": list(model.edges.seconds),
        "wasted_work": round(outcome.wasted_work, 4),
        "padding_share": round(1 - progress.seconds_of_audio / progress.padded_seconds, 4),
        **record(model.tokenizer),
    }
