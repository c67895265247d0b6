"""Contract: linear layers give PyTorch's own numbers and gradients to rounding, by whatever kernel."""

import pytest
import torch
from torch.nn import functional as F

from asr.models import linear as module
from asr.models.linear import Linear, linear, onednn_is_faster, with_fast_linears
from tests.models import tiny_model

has_onednn = pytest.mark.skipif(not onednn_is_faster(), reason="no AVX-512, or a PyTorch without oneDNN")


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Shapes that went to oneDNN."""
    shapes: list[tuple[int, ...]] = []
    product = module._product

    def spy(inputs: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        shapes.append(tuple(inputs.shape))
        return product(inputs, weight, bias)

    monkeypatch.setattr(module, "_product", spy)
    return shapes


def tensors(*shape: int, outputs: int = 24, seed: int = 1) -> list[torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    sizes = (shape, (outputs, shape[-1]), (outputs,))
    return [torch.randn(size, generator=random).requires_grad_() for size in sizes]


@pytest.mark.parametrize("shape", [(1, 16), (7, 16), (3, 5, 16), (2, 3, 4, 16), (1, 1, 16), (64, 300, 16)])
@pytest.mark.parametrize("bias", [True, False])
def test_values_and_all_gradients_are_those_of_torch(shape: tuple[int, ...], bias: bool) -> None:
    found = []
    for product in (linear, F.linear):
        inputs, weight, offset = tensors(*shape)
        output = product(inputs, weight, offset if bias else None)
        (output * torch.linspace(-1, 1, output.numel()).view_as(output)).sum().backward()
        gradients = [inputs.grad, weight.grad, *([offset.grad] if bias else [])]
        found.append([output.detach(), *gradients])
    for ours, wanted in zip(*found, strict=True):
        assert torch.allclose(ours, wanted, rtol=1e-4, atol=1e-5 * float(wanted.abs().max()))


@has_onednn
def test_layouts_that_are_not_contiguous_are_read_as_they_are(used: list[tuple[int, ...]]) -> None:
    inputs, weight, bias = (part.detach() for part in tensors(16, 40))
    turned = inputs.t().contiguous().t()
    assert torch.allclose(linear(turned, weight, bias), F.linear(inputs, weight, bias), atol=1e-5)
    expanded = inputs[:1].expand(9, -1)
    assert torch.allclose(linear(expanded, weight, bias), F.linear(expanded, weight, bias), atol=1e-5)
    assert len(used) == 2


@has_onednn
def test_gradients_that_nobody_wants_are_not_computed(used: list[tuple[int, ...]]) -> None:
    inputs, weight, bias = tensors(6, 16)
    linear(inputs, weight.detach(), bias.detach()).sum().backward()
    assert len(used) == 2, "the product and the gradient of the inputs"
    assert inputs.grad is not None


@pytest.mark.parametrize(
    ("inputs", "weight"),
    [
        (torch.ones(2, 8, dtype=torch.float64), torch.ones(3, 8, dtype=torch.float64)),
        (torch.ones(2, 8, dtype=torch.bfloat16), torch.ones(3, 8, dtype=torch.bfloat16)),
        (torch.ones(2, 8, device="meta"), torch.ones(3, 8, device="meta")),
        (torch.ones(0, 8), torch.ones(3, 8)),
    ],
    ids=["float64", "bfloat16", "meta", "empty"],
)
def test_everything_else_takes_torchs_own_way(
    inputs: torch.Tensor, weight: torch.Tensor, used: list[tuple[int, ...]]
) -> None:
    found = linear(inputs, weight)
    assert (found.shape, found.dtype) == ((len(inputs), 3), inputs.dtype)
    assert used == []


def test_under_autocast_the_number_format_is_autocasts(used: list[tuple[int, ...]]) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert linear(torch.ones(2, 8), torch.ones(3, 8)).dtype == torch.bfloat16
    assert used == []


def test_every_linear_layer_of_a_model_is_exchanged_and_no_name_changes() -> None:
    network = tiny_model().network
    assert not [name for name, part in network.named_modules() if type(part) is torch.nn.Linear]
    assert sum(isinstance(part, Linear) for part in network.modules()) == 6 + 10 + 1
    plain = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.GELU())
    names = list(plain.state_dict())
    with_fast_linears(plain)
    assert list(plain.state_dict()) == names


@has_onednn
def test_equal_inputs_give_equal_bits() -> None:
    inputs, weight, bias = (part.detach() for part in tensors(300, 144, outputs=288))
    first = linear(inputs, weight, bias)
    assert all(torch.equal(linear(inputs, weight, bias), first) for _ in range(5))
