"""Contract: a saver of memory saves memory and changes no gradient that is still wanted."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks
from transformers import WhisperForConditionalGeneration

from asr.models.tokenizer import end_id
from asr.training.objective import IGNORED, Labels, Objective
from asr.training.savers import checkpoint_gradients, freeze_encoder
from tests.models import tiny_model

ENCODER_LAYERS, DECODER_LAYERS = 3, 2


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for each other on a busy machine make these small networks fifty times slower."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def make(dropout: float = 0.1, ctc_weight: float = 1.0) -> Objective:
    torch.manual_seed(0)
    model = tiny_model(encoder_layers=ENCODER_LAYERS, decoder_layers=DECODER_LAYERS, dropout=dropout)
    objective = Objective(model.network, end_id(model.tokenizer), 0.1, ctc_weight)
    return objective.train()


def batch(clips: int = 2, seconds: float = 2.0, seed: int = 7) -> tuple[torch.Tensor, Labels]:
    """Random log-mel and labels of 6 and fewer tokens."""
    draw = torch.Generator().manual_seed(seed)
    decoder_input = torch.randint(0, 256, (clips, 10), generator=draw)
    targets = torch.randint(0, 256, (clips, 7), generator=draw)
    targets[-1, 5:] = IGNORED
    lengths = torch.tensor([6] * (clips - 1) + [4])
    return torch.randn(clips, 80, round(seconds * 100), generator=draw), Labels(decoder_input, targets, lengths)


def backward(objective: Objective, precision: torch.dtype = torch.float32, micro_batches: int = 1) -> float:
    """Adds up the gradients as a step does; returns the loss."""
    total = 0.0
    for number in range(micro_batches):
        torch.manual_seed(number)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == torch.bfloat16):
            cross_entropy, ctc = objective(*batch(seed=number))
        loss = cross_entropy + ctc
        loss.backward()
        total += loss.item()
    return total


def gradients(objective: Objective) -> dict[str, torch.Tensor]:
    return {name: p.grad.clone() for name, p in objective.named_parameters() if p.grad is not None}


@dataclass
class Kept:
    """Storages that autograd keeps for the backward pass, by address."""

    sizes: dict[int, int] = field(default_factory=dict)

    def pack(self, tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        self.sizes[storage.data_ptr()] = storage.nbytes()
        return tensor


def kept_bytes(objective: Objective, seconds: float = 3.0) -> int:
    """Bytes that the backward pass of one micro-batch waits for, weights apart."""
    kept = Kept()
    with saved_tensors_hooks(kept.pack, lambda tensor: tensor):
        losses = objective(*batch(4, seconds))
    weights = {p.untyped_storage().data_ptr() for p in objective.parameters()}
    assert losses[0].isfinite()
    return sum(size for address, size in kept.sizes.items() if address not in weights)


def count_forwards(network: WhisperForConditionalGeneration) -> Counter[str]:
    """How often each layer computes, by its name; hooks of a layer itself stay outside of a checkpoint."""
    calls: Counter[str] = Counter()
    for name, module in network.named_modules():
        if name.endswith(".fc1"):
            module.register_forward_hook(lambda *_, name=name: calls.update([name]))
    return calls


@pytest.mark.parametrize(("checkpointed", "times"), [(False, 1), (True, 2)])
def test_every_layer_of_encoder_and_decoder_computes_twice(checkpointed: bool, times: int) -> None:
    objective = make()
    if checkpointed:
        checkpoint_gradients(objective.model)
    calls = count_forwards(objective.model)
    backward(objective)
    assert len(calls) == ENCODER_LAYERS + DECODER_LAYERS
    assert set(calls.values()) == {times}


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("micro_batches", [1, 2])
def test_checkpointing_changes_no_bit_of_the_gradient(precision: torch.dtype, micro_batches: int) -> None:
    """With dropout, which must be drawn the same when a layer computes again."""
    plain, checkpointed = make(dropout=0.1), make(dropout=0.1)
    checkpoint_gradients(checkpointed.model)
    assert backward(plain, precision, micro_batches) == backward(checkpointed, precision, micro_batches)
    expected, found = gradients(plain), gradients(checkpointed)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_the_comparison_of_gradients_sees_another_dropout_mask() -> None:
    plain, other = make(dropout=0.1), make(dropout=0.1)
    backward(plain)
    torch.manual_seed(99)
    cross_entropy, ctc = other(*batch(seed=0))
    (cross_entropy + ctc).backward()
    expected, found = gradients(plain), gradients(other)
    assert not all(torch.equal(expected[name], found[name]) for name in expected)


def test_checkpointing_keeps_a_fraction_of_the_activations() -> None:
    plain, checkpointed = make(), make()
    checkpoint_gradients(checkpointed.model)
    assert kept_bytes(checkpointed) < kept_bytes(plain) / 2


def test_decoding_and_saving_know_nothing_of_checkpoints() -> None:
    plain, checkpointed = make().eval(), make().eval()
    checkpoint_gradients(checkpointed.model)
    calls = count_forwards(checkpointed.model)
    log_mel, labels = batch()
    assert torch.equal(plain(log_mel, labels)[0], checkpointed(log_mel, labels)[0])
    assert set(calls.values()) == {1}
    assert plain.model.state_dict().keys() == checkpointed.model.state_dict().keys()


def test_no_warning_comes_with_checkpointing(recwarn: pytest.WarningsRecorder) -> None:
    objective = make()
    checkpoint_gradients(objective.model)
    backward(objective)
    assert [str(warning.message) for warning in recwarn] == []


def test_a_frozen_encoder_gets_no_gradient_and_the_decoder_the_same_one() -> None:
    free, frozen = make(dropout=0.0), make(dropout=0.0)
    encoder = frozen.model.model.encoder
    assert freeze_encoder(frozen.model) == sum(p.numel() for p in encoder.parameters())
    backward(free)
    backward(frozen)
    expected, found = gradients(free), gradients(frozen)
    assert not any(name.startswith("model.model.encoder.") for name in found)
    assert all(p.grad is None for p in encoder.parameters())
    assert {name for name in expected if not name.startswith("model.model.encoder.")} == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in found)


def test_nothing_of_a_frozen_encoder_is_kept_for_the_backward_pass() -> None:
    """Its activations grow with its layers if autograd keeps them, and do not if it keeps only the output."""
    frozen = make(ctc_weight=0.0)
    freeze_encoder(frozen.model)
    encoded = frozen.model.model.encoder(batch()[0]).last_hidden_state
    assert not encoded.requires_grad
    kept = Kept()
    with saved_tensors_hooks(kept.pack, lambda tensor: tensor):
        frozen.model.model.encoder(batch()[0])
    assert kept.sizes == {}
    assert kept_bytes(frozen) < kept_bytes(make(ctc_weight=0.0)) / 2


def test_both_savers_work_together() -> None:
    plain, saving = make(), make()
    for objective in (plain, saving):
        freeze_encoder(objective.model)
    checkpoint_gradients(saving.model)
    calls = count_forwards(saving.model)
    backward(plain)
    backward(saving)
    expected, found = gradients(plain), gradients(saving)
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert {name.split(".")[1]: times for name, times in calls.items()} == {"encoder": 1, "decoder": 2}
