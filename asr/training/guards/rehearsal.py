"""What fits into memory is found out before step 1: by the worst batches that can come, at the length of each edge.

Checking the worst batch first is icefall's habit (`scan_pessimistic_batches_for_oom`); searching a limit for every
length instead of one for all is the idea of NeMo's OOMptimizer (NeMo PR #9763). Limits only cut a batch into pieces,
so they change neither which clips make a step nor, but for rounding, its gradient.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from heapq import nlargest

import torch
from tqdm import tqdm

from asr.errors import UserError
from asr.training.batches import MicroBatch
from asr.training.data import TrainingSet
from asr.training.guards.oom import first_line, free_memory, halved, one_clip_is_too_much, out_of_memory_of
from asr.training.loading import Loaded

Attempt = Callable[[int, int], None]
"""Forward and backward of the worst micro-batch of (edge index, clips), its gradient dropped; lets the error out."""
KEPT_TENTHS = 9
"""Of the clips that fit, so many tenths are used: a run's memory is more fragmented than a fresh one's."""


def limits_from_seconds(edge_seconds: Sequence[float], seconds: float) -> dict[int, int]:
    """The most clips of each edge in `seconds` of padded audio, at least one."""
    # 2.4 / 0.8 is a little less than 3 in floats: without the summand a clip would be lost
    return {edge: max(1, int(seconds / length + 1e-9)) for edge, length in enumerate(edge_seconds)}


def worst_batch(data: TrainingSet, edge: int, clips: int, candidates: Sequence[int]) -> Loaded:
    """Real clips at one edge: those with the longest texts, again and again if there are fewer than `clips`.

    Args:
        data: the training set.
        edge: index of the edge.
        clips: how many.
        candidates: the clips that may have this edge.
    """
    assert candidates, f"no clip has edge {edge}"
    longest = nlargest(clips, candidates, key=lambda clip: len(data.texts[clip]))
    batch = MicroBatch(edge, tuple(longest[i % len(longest)] for i in range(clips)))
    return Loaded(edge, batch.clips, data.wave(batch), data.labels(batch))


@contextmanager
def as_in_mid_run(optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Holds the memory that an attempt before step 1 lacks: a gradient to add to, and AdamW's state.

    Leaves no gradients behind, also after an error, and the optimizer as it was.
    """
    parameters = _trained(optimizer)
    try:
        stand_ins = state_to_come(optimizer)
        for parameter in parameters:
            parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        yield
        del stand_ins
    finally:
        for parameter in parameters:
            parameter.grad = None


def state_to_come(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    """Tensors as large as the two moments that AdamW adds to each parameter at its first update."""
    fresh = [parameter for parameter in _trained(optimizer) if parameter not in optimizer.state]
    return [torch.empty_like(parameter) for parameter in fresh for _ in ("exp_avg", "exp_avg_sq")]


def rehearse(attempt: Attempt, edge_seconds: Sequence[float], limits: Mapping[int, int]) -> None:
    """Tries the micro-batches that need most memory, so that too large ones show in the first minute.

    Args:
        attempt: forward and backward of one micro-batch.
        edge_seconds: padded length of each edge.
        limits: clips of each edge in one micro-batch, for the edges that occur.

    Raises:
        UserError: `memory.worst_batch` with the seconds that fit, or `memory.micro_batch_of_one`.
    """
    for edge in _costliest(edge_seconds, limits):
        clips, seconds = limits[edge], edge_seconds[edge]
        error = out_of_memory_of(partial(attempt, edge, clips))
        if error is not None:
            fit = _fewer_that_fit(attempt, edge, clips, seconds, error)
            raise UserError(
                f"memory.worst_batch: {clips} clips of {seconds:g} s ({clips * seconds:g} s with padding) do not fit "
                f"into the device's memory, {fit} do ({first_line(error)}); lower train.micro_batch_seconds to "
                f"{fit * seconds:g} or less, or set it to null to have it searched: train.batch_size, and with it the "
                "experiment, stays the same"
            ) from error


def search_limits(
    attempt: Attempt, edge_seconds: Sequence[float], wanted: Mapping[int, int], device: torch.device
) -> dict[int, int]:
    """For each edge the most clips, up to those wanted, that fit into memory with a margin.

    What fits at an edge tells where to begin at the next shorter one; every limit rests on attempts of its own edge,
    because a shorter clip may have the longer text. Not for a CPU: Linux does not refuse memory that it lacks, it
    ends the process.

    Args:
        attempt: forward and backward of one micro-batch.
        edge_seconds: padded length of each edge.
        wanted: the most clips of each edge that a step can hold, for the edges that occur.
        device: whose memory is freed between the attempts.

    Raises:
        UserError: `memory.micro_batch_of_one`: one clip alone does not fit.
    """
    limits: dict[int, int] = {}
    padded_seconds = 0.0  # that fit at the edge before
    for edge in tqdm(sorted(wanted, reverse=True), desc="search micro-batches", unit="edge", disable=None):
        length = edge_seconds[edge]
        fits = partial(_fits, attempt, edge, length, device)
        most = _most_that_fit(fits, int(padded_seconds / length), _with_margin(wanted[edge]))
        limits[edge] = min(wanted[edge], max(1, most * KEPT_TENTHS // 10))
        padded_seconds = most * length
    return dict(sorted(limits.items()))


def _trained(optimizer: torch.optim.Optimizer) -> list[torch.nn.Parameter]:
    return [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]


def _costliest(edge_seconds: Sequence[float], limits: Mapping[int, int]) -> list[int]:
    """The edges worth a rehearsal: the worst of each of the three things that memory is spent on."""
    by_use = (
        lambda edge: (limits[edge] * edge_seconds[edge], edge),  # activations grow with the padded seconds,
        lambda edge: edge,  # attention without a fused kernel with the square of the length,
        lambda edge: (limits[edge], edge),  # and the logits, vocabulary-wide, with the number of texts
    )
    chosen = {max(limits, key=use) for use in by_use}
    return sorted(chosen, key=by_use[0], reverse=True)


def _fewer_that_fit(attempt: Attempt, edge: int, clips: int, edge_seconds: float, error: BaseException) -> int:
    """Halves the clips until they fit, so that the message can say what does."""
    failed: BaseException | None = error
    while failed is not None:
        clips = halved(clips, edge_seconds, failed)
        failed = out_of_memory_of(partial(attempt, edge, clips))
    return clips


def _fits(attempt: Attempt, edge: int, edge_seconds: float, device: torch.device, clips: int) -> bool:
    error = out_of_memory_of(partial(attempt, edge, clips))
    free_memory(device)
    if error is not None and clips == 1:
        raise one_clip_is_too_much(edge_seconds, error) from error
    return error is None


def _most_that_fit(fits: Callable[[int], bool], guess: int, most: int) -> int:
    """The most clips that fit, from 1 to `most`: doubled from a guess until they do not, then bisected."""
    low, high = 0, most + 1  # `low` clips fit, `high` do not or are too many
    clips = min(max(guess, 1), most)
    while high - low > 1:
        if fits(clips):
            low = clips
        else:
            high = clips
        clips = min(2 * low, most) if high > most else (low + high) // 2
    return low


def _with_margin(clips: int) -> int:
    """How many clips must fit for `clips` to be used; a single one needs to fit, no more."""
    return clips if clips == 1 else -(-clips * 10 // KEPT_TENTHS)
