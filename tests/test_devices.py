"""Contract: what a device cannot compute becomes fp32 with one warning, and what decides bits is set, not inherited."""

import logging
import os
from collections.abc import Iterator

import pytest
import torch

from asr import devices
from asr.devices import CUBLAS_SETTING, CUBLAS_WORKSPACE, Compute, choose_compute, make_deterministic
from asr.errors import UserError


@pytest.fixture(autouse=True)
def settings_as_before() -> Iterator[None]:
    """Torch's settings belong to the process: each test gives them back."""
    cudnn, cuda = torch.backends.cudnn, torch.backends.cuda
    kept = (
        torch.get_float32_matmul_precision(),
        cudnn.conv.fp32_precision,
        cudnn.rnn.fp32_precision,
        cudnn.deterministic,
        cudnn.benchmark,
        cuda.cudnn_sdp_enabled(),
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
    )
    yield
    torch.set_float32_matmul_precision(kept[0])
    cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision, cudnn.deterministic, cudnn.benchmark = kept[1:5]
    cuda.enable_cudnn_sdp(kept[5])
    torch.set_num_threads(kept[6])
    torch.use_deterministic_algorithms(kept[7])


@pytest.fixture
def a_gpu(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine that says it has a GPU with bf16."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    return monkeypatch


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


@pytest.mark.parametrize(("asked", "used"), [("auto", "fp32"), ("fp32", "fp32"), ("bf16", "bf16")])
def test_a_cpu_computes_in_what_it_has_without_a_word(asked: str, used: str, caplog: pytest.LogCaptureFixture) -> None:
    assert choose_compute("cpu", asked, 2).precision == used
    assert warnings(caplog) == []


def test_fp16_on_a_cpu_becomes_fp32_with_one_warning_that_names_both(caplog: pytest.LogCaptureFixture) -> None:
    assert choose_compute("cpu", "fp16", 2).precision == "fp32"
    (message,) = warnings(caplog)
    assert "'fp16'" in message
    assert "'fp32'" in message
    assert "cpu" in message


@pytest.mark.parametrize(
    ("native", "asked", "used"),
    [(True, "auto", "bf16"), (True, "fp16", "fp16"), (False, "auto", "fp32"), (False, "fp16", "fp16")],
)
def test_auto_takes_bf16_only_where_it_is_not_emulated(
    a_gpu: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, native: bool, asked: str, used: str
) -> None:
    a_gpu.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or native)
    assert choose_compute("cuda", asked, 2).precision == used
    assert warnings(caplog) == []


def test_bf16_on_a_gpu_that_emulates_it_becomes_fp32_with_one_warning(
    a_gpu: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    a_gpu.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    assert choose_compute("cuda", "bf16", 2).precision == "fp32"
    assert len(warnings(caplog)) == 1


@pytest.mark.parametrize(("macos_14", "used"), [(True, "bf16"), (False, "fp32")])
def test_apples_gpus_have_bf16_since_macos_14(monkeypatch: pytest.MonkeyPatch, macos_14: bool, used: str) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.mps, "is_macos_or_newer", lambda *_: macos_14)
    assert choose_compute("mps", "bf16", 2).precision == used
    assert choose_compute("mps", "fp16", 2).precision == "fp16"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("tf32", "format_"), [(True, "tf32"), (False, "ieee")])
def test_tf32_is_what_was_asked_for_products_and_convolutions(
    a_gpu: pytest.MonkeyPatch, tf32: bool, format_: str
) -> None:
    del a_gpu
    choose_compute("cuda", "fp32", 2, tf32)
    assert torch.backends.cuda.matmul.fp32_precision == format_
    assert torch.backends.cudnn.conv.fp32_precision == format_
    assert torch.backends.cudnn.rnn.fp32_precision == format_
    assert torch.get_float32_matmul_precision() == ("high" if tf32 else "highest")  # raises where spellings are mixed


def test_kernels_are_not_chosen_by_a_race_on_a_gpu(a_gpu: pytest.MonkeyPatch) -> None:
    del a_gpu
    torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = True, False
    torch.backends.cuda.enable_cudnn_sdp(True)
    choose_compute("cuda", "fp32", 2)
    assert torch.backends.cudnn.deterministic
    assert not torch.backends.cudnn.benchmark
    assert not torch.backends.cuda.cudnn_sdp_enabled()


def test_a_cpu_run_leaves_the_settings_of_gpus_alone() -> None:
    torch.backends.cuda.enable_cudnn_sdp(True)
    choose_compute("cpu", "fp32", 2, tf32=False)
    assert torch.backends.cuda.cudnn_sdp_enabled()


def test_the_class_of_a_cpu_names_instruction_set_and_threads() -> None:
    capability = torch.backends.cpu.get_cpu_capability().lower()
    assert Compute(torch.device("cpu"), "fp32", 3).device_class == f"cpu-{capability}-3-threads"


def test_an_absent_device_is_refused_with_the_remedy() -> None:
    missing = next(name for name in ("mps", "cuda") if name not in devices._present_devices())
    with pytest.raises(UserError, match=f"device = '{missing}': not on this machine .*write auto"):
        choose_compute(missing, "fp32", 2)


def test_determinism_gives_cublas_buffers_of_one_size(a_gpu: pytest.MonkeyPatch) -> None:
    a_gpu.setenv(CUBLAS_SETTING, "")  # so that it is restored even where it was not set
    a_gpu.delenv(CUBLAS_SETTING)
    make_deterministic()
    assert os.environ[CUBLAS_SETTING] == CUBLAS_WORKSPACE
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.utils.deterministic.fill_uninitialized_memory
    make_deterministic()  # its own value is not a stranger's


@pytest.mark.parametrize("value", [":16:8", ":0:0", "", "4096"])
def test_another_size_in_the_environment_is_refused_on_a_gpu(a_gpu: pytest.MonkeyPatch, value: str) -> None:
    a_gpu.setenv(CUBLAS_SETTING, value)
    with pytest.raises(UserError, match=rf"{CUBLAS_SETTING} = '{value}'.*unset it"):
        make_deterministic()
    assert os.environ[CUBLAS_SETTING] == value


def test_on_a_cpu_the_environment_of_cublas_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv(CUBLAS_SETTING, ":16:8")
    make_deterministic()
