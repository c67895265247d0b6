"""One optimizer step: forward and backward over all micro-batches, the guards, the update.

Read `take_step` first.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from asr.features import HOP
from asr.pcm import SAMPLE_RATE
from asr.seeds import derive
from asr.training.guards.finite import Measured, note_skip
from asr.training.guards.oom import free_memory, halved, out_of_memory_of, split
from asr.training.guards.rehearsal import as_in_mid_run
from asr.training.loading import Loaded
from asr.training.objective import Labels
from asr.training.progress import Progress
from asr.training.schedule import rate_factor
from asr.training.trainer import Trainer

LOG = logging.getLogger(__name__)
Losses = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""On the device: whether the features are finite, cross-entropy and CTC loss, sums over tokens."""


def take_step(trainer: Trainer, progress: Progress, loaded: Sequence[Loaded]) -> Measured:
    """Changes the weights by one batch, or leaves them as they are and says why.

    Raises:
        UserError: one clip alone does not fit into memory.
    """
    trainer.optimizer.zero_grad()
    set_rate(trainer, progress)
    losses = forward_backward(trainer, progress, loaded)
    with trainer.profiler.phase("optimizer"):
        measured = measure(trainer, losses, _tokens(trainer, loaded))
        if not measured.fault:
            clip(trainer, measured)
            trainer.optimizer.step()
        elif measured.unscaled:
            forget_gradient(trainer, measured)
    if measured.fault:
        note_skip(progress, measured, _ids(trainer, loaded))  # the gradient stays for a dump until the next step
    else:
        count(trainer, progress, measured, loaded)
        trainer.optimizer.zero_grad()
    progress.batch += 1
    return measured


def set_rate(trainer: Trainer, progress: Progress) -> None:
    """The learning rate of this update, which follows from the updates before it."""
    rate = trainer.params.learning_rate * rate_factor(trainer.params, progress.step, progress.rate_factor)
    for group in trainer.optimizer.param_groups:
        group["lr"] = rate


def forward_backward(trainer: Trainer, progress: Progress, loaded: Sequence[Loaded]) -> Losses:
    """Leaves the gradient of the batch's mean loss a token; how the batch is cut does not matter.

    Where memory runs out, the whole batch is done again in smaller pieces: every clip counts once, and the limit
    stays for the rest of the run.
    """
    tokens = _tokens(trainer, loaded)
    while True:
        done: list[Losses] = []
        for number, micro in enumerate(_cut(loaded, progress)):
            one = partial(_micro_batch, trainer, progress, micro, number, tokens)
            error = out_of_memory_of(partial(_append, done, one))
            if error is not None:
                _lower_limit(trainer, progress, micro, error)
                break
        else:
            return _summed(trainer, done)


def measure(trainer: Trainer, losses: Losses, tokens: int) -> Measured:
    """Reads all that the guards and the log need from the device at once, since reading is a synchronisation."""
    trainer.ranks.sum_gradients(trainer.objective.parameters())
    scaler = trainer.accelerator.scaler
    if scaler is None:
        return _read(trainer, losses, tokens, _gradient_norm(trainer), None)
    # Unscaling tells the scaler about this gradient, so a batch that is at fault by itself must not come so far.
    before = _read(trainer, losses, tokens, torch.zeros((), device=trainer.device), float(scaler.get_scale()))
    if before.fault:
        return before
    trainer.accelerator.unscale_gradients()
    return replace(before, gradient_norm=float(_gradient_norm(trainer)), unscaled=True)


def forget_gradient(trainer: Trainer, measured: Measured) -> None:
    """Tells fp16's scaler that a gradient it has unscaled is not used: it lowers its scale if that was the cause."""
    scaler = trainer.accelerator.scaler
    scaler.update(None if measured.fault == "overflow" else measured.scale)


def clip(trainer: Trainer, measured: Measured) -> None:
    """Scales the gradient down to `train.clip_norm`, unless that is 0."""
    if not trainer.params.clip_norm:
        return
    norm = torch.tensor(measured.gradient_norm, device=trainer.device)
    clip_grads_with_norm_(trainer.objective.parameters(), trainer.params.clip_norm, norm)


def count(trainer: Trainer, progress: Progress, measured: Measured, loaded: Sequence[Loaded]) -> None:
    """Adds an update to the totals and to the means of the next point of the curves."""
    data, sums = trainer.data, progress.sums
    real = sum(data.utterances[clip].duration for batch in loaded for clip in batch.clips)
    padded = sum(len(batch.clips) * data.edges.seconds[batch.edge] for batch in loaded)
    real, padded = trainer.ranks.total([real, padded])
    progress.seconds_of_audio += real
    progress.padded_seconds += padded
    sums.cross_entropy += measured.cross_entropy
    sums.ctc += measured.ctc
    sums.gradient_norm += measured.gradient_norm
    sums.tokens += measured.tokens
    sums.updates += 1
    progress.step += 1
    progress.skipped_in_a_row = 0


def attempt(trainer: Trainer, loaded: Loaded) -> None:
    """Forward and backward of one micro-batch whose gradient is dropped: whether it fits into memory.

    Raises:
        RuntimeError, MemoryError: it does not.
    """
    rehearsal = Progress(step=trainer.params.augment_from_step)
    with as_in_mid_run(trainer.optimizer):
        _micro_batch(trainer, rehearsal, loaded, number=0, tokens=1)


def _micro_batch(trainer: Trainer, progress: Progress, micro: Loaded, number: int, tokens: int) -> Losses:
    """Adds the gradient of one micro-batch's share of the mean loss a token."""
    torch.manual_seed(
        derive(trainer.params.seed, "dropout", progress.batch, number * trainer.ranks.count + trainer.ranks.index)
    )
    log_mel, labels = inputs(trainer, micro, progress)
    with trainer.profiler.phase("forward"), trainer.accelerator.autocast():
        if trainer.compiled and len(micro.clips) == progress.clips_at_once.get(micro.edge):
            cross_entropy, ctc = trainer.compiled(log_mel, labels, micro.edge)
        else:
            cross_entropy, ctc = trainer.objective(log_mel, labels)
    with trainer.profiler.phase("backward"):
        trainer.accelerator.backward((cross_entropy + trainer.params.ctc_weight * ctc) / tokens)
    return torch.isfinite(log_mel).all().float(), cross_entropy.detach(), ctc.detach()


def _append(done: list[Losses], one: Callable[[], Losses]) -> None:
    done.append(one())


def _summed(trainer: Trainer, done: Sequence[Losses]) -> Losses:
    """Over the micro-batches; features are finite where all are."""
    if not done:  # a process without a clip in this batch
        zero = torch.zeros((), device=trainer.device)
        return zero + 1, zero, zero
    features, cross_entropy, ctc = (torch.stack(values) for values in zip(*done, strict=True))
    return features.amin(), cross_entropy.sum(), ctc.sum()


def inputs(trainer: Trainer, loaded: Loaded, progress: Progress) -> tuple[torch.Tensor, Labels]:
    """Augmented log-mel of shape = (clips, mel bands, frames), and labels, both on the device."""
    device = trainer.device
    with trainer.profiler.phase("transfer"):
        wave = loaded.wave.to(device, non_blocking=True)
        labels = loaded.labels.to(device)
    with trainer.profiler.phase("forward"):
        log_mel = trainer.log_mel(wave)
        if progress.step >= trainer.params.augment_from_step:
            log_mel = _augmented(trainer, log_mel, loaded, progress)
    return log_mel, labels


def _augmented(trainer: Trainer, log_mel: torch.Tensor, loaded: Loaded, progress: Progress) -> torch.Tensor:
    utterances = [trainer.data.utterances[clip] for clip in loaded.clips]
    frames = [round(item.duration * SAMPLE_RATE / HOP) for item in utterances]
    seeds = [derive(trainer.params.seed, "augment", progress.batch, item.id) for item in utterances]
    return trainer.augment(log_mel, frames, seeds)


def _cut(loaded: Sequence[Loaded], progress: Progress) -> Iterator[Loaded]:
    for micro in loaded:
        limit = progress.clips_at_once.get(micro.edge, len(micro.clips))
        yield from split(micro, limit) if len(micro.clips) > limit else [micro]


def _lower_limit(trainer: Trainer, progress: Progress, micro: Loaded, error: BaseException) -> None:
    """Halves the micro-batch that did not fit, for the rest of the run, and clears what the attempt left."""
    trainer.optimizer.zero_grad()
    free_memory(trainer.device, error)
    seconds = trainer.data.edges.seconds[micro.edge]
    fewer = halved(len(micro.clips), seconds, error)
    progress.clips_at_once = {**progress.clips_at_once, micro.edge: fewer}
    progress.batches_split += 1
    LOG.warning(
        "batch %d: out of memory with %d clips of %g s; done again with %d at once, the same clips in all",
        progress.batch,
        len(micro.clips),
        seconds,
        fewer,
    )


def _gradient_norm(trainer: Trainer) -> torch.Tensor:
    """Of the whole gradient, before it is clipped."""
    return get_total_norm([p.grad for p in trainer.objective.parameters() if p.grad is not None])


def _read(trainer: Trainer, losses: Losses, tokens: int, norm: torch.Tensor, scale: float | None) -> Measured:
    features, cross_entropy, ctc, norm_value = torch.stack([*losses, norm.float()]).tolist()
    bad, cross_entropy, ctc = trainer.ranks.total([1.0 - features, cross_entropy, ctc])
    return Measured(bad == 0, cross_entropy, ctc, tokens, norm_value, scale)


def _tokens(trainer: Trainer, loaded: Sequence[Loaded]) -> int:
    """Targets of the batch in all processes: text tokens and end tokens."""
    return round(trainer.ranks.total([float(sum(int(m.labels.lengths.sum()) + len(m.clips) for m in loaded))])[0])


def _ids(trainer: Trainer, loaded: Sequence[Loaded]) -> tuple[str, ...]:
    mine = [trainer.data.utterances[clip].id for micro in loaded for clip in micro.clips]
    return tuple(trainer.ranks.gather(mine))
