"""Contract: the loop takes the steps it was asked for, keeps the best weights, and stops before a NaN gets in."""

import math
from dataclasses import replace

import pytest
import torch

from asr.corpus.clips import Utterance
from asr.devices import choose_compute
from asr.errors import UserError
from asr.models.build import SpeechModel
from asr.models.tokenizer import end_id
from asr.params import FeatureParams, ModelParams, TrainParams, TrainStage
from asr.training.batches import Planner
from asr.training.data import TrainingSet
from asr.training.history import EvaluationRecord
from asr.training.loop import Outcome, Trainer, due, make_trainer, train
from asr.training.objective import Objective
from asr.training.run import Splits, metrics, run_training
from asr.training.schedule import rate_factor
from tests.models import EDGES, tiny_corpus, tiny_model, train_params

PARAMS = train_params(batch_size=4, max_steps=6, warmup_steps=2, log_every=2, evaluate_every=3, device="cpu")


def make(params: TrainParams = PARAMS, dropout: float = 0.1) -> tuple[Trainer, Planner, SpeechModel]:
    torch.manual_seed(0)
    model = tiny_model(dropout=dropout)
    utterances, clips = tiny_corpus()
    data = TrainingSet.build(utterances, clips, model.tokenizer, model.edges, "az")
    objective = Objective(model.network, end_id(model.tokenizer), params.label_smoothing, params.ctc_weight)
    trainer = make_trainer(params, data, objective, choose_compute("cpu", "fp32", 2))
    planner = Planner(
        data.edge_indices(), model.edges.seconds, params.batch_size, params.micro_batch_seconds, params.seed
    )
    return trainer, planner, model


def worse_and_worse(step: int) -> EvaluationRecord:
    return EvaluationRecord(step, wer=step / 10, capped=0)


def weights(trainer: Trainer) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in trainer.objective.parameters()])


def run(params: TrainParams = PARAMS, dropout: float = 0.1) -> tuple[Outcome, torch.Tensor]:
    trainer, planner, _ = make(params, dropout)
    outcome = train(trainer, planner, worse_and_worse)
    return outcome, weights(trainer)


def test_two_runs_end_in_the_same_bits_and_another_seed_does_not() -> None:
    first, second, other = run()[1], run()[1], run(replace(PARAMS, seed=2))[1]
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_the_micro_batch_size_changes_nothing_beyond_rounding() -> None:
    params = replace(PARAMS, augment_from_step=99, max_steps=3)
    whole, cut = run(params, dropout=0.0)[1], run(replace(params, micro_batch_seconds=1.0), dropout=0.0)[1]
    assert torch.allclose(whole, cut, atol=2e-5)


def test_curves_have_a_point_where_they_are_due_and_at_the_end() -> None:
    outcome, _ = run(replace(PARAMS, max_steps=7))
    assert [record.step for record in outcome.history.steps] == [2, 4, 6, 7]
    assert [record.step for record in outcome.history.evaluations] == [3, 6, 7]
    assert all(math.isfinite(record.loss) and record.gradient_norm > 0 for record in outcome.history.steps)


def test_the_loss_falls() -> None:
    outcome, _ = run(replace(PARAMS, max_steps=60, learning_rate=0.01, evaluate_every=60, augment_from_step=60))
    losses = [record.loss for record in outcome.history.steps]
    assert losses[-1] < losses[0] / 2


def test_only_a_strictly_better_evaluation_replaces_the_best() -> None:
    trainer, planner, _ = make(replace(PARAMS, max_steps=4, evaluate_every=1))
    wers = iter([0.5, 0.4, 0.4, 0.6])
    outcome = train(trainer, planner, lambda step: EvaluationRecord(step, next(wers), 0))
    assert outcome.best == EvaluationRecord(2, 0.4, 0)


def test_the_best_weights_are_those_of_the_best_step_and_not_of_the_last() -> None:
    trainer, planner, model = make()
    at_step_three: dict[str, torch.Tensor] = {}

    def evaluate(step: int) -> EvaluationRecord:
        if step == 3:
            at_step_three.update({n: v.clone() for n, v in model.network.state_dict().items()})
        return worse_and_worse(step)

    outcome = train(trainer, planner, evaluate)
    assert outcome.best == worse_and_worse(3)
    assert all(torch.equal(outcome.best_weights[name], value) for name, value in at_step_three.items())
    last = model.network.state_dict()
    assert any(not torch.equal(outcome.best_weights[name], last[name]) for name in last)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_non_finite_gradient_stops_before_the_step_and_names_the_clips(value: float) -> None:
    trainer, planner, model = make()
    trainer.objective.model.model.encoder.layer_norm.bias.register_hook(lambda gradient: gradient * value)
    before = weights(trainer)
    with pytest.raises(UserError, match=r"step 1: the gradient is (nan|inf).*train\.learning_rate.*clip\d\d") as caught:
        train(trainer, planner, worse_and_worse)
    assert torch.equal(weights(trainer), before)
    named = set(str(caught.value).split("clips of this step: ")[1].split(", "))
    planned = {trainer.data.utterances[i].id for batch in planner.epoch(0)[0] for i in batch.clips}
    assert named == planned
    assert model.network.training


def test_the_step_counts_real_and_padded_audio() -> None:
    outcome, _ = run(replace(PARAMS, max_steps=3))
    utterances, _ = tiny_corpus()
    assert outcome.seconds_of_audio == pytest.approx(sum(item.duration for item in utterances))
    assert outcome.padded_seconds > outcome.seconds_of_audio


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [
        ("linear", [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]),
        ("constant", [0.5, 1.0, 1.0, 1.0, 1.0, 1.0]),
        ("cosine", [0.5, 1.0, 1.0, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2]),
    ],
)
def test_the_rate_rises_linearly_and_falls_by_its_schedule(schedule: str, factors: list[float]) -> None:
    assert [rate_factor(step, 6, 2, schedule) for step in range(6)] == pytest.approx(factors)


def test_the_logged_rate_is_the_one_that_was_used() -> None:
    outcome, _ = run(replace(PARAMS, log_every=1))
    used = [record.learning_rate / PARAMS.learning_rate for record in outcome.history.steps]
    assert used == pytest.approx([rate_factor(step, 6, 2, PARAMS.schedule) for step in range(6)])


def test_due_means_every_nth_step_and_the_last() -> None:
    assert [step + 1 for step in range(7) if due(step, 3, 7)] == [3, 6, 7]


def test_augmentation_begins_where_the_parameters_say() -> None:
    params = replace(PARAMS, max_steps=3)
    never, late, early = (run(replace(params, augment_from_step=step))[1] for step in (99, 3, 2))
    assert torch.equal(never, late)
    assert not torch.equal(never, early)


def test_biases_and_norms_are_not_decayed() -> None:
    trainer, _, _ = make(replace(PARAMS, weight_decay=0.1))
    decayed, kept = trainer.optimizer.param_groups
    assert decayed["weight_decay"] == 0.1
    assert kept["weight_decay"] == 0.0
    assert all(p.ndim > 1 for p in decayed["params"])
    assert all(p.ndim <= 1 for p in kept["params"])


def stage(**changes: object) -> TrainStage:
    model = ModelParams("whisper", "scratch", None, 270, 16, 1, 1, 2, 32, 0.0)
    return TrainStage(FeatureParams(EDGES, 0.1), model, replace(PARAMS, **changes), "az")


def test_a_whole_run_reports_what_it_did() -> None:
    utterances, clips = tiny_corpus()
    compute = choose_compute("cpu", "fp32", 2)
    model, outcome = run_training(stage(), Splits(utterances[:8], utterances[8:], clips), compute)
    report = metrics(model, outcome)
    assert report["steps"] == 6
    assert report["epochs"] == 3
    assert report["best_validation_wer"] <= report["last_validation_wer"]
    assert 0 < report["padding_share"] < 1


def test_a_validation_split_without_text_is_refused() -> None:
    utterances, clips = tiny_corpus()
    silent = [Utterance(item.id, "", item.duration, "", "", "") for item in utterances[8:]]
    with pytest.raises(UserError, match=r"validation split has no clips with text.*validate\.validation_share"):
        run_training(stage(), Splits(utterances[:8], silent, clips), choose_compute("cpu", "fp32", 2))


@pytest.mark.parametrize(("device", "precision", "message"), [("cpu", "fp16", "not on a CPU"), ("mps", "fp32", "auto")])
def test_an_impossible_device_is_refused_with_the_remedy(device: str, precision: str, message: str) -> None:
    if device == "mps" and torch.backends.mps.is_available():
        pytest.skip("this machine has MPS")
    with pytest.raises(UserError, match=message):
        choose_compute(device, precision, 2)
