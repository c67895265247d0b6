"""The training loop. Read `train` first: it is the table of contents."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from accelerate import Accelerator
from tqdm import tqdm

from asr.devices import Compute
from asr.errors import UserError
from asr.features import HOP, LogMel
from asr.params import TrainParams
from asr.pcm import SAMPLE_RATE
from asr.seeds import derive
from asr.training.augment import Augment
from asr.training.batches import MicroBatch, Planner, Step
from asr.training.data import TrainingSet
from asr.training.history import EvaluationRecord, History, StepRecord
from asr.training.objective import Labels, Objective
from asr.training.schedule import rate_factor

Weights = dict[str, torch.Tensor]
Evaluate = Callable[[int], EvaluationRecord]
"""Decodes validation clips with the weights as they are after a step."""


@dataclass
class Outcome:
    """What a run has come to."""

    history: History = field(default_factory=History)
    best: EvaluationRecord | None = None
    best_weights: Weights = field(default_factory=dict)
    """On the CPU, names as in the network."""
    epochs: int = 0
    seconds_of_audio: float = 0.0
    """Real audio seen, without padding."""
    padded_seconds: float = 0.0
    """The same with padding."""


@dataclass
class Sums:
    """Losses since the last log line, kept on the device: reading them is a synchronisation."""

    cross_entropy: torch.Tensor
    ctc: torch.Tensor
    gradient_norm: torch.Tensor
    tokens: int = 0
    steps: int = 0


@dataclass(frozen=True)
class Trainer:
    """All that a step needs; state that changes lives in `Outcome`, the optimizer and the weights."""

    params: TrainParams
    data: TrainingSet
    objective: Objective
    log_mel: LogMel
    accelerator: Accelerator
    optimizer: torch.optim.Optimizer
    augment: Augment


def make_trainer(params: TrainParams, data: TrainingSet, objective: Objective, compute: Compute) -> Trainer:
    """Puts model and optimizer on the accelerator's device.

    Raises:
        UserError: more than one process; this loop serves one device.
    """
    precision = "no" if compute.precision == "fp32" else compute.precision
    accelerator = Accelerator(cpu=compute.device.type == "cpu", mixed_precision=precision)
    if accelerator.num_processes > 1:
        raise UserError(
            f"{accelerator.num_processes} processes: training runs on one device; start it without a launcher"
        )
    optimizer = torch.optim.AdamW(_groups(objective, params), lr=params.learning_rate, betas=(0.9, 0.98), fused=True)
    prepared, prepared_optimizer = accelerator.prepare(objective, optimizer)
    log_mel = LogMel(objective.model.config.num_mel_bins).to(accelerator.device)
    augment = Augment(
        time_masks=params.time_masks,
        time_mask_frames=round(params.time_mask * SAMPLE_RATE / HOP),
        frequency_masks=params.frequency_masks,
        frequency_mask_bands=params.frequency_mask,
        warp=params.warp,
    )
    return Trainer(params, data, prepared, log_mel, accelerator, prepared_optimizer, augment)


def train(trainer: Trainer, planner: Planner, evaluate: Evaluate) -> Outcome:
    """Runs all steps and keeps the weights of the best evaluation.

    Raises:
        UserError: a loss or gradient became NaN or infinite; names the step and its clips.
    """
    params = trainer.params
    outcome, sums = Outcome(), _no_sums(trainer.accelerator.device)
    plan = planner.steps()
    trainer.objective.train()
    with tqdm(total=params.max_steps, desc="train", unit="step", disable=None) as bar:
        for step in range(params.max_steps):
            outcome.epochs, batches = next(plan)
            set_rate(trainer, step)
            forward_backward(trainer, batches, step, sums)
            guard_finite(trainer, batches, step, clip_gradient(trainer, sums))
            trainer.optimizer.step()
            trainer.optimizer.zero_grad()
            count(outcome, trainer.data, batches)
            if due(step, params.log_every, params.max_steps):
                sums = log(trainer, outcome, sums, step, bar)
            if due(step, params.evaluate_every, params.max_steps):
                keep_best(trainer, outcome, evaluate(step + 1))
                trainer.objective.train()
            bar.update()
    return outcome


def due(step: int, every: int, last: int) -> bool:
    """After every `every`-th step, and after the last."""
    return (step + 1) % every == 0 or step + 1 == last


def set_rate(trainer: Trainer, step: int) -> None:
    """The learning rate of this step."""
    p = trainer.params
    for group in trainer.optimizer.param_groups:
        group["lr"] = p.learning_rate * rate_factor(step, p.max_steps, p.warmup_steps, p.schedule)


def forward_backward(trainer: Trainer, batches: Step, step: int, sums: Sums) -> None:
    """Adds up the gradient of the step's mean loss a token; how it is cut into micro-batches does not matter."""
    tokens = sum(trainer.data.tokens(batch) for batch in batches)
    for number, batch in enumerate(batches):
        torch.manual_seed(derive(trainer.params.seed, "dropout", step, number))
        with trainer.accelerator.autocast():
            cross_entropy, ctc = trainer.objective(*inputs(trainer, batch, step))
        trainer.accelerator.backward((cross_entropy + trainer.params.ctc_weight * ctc) / tokens)
        sums.cross_entropy += cross_entropy.detach()
        sums.ctc += ctc.detach()
    sums.tokens += tokens
    sums.steps += 1


def inputs(trainer: Trainer, batch: MicroBatch, step: int) -> tuple[torch.Tensor, Labels]:
    """Augmented log-mel of shape = (clips, mel bands, frames), and labels, both on the device."""
    device, data = trainer.accelerator.device, trainer.data
    log_mel = trainer.log_mel(data.wave(batch).to(device))
    utterances = [data.utterances[i] for i in batch.clips]
    frames = [round(item.duration * SAMPLE_RATE / HOP) for item in utterances]
    seeds = [derive(trainer.params.seed, "augment", step, item.id) for item in utterances]
    labels = data.labels(batch)
    on_device = Labels(labels.decoder_input.to(device), labels.targets.to(device), labels.lengths.to(device))
    if step >= trainer.params.augment_from_step:
        log_mel = trainer.augment(log_mel, frames, seeds)
    return log_mel, on_device


def clip_gradient(trainer: Trainer, sums: Sums) -> torch.Tensor:
    """Scales the gradient down to `train.clip_norm`; returns its norm before."""
    norm: torch.Tensor = trainer.accelerator.clip_grad_norm_(trainer.objective.parameters(), trainer.params.clip_norm)
    sums.gradient_norm += norm.detach()
    return norm


def guard_finite(trainer: Trainer, batches: Step, step: int, gradient_norm: torch.Tensor) -> None:
    """Stops before a NaN or infinity can reach the weights; any in features or loss ends in the norm."""
    if bool(torch.isfinite(gradient_norm)) or trainer.accelerator.scaler is not None:
        return  # fp16's loss scaler skips such steps itself and lowers its scale
    clips = ", ".join(trainer.data.utterances[i].id for batch in batches for i in batch.clips)
    raise UserError(
        f"step {step + 1}: the gradient is {float(gradient_norm)}; lower train.learning_rate (now "
        f"{trainer.params.learning_rate:g}) or raise train.warmup_steps; clips of this step: {clips}"
    )


def count(outcome: Outcome, data: TrainingSet, batches: Step) -> None:
    """Adds the step's audio to the totals."""
    for batch in batches:
        outcome.seconds_of_audio += data.seconds(batch)
        outcome.padded_seconds += len(batch.clips) * data.edges.seconds[batch.edge]


def log(trainer: Trainer, outcome: Outcome, sums: Sums, step: int, bar: "tqdm[Any]") -> Sums:
    """One point of the curves; returns empty sums for the next."""
    record = StepRecord(
        step=step + 1,
        loss=sums.cross_entropy.item() / sums.tokens,
        ctc_loss=sums.ctc.item() / sums.tokens,
        learning_rate=trainer.optimizer.param_groups[0]["lr"],
        gradient_norm=sums.gradient_norm.item() / sums.steps,
    )
    outcome.history.steps.append(record)
    rate = bar.format_dict["rate"] or 0.0
    wer = f"{outcome.history.evaluations[-1].wer:.3f}" if outcome.history.evaluations else "-"
    bar.set_postfix_str(f"loss {record.loss:.3f}, WER {wer}, {rate * trainer.params.batch_size:.0f} clips/s")
    return _no_sums(trainer.accelerator.device)


def keep_best(trainer: Trainer, outcome: Outcome, record: EvaluationRecord) -> None:
    """Copies the weights if this evaluation is strictly better than all before."""
    outcome.history.evaluations.append(record)
    if outcome.best is None or record.wer < outcome.best.wer:
        network = trainer.accelerator.unwrap_model(trainer.objective).model
        outcome.best = record
        outcome.best_weights = {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}


def _no_sums(device: torch.device) -> Sums:
    return Sums(torch.zeros((), device=device), torch.zeros((), device=device), torch.zeros((), device=device))


def _groups(objective: Objective, params: TrainParams) -> Sequence[dict[str, Any]]:
    """Weight decay for matrices only: biases and layer norms are left alone."""
    trainable = [p for p in objective.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trainable if p.ndim > 1], "weight_decay": params.weight_decay},
        {"params": [p for p in trainable if p.ndim <= 1], "weight_decay": 0.0},
    ]
