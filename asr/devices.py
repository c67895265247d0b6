"""Which device and number format a stage computes with, and how it is named in reports."""

import logging
import os
from dataclasses import dataclass

import torch

from asr.errors import UserError

CUBLAS_SETTING = "CUBLAS_WORKSPACE_CONFIG"
CUBLAS_WORKSPACE = ":4096:8"
"""Eight buffers of 4 MiB: cuBLAS keeps one order of sums only with buffers of a fixed size, which decides the order."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Compute:
    """Where and how numbers are computed."""

    device: torch.device
    precision: str
    """`fp32`, `bf16` or `fp16`."""
    threads: int

    @property
    def device_class(self) -> str:
        """The part of the machine that decides bits, without naming the machine: `cpu-avx512`, `nvidia-h200`."""
        if self.device.type == "cuda":
            return torch.cuda.get_device_name(self.device).lower().replace(" ", "-")
        if self.device.type == "cpu":
            return f"cpu-{torch.backends.cpu.get_cpu_capability().lower()}-{self.threads}-threads"
        return self.device.type


def choose_compute(device: str, precision: str, threads: int, tf32: bool = True) -> Compute:
    """Resolves `auto` and makes the settings that change bits: threads on a CPU, TF32 and cuDNN on CUDA.

    `auto` precision is bf16 on CUDA devices that have it and fp32 elsewhere. A format that the device
    does not have becomes fp32, with one warning.

    Args:
        device: `auto`, `cpu`, `cuda` or `mps`.
        precision: `auto`, `fp32`, `bf16` or `fp16`.
        threads: of a CPU.
        tf32: CUDA only: fp32 products with 10 bits of mantissa on tensor cores.

    Raises:
        UserError: the device is absent.
    """
    chosen = torch.device(_best_device() if device == "auto" else device)
    if chosen.type not in _present_devices():
        raise UserError(f"device = {device!r}: not on this machine ({', '.join(_present_devices())}); write auto")
    torch.set_num_threads(threads)
    if chosen.type == "cuda":
        _set_cuda_kernels(tf32)
    return Compute(chosen, _precision(precision, chosen.type), threads)


def make_deterministic() -> None:
    """Every operation gives the same bits in every run, or raises. Call it before the first product on a GPU.

    Raises:
        UserError: the environment asks cuBLAS for other buffers, which would change the bits of the result.
    """
    if torch.cuda.is_available():
        _pin_cublas_workspace()
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    # It costs 15 %, and no result reads such memory. PyTorch hides the flag from type checkers.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def _precision(asked: str, device: str) -> str:
    """The number format to compute with."""
    if asked == "auto":
        return "bf16" if device == "cuda" and "bf16" in _precisions(device) else "fp32"
    if asked in _precisions(device):
        return asked
    _log.warning("train.precision = %r: not on this %s device; computing in 'fp32'", asked, device)
    return "fp32"


def _precisions(device: str) -> tuple[str, ...]:
    """The formats that a present device can train in."""
    if device == "cpu":
        return ("fp32", "bf16")  # fp16 needs a scaled loss, which accelerate offers on GPUs alone
    if device == "mps":
        return ("fp32", "bf16", "fp16") if torch.backends.mps.is_macos_or_newer(14, 0) else ("fp32", "fp16")
    # Before Ampere PyTorch only emulates bf16, which saves no time.
    native = torch.cuda.is_bf16_supported(including_emulation=False)
    return ("fp32", "bf16", "fp16") if native else ("fp32", "fp16")


def _set_cuda_kernels(tf32: bool) -> None:
    """Which kernels compute: those whose choice does not depend on a race between candidates."""
    # These spellings are in torch 2.11 and 2.13 without a deprecation. A mixture with `allow_tf32` raises.
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    # PyTorch hides the two modules from type checkers.
    torch.backends.cudnn.conv.fp32_precision = "tf32" if tf32 else "ieee"  # type: ignore[attr-defined]
    torch.backends.cudnn.rnn.fp32_precision = "tf32" if tf32 else "ieee"  # type: ignore[attr-defined]
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    # Its plans cost a second a shape (FunASR #3704), and strict determinism excludes it (PyTorch PR #182551).
    torch.backends.cuda.enable_cudnn_sdp(False)


def _pin_cublas_workspace() -> None:
    found = os.environ.setdefault(CUBLAS_SETTING, CUBLAS_WORKSPACE)
    if found != CUBLAS_WORKSPACE:
        raise UserError(
            f"the environment sets {CUBLAS_SETTING} = {found!r}: it would change the bits of the result; "
            f"unset it, or set {CUBLAS_WORKSPACE}"
        )


def _present_devices() -> list[str]:
    found = ["cpu"]
    if torch.cuda.is_available():
        found.append("cuda")
    if torch.backends.mps.is_available():
        found.append("mps")
    return found


def _best_device() -> str:
    present = _present_devices()
    return next(name for name in ("cuda", "mps", "cpu") if name in present)
