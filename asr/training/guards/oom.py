"""Memory that runs out: how it is recognised, and how the same batch goes on in smaller pieces.

No clip is skipped and no batch shrinks. Losses are sums over tokens, so pieces of a micro-batch add up to its
gradient, as in Composer's automatic microbatching; only rounding differs.
"""

import gc
import traceback
from collections.abc import Callable

import torch

from asr.errors import UserError
from asr.training.loading import Loaded
from asr.training.objective import Labels

TEXTS = (
    "CUDA error: out of memory",  # what is allocated past PyTorch's own allocator: pinned memory, library kernels
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUFFT_ALLOC_FAILED",
    "MPS backend out of memory",
    "DefaultCPUAllocator: can't allocate memory",
    "DefaultCPUAllocator: not enough memory",  # the same on Windows
)
"""Parts of the messages of RuntimeErrors that mean too little memory: they have no class of their own."""
REMEDIES = (
    "set train.gradient_checkpointing to true, or train.freeze_encoder to true, or lower validate.max_duration (and "
    "features.longest of a scratch model), or take a smaller model (model.name), or set train.precision to bf16"
)
"""In the order in which they cost least."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether fewer clips at once may cure it; any other error is none of these guards' business.

    `CUDNN_STATUS_NOT_SUPPORTED` does not count: it can stand for too little memory, and for real faults.
    """
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in TEXTS)


def split(loaded: Loaded, at_once: int) -> list[Loaded]:
    """Pieces of at most `at_once` clips: every clip once, in order, labels padded as they were."""
    assert at_once >= 1
    return [_piece(loaded, slice(start, start + at_once)) for start in range(0, len(loaded.clips), at_once)]


def halved(clips: int, edge_seconds: float, error: BaseException) -> int:
    """How many clips to try next.

    Args:
        clips: in the micro-batch that did not fit.
        edge_seconds: their common padded length.
        error: what the device said.

    Raises:
        UserError: `memory.micro_batch_of_one`: there is nothing left to halve.
    """
    assert clips >= 1
    if clips == 1:
        raise one_clip_is_too_much(edge_seconds, error) from error
    return (clips + 1) // 2


def one_clip_is_too_much(edge_seconds: float, error: BaseException) -> UserError:
    """What a user can do where a single clip of this padded length does not fit."""
    return UserError(
        f"memory.micro_batch_of_one: one clip of {edge_seconds:g} s does not fit into the device's memory "
        f"({first_line(error)}); {REMEDIES}"
    )


def free_memory(device: torch.device, error: BaseException | None = None) -> None:
    """Gives back what nobody uses any more.

    Args:
        device: whose cached blocks are returned.
        error: an out-of-memory error that is still being handled: the frames of its traceback hold the tensors
            that did not fit (PyTorch's FAQ, "My out of memory exception handler can't allocate memory").
    """
    if error is not None:
        traceback.clear_frames(error.__traceback__)
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def out_of_memory_of(call: Callable[[], None]) -> BaseException | None:
    """The out-of-memory error that `call` runs into, holding no tensors; None if it fits. Other errors pass."""
    try:
        call()
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        traceback.clear_frames(error.__traceback__)
        return error.with_traceback(None)
    return None


def first_line(error: BaseException) -> str:
    """What the device said, for a message of one line; MemoryError may say nothing but its name."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def _piece(loaded: Loaded, part: slice) -> Loaded:
    labels = loaded.labels
    return Loaded(
        loaded.edge,
        loaded.clips[part],
        loaded.wave[part],
        Labels(labels.decoder_input[part], labels.targets[part], labels.lengths[part]),
    )
