"""Contract: the loop takes the steps it was asked for, says what it did, and keeps what it must."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState
from torch.nn import functional as F

from asr.errors import UserError
from asr.params import TrainParams
from asr.training.guards.oom import split
from asr.training.history import EvaluationRecord
from asr.training.loading import load
from asr.training.loop import evaluation_is_due, is_over, point_is_due
from asr.training.observe.journal import read_journal
from asr.training.progress import Progress
from asr.training.run import metrics
from asr.training.schedule import rate_factor
from asr.training.trainer import Trainer
from asr.training.update import take_step
from asr.training.validation import Evaluation
from tests.models import tiny_corpus
from tests.training import PARAMS, make_trainer_and_planner, run_here, splits, stage, whole_run, worse_and_worse


def weights(trainer: Trainer) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in trainer.objective.parameters()])


def run(folder: Path, params: TrainParams = PARAMS, dropout: float = 0.1) -> tuple[Progress, torch.Tensor]:
    trainer, _, _ = make_trainer_and_planner(params, dropout)
    progress = run_here(folder, trainer)
    return progress, weights(trainer)


def test_two_runs_end_in_the_same_bits_and_another_seed_does_not(tmp_path: Path) -> None:
    first, second = run(tmp_path / "a")[1], run(tmp_path / "b")[1]
    other = run(tmp_path / "c", replace(PARAMS, seed=2))[1]
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_the_micro_batch_size_changes_nothing_beyond_rounding(tmp_path: Path) -> None:
    params = replace(PARAMS, augment_from_step=99, max_steps=3)
    whole = run(tmp_path / "whole", params, dropout=0.0)[1]
    cut = run(tmp_path / "cut", replace(params, micro_batch_seconds=1.0), dropout=0.0)[1]
    assert torch.allclose(whole, cut, atol=2e-5)


def test_the_number_of_workers_changes_no_bit(tmp_path: Path) -> None:
    alone, together = run(tmp_path / "0")[1], run(tmp_path / "2", replace(PARAMS, workers=2))[1]
    assert torch.equal(alone, together)


def test_curves_have_a_point_where_they_are_due_and_at_the_end(tmp_path: Path) -> None:
    history = run(tmp_path, replace(PARAMS, max_steps=7))[0].history
    assert [record.step for record in history.steps] == [2, 3, 4, 6, 7]
    assert [record.step for record in history.evaluations] == [3, 6, 7]
    assert all(math.isfinite(record.loss) and record.gradient_norm > 0 for record in history.steps)


def test_the_loss_falls(tmp_path: Path) -> None:
    params = replace(PARAMS, max_steps=60, learning_rate=0.01, evaluate_every=60, augment_from_step=60)
    losses = [record.loss for record in run(tmp_path, params)[0].history.steps]
    assert losses[-1] < losses[0] / 2


def test_the_logged_loss_is_the_mean_over_the_tokens_of_all_micro_batches() -> None:
    """Not the mean of the micro-batches' means, nor the last one's: they hold different numbers of tokens."""
    params = replace(PARAMS, batch_size=12, augment_from_step=9, margin_share=0.0, window_share=0.0)
    trainer, planner, model = make_trainer_and_planner(params, dropout=0.0)
    loaded = [load(trainer.data, micro) for micro in next(planner.batches(0))]
    nats, tokens, means = 0.0, 0, []
    with torch.no_grad():
        for micro in loaded:
            for clip in split(micro, 1):
                labels = clip.labels
                logits = model.network(trainer.log_mel(clip.wave), decoder_input_ids=labels.decoder_input).logits
                kept = labels.targets[0] >= 0
                rows = logits[0, -labels.targets.shape[1] :][kept]
                loss = F.cross_entropy(rows, labels.targets[0][kept], reduction="sum", label_smoothing=0.1)
                nats, tokens = nats + float(loss), tokens + int(kept.sum())
            means.append(nats / tokens)
    progress = Progress()
    progress.clips_at_once = dict.fromkeys(range(3), 2)
    take_step(trainer, progress, loaded)
    assert len(loaded) > 1
    assert progress.sums.tokens == tokens
    assert progress.sums.cross_entropy / progress.sums.tokens == pytest.approx(nats / tokens, rel=1e-5)
    assert progress.sums.cross_entropy / progress.sums.tokens != pytest.approx(sum(means) / len(means), rel=1e-4)


def test_only_a_strictly_better_evaluation_replaces_the_best(tmp_path: Path) -> None:
    trainer, _, _ = make_trainer_and_planner(replace(PARAMS, max_steps=4, evaluate_every=1))
    wers = iter([0.5, 0.4, 0.4, 0.6])
    progress = run_here(tmp_path, trainer, lambda s: Evaluation(EvaluationRecord(s, next(wers), 1.0, 0), []))
    assert progress.best == EvaluationRecord(2, 0.4, 1.0, 0)


def test_no_improvement_for_long_enough_ends_the_run_early(tmp_path: Path) -> None:
    progress, _ = run(tmp_path, replace(PARAMS, max_steps=50, evaluate_every=2, stop_after=3))
    assert progress.step == 8, "the best at 2, then three without a better one"


def test_the_step_counts_real_and_padded_audio(tmp_path: Path) -> None:
    progress, _ = run(tmp_path, replace(PARAMS, max_steps=3))
    utterances, _ = tiny_corpus()
    assert progress.seconds_of_audio == pytest.approx(sum(item.duration for item in utterances))
    assert progress.padded_seconds > progress.seconds_of_audio


def test_the_logged_rate_is_the_one_that_was_used(tmp_path: Path) -> None:
    progress, _ = run(tmp_path, replace(PARAMS, log_every=1))
    used = [record.learning_rate / PARAMS.learning_rate for record in progress.history.steps]
    assert used == pytest.approx([rate_factor(PARAMS, step) for step in range(6)])


@pytest.mark.parametrize(
    ("step", "evaluated_at", "evaluation", "point", "over"),
    [
        (0, None, False, True, False),
        (2, None, False, True, False),
        (3, None, True, True, False),
        (3, 3, False, False, False),
        (5, 3, False, False, False),
        (6, 3, True, True, True),
        (6, 6, False, True, True),
    ],
)
def test_what_is_due_after_a_step(
    step: int, evaluated_at: int | None, evaluation: bool, point: bool, over: bool
) -> None:
    progress = Progress(step=step)
    if evaluated_at:
        progress.history.evaluations.append(worse_and_worse(evaluated_at).record)
    assert evaluation_is_due(PARAMS, progress) == evaluation
    assert point_is_due(PARAMS, progress) == point
    assert is_over(PARAMS, progress) == over


def test_augmentation_begins_where_the_parameters_say(tmp_path: Path) -> None:
    params = replace(PARAMS, max_steps=3)
    never, late, early = (run(tmp_path / str(step), replace(params, augment_from_step=step))[1] for step in (99, 3, 2))
    assert torch.equal(never, late)
    assert not torch.equal(never, early)


def test_biases_and_norms_are_not_decayed() -> None:
    trainer, _, _ = make_trainer_and_planner(replace(PARAMS, weight_decay=0.1))
    decayed, kept = trainer.optimizer.param_groups
    assert decayed["weight_decay"] == 0.1
    assert kept["weight_decay"] == 0.0
    assert all(p.ndim > 1 for p in decayed["params"])
    assert all(p.ndim <= 1 for p in kept["params"])


def test_a_run_leaves_a_log_of_what_it_did(tmp_path: Path) -> None:
    run(tmp_path)
    lines = list(read_journal(tmp_path / "log.jsonl"))
    kinds = [line["kind"] for line in lines]
    assert kinds[0] == "start"
    assert kinds[-1] == "end"
    assert {"step", "profile", "checkpoint", "evaluate"} <= set(kinds)
    step = next(line for line in lines if line["kind"] == "step")
    assert step["loss"] > 0
    assert step["ram_bytes"] > 0
    assert 0 < step["padding_share"] < 1


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that holds scratch and logs of whole runs."""
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_whole_run_reports_what_it_did(in_folder: Path) -> None:
    model, outcome = whole_run(stage(), splits(), in_folder)
    report = metrics(model, outcome)
    assert report["steps"] == 6
    assert report["epochs"] == 3
    assert report["best_validation_wer"] <= report["last_validation_wer"]
    assert report["skipped"] == {"features": 0, "loss": 0, "gradient": 0, "overflow": 0}
    assert 0 < report["padding_share"] < 1
    heard = (in_folder / "plots" / "watched.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(heard) == 2 * 3, "each watched clip at both evaluations"


def test_the_published_weights_are_the_best_ones_and_not_the_last(in_folder: Path) -> None:
    params = stage(max_steps=4, evaluate_every=1, learning_rate=0.05)
    model, outcome = whole_run(params, splits(), in_folder)
    assert outcome.best.step < 4, "otherwise this shows nothing"
    last = model.network.state_dict()
    assert any(not torch.equal(outcome.weights[name], last[name]) for name in last)


@pytest.mark.parametrize("kind", ["last", "best"])
def test_an_average_is_judged_like_any_other_weights(in_folder: Path, kind: str) -> None:
    params = stage(max_steps=4, evaluate_every=1, average=kind, average_count=2)
    model, outcome = whole_run(params, splits(), in_folder)
    assert outcome.average is not None
    assert metrics(model, outcome)["average_validation_wer"] == outcome.average.wer
    last = model.network.state_dict()
    assert any(not torch.equal(outcome.weights[name], last[name]) for name in last)


def test_a_validation_split_without_text_is_refused(in_folder: Path) -> None:
    silent = replace(splits(), validation=[replace(item, text="") for item in splits().validation])
    with pytest.raises(UserError, match=r"validation split has no clips with text.*validate\.validation_share"):
        whole_run(stage(), silent, in_folder)


@pytest.fixture
def other_precision() -> Iterator[None]:
    """Accelerate holds one number format a process; a test with another must leave none behind."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.usefixtures("other_precision")
@pytest.mark.parametrize(
    "changes",
    [
        {"freeze_encoder": True},
        {"gradient_checkpointing": True},
        {"precision": "bf16"},
        {"schedule": "plateau"},
        {"schedule": "cosine_restarts", "restart_steps": 2},
        {"select_by": "loss"},
        {"micro_batch_seconds": None},
    ],
    ids=lambda changes: ", ".join(changes),
)
def test_every_way_of_training_runs_to_its_end(in_folder: Path, changes: dict[str, object]) -> None:
    params = stage(max_steps=3, **changes)
    _, outcome = whole_run(params, splits(), in_folder)
    assert outcome.progress.step == 3
    assert all(torch.isfinite(value).all() for value in outcome.weights.values())


def test_a_frozen_encoder_does_not_move(in_folder: Path) -> None:
    _, free = whole_run(stage(max_steps=3), splits(), in_folder, "free")
    model, frozen = whole_run(stage(max_steps=3, freeze_encoder=True), splits(), in_folder, "frozen")
    torch.manual_seed(0)
    encoder = [name for name in free.weights if name.startswith("model.encoder")]
    moved = [name for name in encoder if not torch.equal(free.weights[name], frozen.weights[name])]
    assert moved
    still = model.network.state_dict()
    assert all(torch.equal(frozen.weights[name], still[name]) for name in encoder)
