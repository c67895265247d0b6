"""Linear layers on a CPU, computed by oneDNN where that is faster than what PyTorch would take.

PyTorch multiplies fp32 matrices with MKL, which uses AVX-512 on Intel's processors only: on AMD's it stays at half of
their speed. oneDNN, which PyTorch carries as well and uses for convolutions, does not ask who made the processor.
On two cores of an AMD EPYC the products of a Whisper run at 350 to 470 instead of 200 GFLOP/s (EXPERIMENTS.md).

Everything else (GPUs, other number formats, autocast, compiled graphs, CPUs without AVX-512) takes PyTorch's own way.
"""

from functools import cache
from typing import Any

import torch
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


class Linear(torch.nn.Linear):
    """As `torch.nn.Linear`, in names and in numbers to rounding."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Shape = (..., inputs) to shape = (..., outputs)."""
        return linear(input, self.weight, self.bias)


def with_fast_linears(network: torch.nn.Module) -> None:
    """Exchanges the class of every linear layer; parameters and their names stay."""
    for module in network.modules():
        if type(module) is torch.nn.Linear:
            module.__class__ = Linear


def linear(inputs: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """As `F.linear`: shape = (..., inputs) to shape = (..., outputs)."""
    if not _is_for_onednn(inputs, weight):
        return F.linear(inputs, weight, bias)
    if torch.is_grad_enabled() and (inputs.requires_grad or weight.requires_grad):
        product: torch.Tensor = _Product.apply(inputs, weight, bias)  # type: ignore[no-untyped-call]  # torch does not type it
        return product
    return _product(inputs, weight, bias)


@cache
def onednn_is_faster() -> bool:
    """Whether this machine and this build of PyTorch have what it takes."""
    carried = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]  # torch does not type it
    built = carried and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    return built and torch.backends.cpu.get_cpu_capability() == "AVX512"


def _is_for_onednn(inputs: torch.Tensor, weight: torch.Tensor) -> bool:
    if torch.compiler.is_compiling():
        return False
    return (
        inputs.device.type == "cpu"
        and inputs.dtype == weight.dtype == torch.float32
        and inputs.numel() > 0
        and onednn_is_faster()
        and not torch.is_autocast_enabled("cpu")
    )


def _product(inputs: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    # An operator of PyTorch's own compiler, the only way to oneDNN's product from outside; `none` fuses nothing.
    product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(inputs, weight, bias, "none", [], "")
    return product


class _Product(torch.autograd.Function):
    """The product with its gradients, which are products too."""

    @staticmethod
    def forward(ctx: Any, inputs: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        ctx.save_for_backward(inputs, weight)
        ctx.has_bias = bias is not None
        return _product(inputs, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        inputs, weight = ctx.saved_tensors
        of_inputs, of_weight, of_bias = ctx.needs_input_grad
        rows, columns = gradient.flatten(0, -2), inputs.flatten(0, -2)  # (N, outputs), (N, inputs)
        return (
            _product(rows, weight.t(), None).view_as(inputs) if of_inputs else None,
            _product(rows.t(), columns.t(), None) if of_weight else None,
            rows.sum(0) if ctx.has_bias and of_bias else None,
        )
