"""Tensors on their way into a checkpoint and back: weights, the optimizer's state, random generators.

Everything comes back with the bits, the dtype and the shape that it had.
"""

import json
from collections.abc import Mapping
from typing import Any

import torch
from safetensors.torch import load, save

from asr.errors import UserError

STATELESS = "stateless"
"""Stands for the state of a parameter that has had no update yet: a tensor without elements."""
_ALIASES = "aliases"
_REMEDY = "the checkpoint is of another model; delete the run's folder to start anew"


def to_bytes(tensors: Mapping[str, torch.Tensor]) -> bytes:
    """A safetensors file; names that are one tensor (Whisper's input and output embedding) are stored once.

    The other names go into the header as one entry: several would stand in another order in every process
    (safetensors issue #584).
    """
    stored: dict[str, torch.Tensor] = {}
    aliases: dict[str, str] = {}
    first: dict[tuple[object, ...], str] = {}
    taken: set[int] = set()
    for name, tensor in tensors.items():
        place = (tensor.device, tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride())
        if first.setdefault(place, name) != name:
            aliases[name] = first[place]
            continue
        dense = tensor.detach().cpu().contiguous()
        memory = dense.untyped_storage().data_ptr()
        stored[name] = dense.clone() if memory in taken else dense  # safetensors refuses views that overlap
        taken.add(memory)
    return save(stored, {_ALIASES: json.dumps(aliases, sort_keys=True)} if aliases else None)


def from_bytes(content: bytes) -> dict[str, torch.Tensor]:
    """What `to_bytes` was given, on the CPU; names of one tensor share it again."""
    tensors = load(content)
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])  # `load` drops the metadata
    aliases = json.loads(header.get("__metadata__", {}).get(_ALIASES, "{}"))
    return tensors | {name: tensors[first] for name, first in aliases.items()}


def optimizer_tensors(
    optimizer: torch.optim.Optimizer, names: Mapping[str, torch.nn.Parameter]
) -> dict[str, torch.Tensor]:
    """The optimizer's state as `exp_avg/encoder.conv1.weight`, by parameter name.

    Learning rates and other settings of its groups are not in it: they follow from the parameters and the step.

    Args:
        optimizer: or accelerate's wrapper around one.
        names: all parameters it has, by name; others may be among them.
    """
    found: dict[str, torch.Tensor] = {}
    state = _unwrapped(optimizer).state
    for name, parameter, _ in _placed(_unwrapped(optimizer), names):
        entries = state.get(parameter) or {STATELESS: torch.empty(0, dtype=torch.uint8)}
        for key, tensor in entries.items():
            assert isinstance(tensor, torch.Tensor), f"{key} of {name} is no tensor and would be lost"
            found[f"{key}/{name}"] = tensor.detach()
    return found


def restore_optimizer(
    optimizer: torch.optim.Optimizer, names: Mapping[str, torch.nn.Parameter], tensors: Mapping[str, torch.Tensor]
) -> None:
    """Gives an optimizer the state that `optimizer_tensors` took; each tensor goes to its parameter's device.

    Raises:
        UserError: a parameter has no state in `tensors`, one there is not the optimizer's, or shapes differ.
    """
    inner = _unwrapped(optimizer)
    by_parameter: dict[str, dict[str, torch.Tensor]] = {}
    for path, tensor in tensors.items():
        key, _, name = path.partition("/")
        by_parameter.setdefault(name, {})[key] = tensor
    placed = _placed(inner, names)
    _require_same(by_parameter, {name: parameter for name, parameter, _ in placed})
    # A clone, since a tensor of a file lies wherever the file's bytes lie, and rounding may follow alignment.
    state = {
        index: {key: tensor.clone() for key, tensor in by_parameter[name].items()}
        for name, _, index in placed
        if STATELESS not in by_parameter[name]
    }
    inner.load_state_dict({"state": state, "param_groups": inner.state_dict()["param_groups"]})


def rng_tensors(device: torch.device) -> dict[str, torch.Tensor]:
    """States of torch's random generators as bytes: the CPU's and, on CUDA, the device's.

    Training seeds them anew for every micro-batch; this is for what may draw between.
    """
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def restore_rng(tensors: Mapping[str, torch.Tensor], device: torch.device) -> None:
    """Puts the generators back to where `rng_tensors` found them.

    Raises:
        UserError: the states were taken on another kind of device.
    """
    wanted = {"cpu", "cuda"} if device.type == "cuda" else {"cpu"}
    if tensors.keys() != wanted:
        raise UserError(
            f"the checkpoint holds random states of {', '.join(sorted(tensors))}, this run needs "
            f"{', '.join(sorted(wanted))}; go on with the train.device it was made on, or delete the run's folder"
        )
    torch.set_rng_state(tensors["cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(tensors["cuda"], device)


def _unwrapped(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    inner: Any = getattr(optimizer, "optimizer", optimizer)
    assert isinstance(inner, torch.optim.Optimizer)
    return inner


def _placed(
    optimizer: torch.optim.Optimizer, names: Mapping[str, torch.nn.Parameter]
) -> list[tuple[str, torch.nn.Parameter, int]]:
    """Name, parameter and the number that `state_dict` gives it."""
    by_identity = {id(parameter): name for name, parameter in names.items()}
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    assert all(id(parameter) in by_identity for parameter in parameters), "a parameter without a name would be lost"
    return [(by_identity[id(parameter)], parameter, index) for index, parameter in enumerate(parameters)]


def _require_same(found: Mapping[str, Mapping[str, torch.Tensor]], wanted: Mapping[str, torch.nn.Parameter]) -> None:
    for name in sorted(found.keys() ^ wanted.keys()):
        where = "not in the checkpoint" if name in wanted else "in the checkpoint but not in the optimizer"
        raise UserError(f"optimizer state of {name}: {where}; {_REMEDY}")
    keys = {key for state in found.values() for key in state} - {STATELESS}
    for name, parameter in wanted.items():
        state = found[name]
        if state.keys() not in (keys, {STATELESS}):
            raise UserError(
                f"optimizer state of {name}: {', '.join(sorted(state))} in the checkpoint, other parameters have "
                f"{', '.join(sorted(keys))}; {_REMEDY}"
            )
        for key in state.keys() - {STATELESS, "step"}:
            then, now = _kind(state[key]), _kind(parameter)
            if then != now:
                raise UserError(f"optimizer state {key} of {name}: {then} in the checkpoint, {now} here; {_REMEDY}")


def _kind(tensor: torch.Tensor) -> str:
    return f"{tuple(tensor.shape)} {tensor.dtype}"
