"""Contract: on a real device greedy search says what it says on a CPU, though it looks for ended texts seldom."""

from collections.abc import Iterator

import pytest
import torch

from asr.decoding.speaker import steps_between_looks
from tests.test_greedy import CAP, generated, heard, network, search

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
DEVICE = torch.device("cuda", 0)


@pytest.fixture(autouse=True)
def _inference() -> Iterator[None]:
    """Without TF32, whose rounding is coarser than that of a CPU."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    with torch.inference_mode():
        yield
    torch.set_float32_matmul_precision(before)


def test_the_tokens_are_those_of_a_cpu_and_of_generate() -> None:
    model = network()
    encoded = heard(model, 24)
    expected = search(model)(encoded, CAP)
    model.to(DEVICE)
    assert steps_between_looks(DEVICE) > 1
    assert search(model)(encoded.to(DEVICE), CAP) == expected
    assert generated(model, encoded.to(DEVICE)) == expected
    assert [search(model)(row[None].to(DEVICE), CAP)[0] for row in encoded] == expected


def test_bf16_gives_one_text_a_clip_within_the_cap() -> None:
    model = network().bfloat16().to(DEVICE)
    found = search(model)(heard(model, 24).to(DEVICE), CAP)
    assert len(found) == 24
    assert max(map(len, found)) <= CAP
