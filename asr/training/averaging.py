"""The mean of several weights of one run, which often generalises better than any of them.

Averages of the last checkpoints: Vaswani et al. 2017, section 6.1. Why it works: Izmailov et al. 2018, "Averaging
Weights Leads to Wider Optima and Better Generalization". Whisper has no running statistics (such as those of batch
norm) that an average would have to measure anew.
"""

from collections.abc import Iterable, Mapping

import torch

from asr.errors import UserError

Weights = Mapping[str, torch.Tensor]


def averaged(weights: Iterable[Weights]) -> dict[str, torch.Tensor]:
    """The mean of each tensor, on the CPU, with the names, shapes and types of the input.

    The mean is taken in float64 and rounded to the tensor's type at the end, so the average of one is that one, bit
    for bit, and the order hardly matters: of float32 weights of like size no sum is rounded. (torch rounds to
    float16 and bfloat16 by way of float32.) Besides the sum only one input is in memory at a time if `weights` loads
    them one by one. Tensors that share memory in the input, such as tied embeddings, are equal but apart in the output.

    Args:
        weights: at least one, by name of the tensor; they are not changed.

    Raises:
        UserError: names, shapes or types differ, or a tensor that is not floating-point has different values.
    """
    sums: dict[str, torch.Tensor] = {}
    dtypes: dict[str, torch.dtype] = {}
    count = 0
    for one in weights:
        count += 1
        if count == 1:
            sums = {name: _wide_copy(tensor) for name, tensor in one.items()}
            dtypes = {name: tensor.dtype for name, tensor in one.items()}
        else:
            _require_alike(one, sums, dtypes, count)
            _add(one, sums)
        del one  # or it would stay in memory while the next is loaded
    assert count, "there is nothing to average"
    return {name: (total / count).to(dtypes[name]) if _is_mean(total) else total for name, total in sums.items()}


def _is_mean(tensor: torch.Tensor) -> bool:
    """Whether a tensor is averaged; counters and masks must agree instead."""
    return tensor.is_floating_point()


def _wide_copy(tensor: torch.Tensor) -> torch.Tensor:
    """In float64 if it is averaged; always on the CPU, since MPS has no float64."""
    here = tensor.detach().cpu()
    return here.to(torch.float64, copy=True) if _is_mean(here) else here.clone()


def _add(one: Weights, sums: dict[str, torch.Tensor]) -> None:
    for name, total in sums.items():
        if _is_mean(total):
            total.add_(one[name].detach().cpu())  # torch widens each value to float64 before it adds


def _require_alike(one: Weights, sums: Weights, dtypes: Mapping[str, torch.dtype], number: int) -> None:
    """Refuses weights that are not those of the same network as the first."""
    if one.keys() != sums.keys():
        odd = sorted(one.keys() ^ sums.keys())
        more = f" and {len(odd) - 1} more" if len(odd) > 1 else ""
        raise _refusal(number, f"only these or only the first have {odd[0]}{more}")
    for name, total in sums.items():
        here = (tuple(one[name].shape), one[name].dtype)
        first = (tuple(total.shape), dtypes[name])
        if here != first:
            raise _refusal(number, f"{name} is {here[0]} {here[1]}, in the first {first[0]} {first[1]}")
        if not _is_mean(total) and not torch.equal(one[name].cpu(), total):
            raise _refusal(number, f"{name} holds whole numbers ({total.dtype}) that differ from the first's")


def _refusal(number: int, why: str) -> UserError:
    return UserError(f"weights {number} of an average: {why}; average only evaluations of one run")
