"""Contract: the guards against too little memory hold for a real device's error, not only for an injected one."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest
import torch

from asr.features import LogMel
from asr.models.tokenizer import end_id
from asr.training.data import TrainingSet
from asr.training.guards.oom import free_memory, halved, is_out_of_memory, out_of_memory_of, split
from asr.training.guards.rehearsal import as_in_mid_run, search_limits, worst_batch
from asr.training.loading import Loaded
from asr.training.objective import Labels, Objective
from tests.models import tiny_corpus, tiny_model

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
DEVICE = torch.device("cuda", 0)
SMALL = 512 * 2**20
"""Bytes: a clip of 3 s takes about 5 MB of them with the network below."""
WANTED = 512


@contextmanager
def small_device() -> Iterator[None]:
    """PyTorch may take only so much of the device, and says so with its real error."""
    free_memory(DEVICE)
    total = torch.cuda.get_device_properties(DEVICE).total_memory
    torch.cuda.set_per_process_memory_fraction(SMALL / total, DEVICE)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, DEVICE)
        free_memory(DEVICE)


@pytest.fixture(scope="module")
def setting() -> tuple[Objective, TrainingSet]:
    torch.manual_seed(0)
    model = tiny_model(d_model=128, encoder_layers=4, attention_heads=4, feed_forward=512, dropout=0.0)
    utterances, clips = tiny_corpus()
    data = TrainingSet.build(utterances, clips, model.tokenizer, model.edges, "az")
    objective = Objective(model.network, end_id(model.tokenizer), label_smoothing=0.1, ctc_weight=0.0)
    return objective.to(DEVICE).train(), data


def forward_backward(objective: Objective, loaded: Loaded) -> None:
    labels = Labels(*(part.to(DEVICE) for part in vars(loaded.labels).values()))
    dtype = next(objective.parameters()).dtype
    log_mel = LogMel(80).to(DEVICE)(loaded.wave.to(DEVICE)).to(dtype)
    objective(log_mel, labels)[0].backward()


def of(edge: int, data: TrainingSet) -> list[int]:
    return [clip for clip, own in enumerate(data.edge_indices()) if own == edge]


def test_the_search_finds_limits_that_run_on_a_device_that_is_too_small_for_the_batch(
    setting: tuple[Objective, TrainingSet],
) -> None:
    objective, data = setting
    optimizer = torch.optim.AdamW((p for p in objective.parameters() if p.requires_grad), lr=0.0, fused=True)

    def attempt(edge: int, clips: int) -> None:
        with as_in_mid_run(optimizer):
            forward_backward(objective, worst_batch(data, edge, clips, of(edge, data)))

    edges = sorted(set(data.edge_indices()))
    with small_device():
        limits = search_limits(attempt, data.edges.seconds, dict.fromkeys(edges, WANTED), DEVICE)
        assert 1 < limits[edges[-1]] < WANTED
        assert list(limits) == edges
        assert list(limits.values()) == sorted(limits.values(), reverse=True)
        free_memory(DEVICE)
        for edge, clips in limits.items():  # as a run does it: one after the other, gradients kept, then an update
            forward_backward(objective, worst_batch(data, edge, clips, of(edge, data)))
        optimizer.step()
        optimizer.zero_grad()
        error = out_of_memory_of(partial(attempt, edges[-1], 2 * limits[edges[-1]]))
        assert isinstance(error, torch.OutOfMemoryError)


def test_a_batch_that_does_not_fit_is_done_again_in_pieces_with_the_same_gradient(
    setting: tuple[Objective, TrainingSet],
) -> None:
    objective, data = setting
    objective.double()
    loaded = worst_batch(data, 2, 160, of(2, data))

    def gradient() -> torch.Tensor:
        return torch.cat([p.grad.flatten() for p in objective.parameters() if p.grad is not None])

    def run(at_once: int) -> None:
        objective.zero_grad()
        for piece in split(loaded, at_once):
            forward_backward(objective, piece)

    run(len(loaded.clips))
    whole = gradient()
    at_once, failures = len(loaded.clips), 0
    with small_device():
        while (error := out_of_memory_of(partial(run, at_once))) is not None:
            assert is_out_of_memory(error)
            objective.zero_grad()
            free_memory(DEVICE)
            at_once, failures = halved(at_once, data.edges.seconds[2], error), failures + 1
        assert failures >= 1
        assert float((gradient() - whole).norm() / whole.norm()) < 1e-6
    objective.zero_grad()
    objective.float()
