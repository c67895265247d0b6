"""Which device and number format a stage computes with, and how it is named in reports."""

from dataclasses import dataclass

import torch

from asr.errors import UserError


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


def choose_compute(device: str, precision: str, threads: int) -> Compute:
    """Resolves `auto` and applies the thread count, which changes the bits of a CPU result.

    `auto` precision is bf16 on CUDA devices that have it and fp32 elsewhere.

    Raises:
        UserError: the device is absent, or fp16 is asked of a CPU.
    """
    chosen = torch.device(_best_device() if device == "auto" else device)
    if chosen.type not in _present_devices():
        raise UserError(f"device = {device!r}: not on this machine ({', '.join(_present_devices())}); write auto")
    if precision == "auto":
        precision = "bf16" if chosen.type == "cuda" and torch.cuda.is_bf16_supported() else "fp32"
    if precision == "fp16" and chosen.type == "cpu":
        raise UserError("precision = 'fp16': not on a CPU; write bf16, fp32 or auto")
    torch.set_num_threads(threads)
    return Compute(chosen, precision, threads)


def make_deterministic() -> None:
    """Every operation gives the same bits in every run, or raises."""
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    # It costs 15 %, and no result reads such memory. PyTorch hides the flag from type checkers.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


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
