"""The largest tensors that are alive: what to look at when memory is short."""

import gc
from collections.abc import Iterator

import torch


def largest_tensors(count: int) -> list[tuple[str, int]]:
    """Descriptions (`float32 (51865, 768) cuda:0`) and bytes, largest first; views of one storage count once.

    Finds what Python knows of, gradients included; what only a backward pass keeps is not seen. It walks all
    objects of the process, which takes a large part of a second: for emergencies.
    """
    found: dict[tuple[str, int], torch.Tensor] = {}
    for tensor in _tensors():
        key = (str(tensor.device), tensor.untyped_storage().data_ptr())
        if key not in found or tensor.numel() > found[key].numel():
            found[key] = tensor
    sizes = [(_described(tensor), tensor.untyped_storage().nbytes()) for tensor in found.values()]
    return sorted(sizes, key=lambda item: (-item[1], item[0]))[:count]


def _tensors() -> Iterator[torch.Tensor]:
    for thing in gc.get_objects():
        if not issubclass(type(thing), torch.Tensor):  # isinstance would ask proxies for a class, and wake them
            continue
        if thing.is_leaf and thing.grad is not None:
            yield from _stored(thing.grad)
        yield from _stored(thing)


def _stored(tensor: torch.Tensor) -> Iterator[torch.Tensor]:
    """The tensor if it has memory of its own kind: not sparse, and not only a shape."""
    if tensor.layout == torch.strided and tensor.device.type != "meta":
        yield tensor


def _described(tensor: torch.Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)} {tensor.device}"
