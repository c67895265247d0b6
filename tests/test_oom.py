"""Contract: where memory runs out, the same batch goes on in smaller pieces: every clip once, the same gradient."""

import math
import weakref
from collections.abc import Iterable, Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr.errors import UserError
from asr.features import LogMel
from asr.models.tokenizer import end_id
from asr.training.batches import MicroBatch
from asr.training.data import TrainingSet
from asr.training.guards.oom import (
    first_line,
    free_memory,
    halved,
    is_out_of_memory,
    one_clip_is_too_much,
    out_of_memory_of,
    split,
)
from asr.training.loading import Loaded
from asr.training.objective import Labels, Objective
from tests.models import tiny_corpus, tiny_model

CPU = torch.device("cpu")
CTC = 0.3
CUDA_TEXT = "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has 8 GiB.\nSee the documentation."
MPS_TEXT = "MPS backend out of memory (MPS allocated: 8.97 GiB, max allowed: 9.07 GiB). Tried to allocate 1.00 GiB"


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError(CUDA_TEXT),
        torch.AcceleratorError("CUDA error: out of memory\nCompile with TORCH_USE_CUDA_DSA"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("cuFFT error: CUFFT_ALLOC_FAILED"),
        RuntimeError(MPS_TEXT),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 400 bytes."),
        MemoryError(),
    ],
    ids=first_line,
)
def test_what_a_device_without_memory_says_is_recognised(error: BaseException) -> None:
    assert is_out_of_memory(error)


def test_the_cpu_allocators_own_error_is_recognised() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**15)
    assert is_out_of_memory(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("The size of tensor a (3) must match the size of tensor b (4) at non-singleton dimension 0"),
        RuntimeError("mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)"),
        RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED"),
        RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR"),
        RuntimeError("CUDA error: device-side assert triggered"),
        RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"),
        torch.AcceleratorError("CUDA error: an illegal memory access was encountered"),
        UserError("clip x: CUDA error: out of memory"),
        ValueError("DefaultCPUAllocator: can't allocate memory"),
        OSError(28, "No space left on device"),
        KeyboardInterrupt(),
    ],
    ids=repr,
)
def test_no_other_error_counts_as_too_little_memory(error: BaseException) -> None:
    assert not is_out_of_memory(error)


def loaded_of(clips: int, labels: int = 3) -> Loaded:
    """A micro-batch whose every number says where it belongs."""
    grid = torch.arange(clips * labels).reshape(clips, labels)
    return Loaded(1, tuple(range(100, 100 + clips)), grid.float(), Labels(grid, grid + 1000, torch.arange(clips)))


@given(st.integers(1, 60), st.integers(1, 70))
def test_every_clip_is_in_one_piece_in_order_whatever_the_cut(clips: int, at_once: int) -> None:
    whole = loaded_of(clips)
    pieces = split(whole, at_once)
    assert len(pieces) == math.ceil(clips / at_once)
    assert all(1 <= len(piece.clips) <= at_once and piece.edge == 1 for piece in pieces)
    assert sum((piece.clips for piece in pieces), ()) == whole.clips
    assert torch.equal(torch.cat([piece.wave for piece in pieces]), whole.wave)
    for name, tensor in vars(whole.labels).items():
        assert torch.equal(torch.cat([getattr(piece.labels, name) for piece in pieces]), tensor)


@given(st.integers(2, 10_000))
def test_halving_shrinks_and_ends_at_one_clip(clips: int) -> None:
    tries = 0
    while clips > 1:
        fewer = halved(clips, 2.0, MemoryError())
        assert 1 <= fewer < clips <= 2 * fewer
        clips, tries = fewer, tries + 1
    assert tries <= 14


@pytest.mark.parametrize(
    ("error", "said"), [(torch.OutOfMemoryError(CUDA_TEXT), "GPU 0 has 8 GiB."), (MemoryError(), "MemoryError")]
)
def test_one_clip_that_does_not_fit_ends_the_run_with_the_remedies_in_their_order(
    error: BaseException, said: str
) -> None:
    with pytest.raises(UserError, match=r"^memory\.micro_batch_of_one: one clip of 20 s ") as caught:
        halved(1, 20.0, error)
    message = str(caught.value)
    assert message == str(one_clip_is_too_much(20.0, error))
    assert "\n" not in message
    knobs = [said, "gradient_checkpointing", "freeze_encoder", "max_duration", "features.longest", "model.name", "bf16"]
    places = [message.index(knob) for knob in knobs]
    assert places == sorted(places)


def raise_with_a_tensor(seen: list[weakref.ref[torch.Tensor]], error: BaseException) -> None:
    tensor = torch.zeros(10)
    seen.append(weakref.ref(tensor))
    raise error


def test_an_error_that_is_returned_holds_no_tensor() -> None:
    seen: list[weakref.ref[torch.Tensor]] = []
    error = out_of_memory_of(lambda: raise_with_a_tensor(seen, torch.OutOfMemoryError("CUDA out of memory.")))
    assert isinstance(error, torch.OutOfMemoryError)
    assert seen[0]() is None


def test_memory_is_freed_while_its_error_is_handled() -> None:
    seen: list[weakref.ref[torch.Tensor]] = []
    try:
        raise_with_a_tensor(seen, MemoryError())
    except MemoryError as error:
        free_memory(CPU)
        assert seen[0]() is not None  # the error's frames hold it
        free_memory(CPU, error)
        assert seen[0]() is None


def test_a_call_that_fits_has_no_error_and_other_errors_pass() -> None:
    assert out_of_memory_of(lambda: None) is None
    with pytest.raises(RuntimeError, match="shape"):
        out_of_memory_of(lambda: raise_with_a_tensor([], RuntimeError("shape")))
    with pytest.raises(UserError, match="mine"):
        out_of_memory_of(lambda: raise_with_a_tensor([], UserError("mine")))


@pytest.fixture(scope="module")
def objective() -> Iterator[Objective]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # more only slow so small a network down, much so where they are busy
    torch.manual_seed(0)
    model = tiny_model(dropout=0.0)
    yield Objective(model.network, end_id(model.tokenizer), label_smoothing=0.1, ctc_weight=CTC).double().train()
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def batch() -> Loaded:
    model = tiny_model()
    utterances, clips = tiny_corpus(20)
    data = TrainingSet.build(utterances, clips, model.tokenizer, model.edges, "az")
    micro = MicroBatch(2, tuple(clip for clip, edge in enumerate(data.edge_indices()) if edge == 2))
    assert len(micro.clips) >= 6
    return Loaded(2, micro.clips, data.wave(micro), data.labels(micro))


def add_gradient(objective: Objective, pieces: Iterable[Loaded]) -> None:
    for piece in pieces:
        cross_entropy, ctc = objective(LogMel(80)(piece.wave).double(), piece.labels)
        (cross_entropy + CTC * ctc).backward()


def gradient(objective: Objective) -> torch.Tensor:
    return torch.cat([p.grad.flatten() for p in objective.parameters() if p.grad is not None])


def gradient_of(objective: Objective, pieces: Iterable[Loaded]) -> torch.Tensor:
    objective.zero_grad()
    add_gradient(objective, pieces)
    return gradient(objective)


def difference(one: torch.Tensor, other: torch.Tensor) -> float:
    """Relative, of the norms."""
    return float((one - other).norm() / other.norm())


@pytest.mark.parametrize("at_once", [1, 2, 3, 4])
def test_the_gradient_of_the_pieces_is_that_of_the_whole(objective: Objective, batch: Loaded, at_once: int) -> None:
    whole = gradient_of(objective, [batch])
    assert difference(gradient_of(objective, split(batch, at_once)), whole) < 1e-6


def test_a_piece_that_is_lost_or_done_twice_shows_in_the_gradient(objective: Objective, batch: Loaded) -> None:
    whole, pieces = gradient_of(objective, [batch]), split(batch, 2)
    assert difference(gradient_of(objective, pieces[:-1]), whole) > 1e-2
    assert difference(gradient_of(objective, [*pieces, pieces[0]]), whole) > 1e-2


def test_what_a_failed_backward_leaves_is_cleared_before_the_batch_is_done_again(
    objective: Objective, batch: Loaded
) -> None:
    whole = gradient_of(objective, split(batch, 3))

    def no_memory(_: torch.Tensor) -> None:
        hook.remove()
        raise torch.OutOfMemoryError("CUDA out of memory.")

    hook = objective.model.model.encoder.conv2.weight.register_hook(no_memory)
    objective.zero_grad()
    error = out_of_memory_of(lambda: add_gradient(objective, [batch]))
    assert error is not None
    assert gradient(objective).norm() > 0  # the decoder's part was already there
    assert objective.model.model.encoder.conv1.weight.grad is None

    add_gradient(objective, split(batch, 3))
    assert difference(gradient(objective), whole) > 1e-2  # not cleared: some parameters have counted twice
    assert torch.equal(gradient_of(objective, split(batch, 3)), whole)
