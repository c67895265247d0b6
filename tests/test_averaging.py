"""Contract: an average of weights is their mean in float64, rounded once, and of one network's weights only."""

import weakref
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.errors import UserError
from asr.training.averaging import averaged

Weights = Mapping[str, torch.Tensor]
floats = st.floats(-(2.0**100), 2.0**100, width=32)


def weights(seed: int, dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    """Two tensors as a network has them, and a counter."""
    generator = torch.Generator().manual_seed(seed)
    return {
        "matrix": torch.randn(7, 5, generator=generator).to(dtype),
        "bias": (0.01 * torch.randn(5, generator=generator)).to(dtype),
        "positions": torch.arange(6),
    }


def same_bits(one: Weights, other: Weights) -> bool:
    """Equal also in the sign of zeros, in shape, in type and in names."""
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype
        and one[name].shape == other[name].shape
        and one[name].flatten().view(torch.uint8).equal(other[name].flatten().view(torch.uint8))
        for name in one
    )


def of_numpy(inputs: list[Weights], name: str) -> np.ndarray:
    stacked = np.stack([one[name].numpy().astype(np.float64) for one in inputs])
    return (stacked.sum(axis=0) / len(inputs)).astype(np.float32)


def in_float32(inputs: list[Weights], name: str) -> np.ndarray:
    """Planted: the mean without the wider sum."""
    total = inputs[0][name].numpy().copy()
    for one in inputs[1:]:
        total += one[name].numpy()
    return total / np.float32(len(inputs))


@pytest.mark.parametrize("count", [2, 3, 5, 50])
@pytest.mark.parametrize("name", ["matrix", "bias"])
def test_the_mean_has_the_bits_of_numpys_in_float64(count: int, name: str) -> None:
    inputs = [weights(seed) for seed in range(count)]
    assert np.array_equal(averaged(inputs)[name].numpy(), of_numpy(inputs, name))


def test_a_mean_taken_in_float32_is_found() -> None:
    inputs = [weights(seed) for seed in range(5)]
    assert not np.array_equal(in_float32(inputs, "matrix"), of_numpy(inputs, "matrix"))


@settings(deadline=None)
@given(st.lists(floats, min_size=1, max_size=6))
def test_the_mean_of_any_numbers_is_the_nearest_float32_of_the_exact_one(values: list[float]) -> None:
    """Within the half unit of the last rounding; sums of numbers of very different size may add a little."""
    found = averaged([{"x": torch.tensor([value])} for value in values])["x"]
    exact = sum(map(Fraction, values)) / len(values)
    unit = Fraction(float(np.spacing(np.abs(found.numpy()[0]))))
    slack = Fraction(max(map(abs, values))) * len(values) / 2**52
    assert abs(Fraction(found.item()) - exact) <= unit / 2 + slack


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_the_average_of_one_is_that_one_to_the_bit(dtype: torch.dtype) -> None:
    one = {**weights(1, dtype), "zeros": torch.tensor([0.0, -0.0], dtype=dtype)}
    assert same_bits(averaged([one]), one)
    assert same_bits(averaged([one] * 4), one)


def test_the_order_of_float32_weights_does_not_matter_to_the_bit() -> None:
    inputs = [weights(seed) for seed in range(4)]
    in_order = averaged(inputs)
    assert all(same_bits(averaged(order), in_order) for order in permutations(inputs))


def test_the_order_of_float64_weights_matters_in_the_last_bits_only() -> None:
    inputs = [{"x": weights(seed, torch.float64)["matrix"] / (seed + 3)} for seed in range(4)]
    in_order = averaged(inputs)["x"]
    gap = max(float((averaged(order)["x"] - in_order).abs().max()) for order in permutations(inputs))
    assert 0 < gap <= 4 * 2.0**-53 * max(float(one["x"].abs().max()) for one in inputs)


def test_inputs_stay_as_they_are_and_share_nothing_with_the_output() -> None:
    inputs = [weights(seed, torch.float64) for seed in range(3)]
    copies = [{name: tensor.clone() for name, tensor in one.items()} for one in inputs]
    for tensor in averaged(inputs).values():
        tensor.zero_()
    assert all(same_bits(one, copy) for one, copy in zip(inputs, copies, strict=True))


def test_weights_that_still_learn_give_an_average_that_does_not() -> None:
    live = {"x": torch.nn.Parameter(torch.ones(3))}
    assert not averaged([live, live])["x"].requires_grad


class Tied(torch.nn.Module):
    """Embedding and output share one matrix, as in Whisper."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.embedding = torch.nn.Embedding(6, 4)
        self.output = torch.nn.Linear(4, 6, bias=False)
        self.output.weight = self.embedding.weight


def test_tied_tensors_are_equal_but_apart_and_load_back_as_tied() -> None:
    average = averaged(Tied(seed).state_dict() for seed in (1, 2))
    assert torch.equal(average["embedding.weight"], average["output.weight"])
    assert average["embedding.weight"].data_ptr() != average["output.weight"].data_ptr()
    network = Tied(3)
    network.load_state_dict(average, strict=True)
    assert network.output.weight is network.embedding.weight
    assert torch.equal(network.output.weight, average["output.weight"])


def test_only_one_input_is_in_memory_at_a_time() -> None:
    alive: list[int] = []
    seen: list[weakref.ref[torch.Tensor]] = []

    def loaded() -> Iterator[dict[str, torch.Tensor]]:
        for seed in range(4):
            alive.append(sum(reference() is not None for reference in seen))
            one = weights(seed)
            seen.append(weakref.ref(one["matrix"]))
            yield one
            del one

    averaged(loaded())
    assert alive == [0, 0, 0, 0]


def without(name: str) -> Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]:
    return lambda one: {key: tensor for key, tensor in one.items() if key != name}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("bias"), "weights 3 .*only these or only the first have bias;"),
        (lambda one: {**one, "extra": torch.ones(1)}, "weights 3 .*only the first have extra;"),
        (lambda one: {"other": one["bias"]}, "weights 3 .*only the first have bias and 3 more;"),
        (lambda one: {**one, "bias": torch.ones(6)}, r"weights 3 .*bias is \(6,\) torch.float32, in the first \(5,\)"),
        (lambda one: {**one, "bias": torch.ones(1)}, r"weights 3 .*bias is \(1,\)"),
        (lambda one: {**one, "bias": one["bias"].double()}, "weights 3 .*bias is .*float64, in the first .*float32"),
        (lambda one: {**one, "positions": torch.arange(6).flip(0)}, "weights 3 .*positions holds whole numbers"),
    ],
)
def test_weights_of_another_network_are_refused_by_name(
    change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        averaged([weights(1), weights(2), change(weights(3))])


def test_an_average_of_nothing_is_refused() -> None:
    with pytest.raises(AssertionError, match="nothing to average"):
        averaged([])
