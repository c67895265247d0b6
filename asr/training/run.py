"""One training run from parameters and splits to a model: what `stages/train.py` calls."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from asr.corpus.clips import Clips, Utterance
from asr.decoding.generate import Transcriber
from asr.devices import Compute, make_deterministic
from asr.errors import UserError
from asr.models.build import SpeechModel, build
from asr.models.identity import record
from asr.models.tokenizer import end_id
from asr.params import TrainStage
from asr.scoring.wer import score
from asr.seeds import derive
from asr.training.batches import Planner
from asr.training.data import TrainingSet
from asr.training.history import EvaluationRecord
from asr.training.loop import Outcome, Trainer, make_trainer, train
from asr.training.objective import Objective

VALIDATION_BATCH = 64
"""Clips decoded together; results do not depend on it beyond rounding."""


@dataclass(frozen=True)
class Splits:
    """What training may look at."""

    train: Sequence[Utterance]
    validation: Sequence[Utterance]
    clips: Clips


def run_training(params: TrainStage, splits: Splits, compute: Compute) -> tuple[SpeechModel, Outcome]:
    """Trains a model; it returns with the weights of the last step, the best ones are in the outcome.

    Raises:
        UserError: an empty split, labels that do not fit, a missing base model, or non-finite numbers.
    """
    if compute.device.type == "cpu":
        make_deterministic()
    torch.manual_seed(derive(params.train.seed, "weights"))
    model = build(params.model, params.features, params.language, [item.text for item in splits.train])
    data = TrainingSet.build(splits.train, splits.clips, model.tokenizer, model.edges, params.language)
    data.require_start(model.network.config.decoder_start_token_id)
    data.require_fitting_labels(model.network.config.max_target_positions, ctc=params.train.ctc_weight > 0)
    objective = Objective(model.network, end_id(model.tokenizer), params.train.label_smoothing, params.train.ctc_weight)
    trainer = make_trainer(params.train, data, objective, compute)
    planner = Planner(
        data.edge_indices(),
        model.edges.seconds,
        params.train.batch_size,
        params.train.micro_batch_seconds,
        params.train.seed,
    )
    validator = _Validator(model, trainer, _chosen(splits.validation, params.train.evaluate_clips), splits.clips)
    return model, train(trainer, planner, validator)


def metrics(model: SpeechModel, outcome: Outcome) -> dict[str, Any]:
    """The content of `metrics/train.json` and of `experiment.json`, without its provenance."""
    assert outcome.best is not None, "the last step is always evaluated"
    last = outcome.history.steps[-1]
    return {
        "steps": last.step,
        "epochs": outcome.epochs + 1,
        "loss": last.loss,
        "ctc_loss": last.ctc_loss,
        "best_step": outcome.best.step,
        "best_validation_wer": outcome.best.wer,
        "last_validation_wer": outcome.history.evaluations[-1].wer,
        "last_validation_capped": outcome.history.evaluations[-1].capped,
        "parameters": sum(p.numel() for p in model.network.parameters()),
        "seconds_of_audio": round(outcome.seconds_of_audio, 2),
        "padding_share": round(1 - outcome.seconds_of_audio / outcome.padded_seconds, 4),
        **record(model.tokenizer),
    }


@dataclass(frozen=True)
class _Validator:
    """Decodes the validation clips as evaluate does, greedily."""

    model: SpeechModel
    trainer: Trainer
    utterances: Sequence[Utterance]
    clips: Clips

    def __call__(self, step: int) -> EvaluationRecord:
        transcriber = Transcriber(
            self.model.network,
            self.model.tokenizer,
            self.trainer.log_mel,
            self.model.edges,
            self.model.language,
            beams=1,
            batch_size=VALIDATION_BATCH,
        )
        heard = transcriber.transcribe([self.clips[item.id] for item in self.utterances], "validate")
        references, texts = [item.text for item in self.utterances], [item.text for item in heard]
        scores = score(references, texts, self.model.language)
        return EvaluationRecord(step, scores.normalized.wer, sum(item.capped for item in heard))


def _chosen(validation: Sequence[Utterance], count: int | None) -> Sequence[Utterance]:
    """The first `count` clips with text: ids are hashes, so these are a random sample."""
    spoken = [item for item in validation if item.text]
    if not spoken:
        raise UserError("the validation split has no clips with text: raise validate.validation_share")
    return spoken[:count]
