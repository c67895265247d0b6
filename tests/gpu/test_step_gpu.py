"""Contract: a training step on a real CUDA device waits for it nowhere, masks nothing and can be compiled."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from asr.features import LogMel
from asr.models.tokenizer import end_id
from asr.training.batches import MicroBatch
from asr.training.compiled import Compiled
from asr.training.data import TrainingSet
from asr.training.loading import load
from asr.training.objective import Labels, Objective
from tests.models import tiny_corpus, tiny_model

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
DEVICE = torch.device("cuda", 0)


@pytest.fixture(scope="module")
def setting() -> tuple[Objective, TrainingSet]:
    torch.manual_seed(0)
    model = tiny_model(d_model=128, encoder_layers=2, decoder_layers=2, feed_forward=512, dropout=0.0)
    utterances, clips = tiny_corpus()
    data = TrainingSet.build(utterances, clips, model.tokenizer, model.edges, "az")
    objective = Objective(model.network, end_id(model.tokenizer), label_smoothing=0.1, ctc_weight=0.0)
    return objective.to(DEVICE).train(), data


@pytest.fixture(scope="module")
def inputs(setting: tuple[Objective, TrainingSet]) -> tuple[torch.Tensor, Labels]:
    """Page-locked, as a run has them."""
    data = setting[1]
    clips = tuple(i for i, edge in enumerate(data.edge_indices()) if edge == 2)
    loaded = load(data, MicroBatch(2, clips)).pin_memory()
    return loaded.wave, loaded.labels


def step(objective: Objective, log_mel: LogMel, wave: torch.Tensor, labels: Labels) -> torch.Tensor:
    moved = labels.to(DEVICE)
    mel = log_mel(wave.to(DEVICE, non_blocking=True))
    with torch.autocast("cuda", torch.bfloat16):
        loss, _ = objective(mel, moved)
    loss.backward()
    return loss.detach()


@contextmanager
def waiting_raises() -> Iterator[None]:
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_a_step_does_not_wait_for_the_device(
    setting: tuple[Objective, TrainingSet], inputs: tuple[torch.Tensor, Labels]
) -> None:
    log_mel = LogMel(80).to(DEVICE)
    first = step(setting[0], log_mel, *inputs)  # makes plans and workspaces
    with waiting_raises():
        loss = step(setting[0], log_mel, *inputs)
    assert loss.item() == pytest.approx(first.item(), rel=1e-2)


def test_waiting_would_be_noticed() -> None:
    value = torch.ones((), device=DEVICE)
    with waiting_raises(), pytest.raises(RuntimeError, match="synchroniz"):
        value.item()


def test_flash_kernels_alone_can_serve_a_step(
    setting: tuple[Objective, TrainingSet], inputs: tuple[torch.Tensor, Labels]
) -> None:
    """They refuse any mask, and raise where nothing else is allowed."""
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        assert torch.isfinite(step(setting[0], LogMel(80).to(DEVICE), *inputs))


def test_compiled_steps_have_the_loss_and_the_gradient_of_plain_ones(
    setting: tuple[Objective, TrainingSet], inputs: tuple[torch.Tensor, Labels]
) -> None:
    objective, data = setting
    mel = LogMel(80).to(DEVICE)(inputs[0].to(DEVICE))
    labels = inputs[1].to(DEVICE)
    clips = [clip for clip, edge in enumerate(data.edge_indices()) if edge == 2]
    compiled, found = Compiled.of(objective, data, {2: clips}), []
    torch.set_float32_matmul_precision("highest")
    for losses in (objective(mel, labels), compiled(mel, labels, 2)):
        objective.zero_grad()
        losses[0].backward()
        gradient = torch.cat([p.grad.flatten() for p in objective.parameters() if p.grad is not None])
        found.append((losses[0].item(), gradient))
    (plain, wanted), (ours, own) = found
    assert ours == pytest.approx(plain, rel=1e-4)
    assert (own - wanted).norm() <= 1e-3 * wanted.norm()
