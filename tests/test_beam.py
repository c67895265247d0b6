"""Contract: beam search says what transformers' does, and a text does not depend on its neighbours."""

from collections.abc import Iterator

import pytest
import torch
from transformers import WhisperForConditionalGeneration

from asr.decoding import beam
from asr.decoding.beam import BeamSearch
from asr.decoding.decoder_step import DecoderState
from asr.decoding.generate import suppressed_ids
from asr.decoding.speaker import Speaker
from tests.test_greedy import CAP, END, PREFIX, generated, heard, network


@pytest.fixture(autouse=True)
def _inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


def search(model: WhisperForConditionalGeneration, beams: int) -> BeamSearch:
    return BeamSearch(Speaker.of(model, PREFIX, END, suppressed_ids(model, END)), beams)


@pytest.mark.parametrize("beams", [2, 3, 4, 8])
@pytest.mark.parametrize("seed", range(3, 9))
def test_the_tokens_are_those_of_generate(beams: int, seed: int) -> None:
    model = network(seed=seed)
    encoded = heard(model, 9)
    found = search(model, beams)(encoded, CAP)
    assert found == generated(model, encoded, beams=beams)
    assert len({tuple(row) for row in found}) > 3, "the test needs texts that differ"


@pytest.mark.parametrize(
    "changes", [{"decoder_layers": 1}, {"decoder_layers": 4, "decoder_attention_heads": 8}, {"scale_embedding": True}]
)
def test_the_shape_of_the_model_does_not_matter(changes: dict[str, object]) -> None:
    model = network(**changes)
    encoded = heard(model, 6)
    assert search(model, 4)(encoded, CAP) == generated(model, encoded, beams=4)


@pytest.mark.parametrize("cap", [1, 2, 3, 7])
def test_a_cap_cuts_as_it_does_there(cap: int) -> None:
    model = network(end_share=0.5)
    encoded = heard(model, 6)
    assert search(model, 4)(encoded, cap) == generated(model, encoded, cap, beams=4)


def test_neighbours_and_their_leaving_do_not_change_a_text() -> None:
    model = network(seed=5)
    encoded = heard(model, 12)
    together = search(model, 4)(encoded, CAP)
    assert len({len(row) for row in together}) > 2, "the test needs clips that leave at different times"
    assert together == [search(model, 4)(row[None], CAP)[0] for row in encoded]


@pytest.mark.parametrize("interval", [3, 100])
def test_looking_less_often_changes_nothing(interval: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model = network(seed=5)
    encoded = heard(model, 8)
    every_step = search(model, 4)(encoded, CAP)
    monkeypatch.setattr(beam, "steps_between_looks", lambda _: interval)
    assert search(model, 4)(encoded, CAP) == every_step


def test_suppressed_tokens_are_never_said() -> None:
    model = network()
    encoded = heard(model, 6)
    favourite = max(token for row in search(model, 4)(encoded, CAP) for token in row)
    model.generation_config.suppress_tokens = [favourite]
    found = search(model, 4)(encoded, CAP)
    assert all(favourite not in row for row in found)
    assert found == generated(model, encoded, beams=4)


def test_caches_that_do_not_follow_their_beams_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A planted fault: the oracle's test can fail."""
    model = network(seed=5)
    encoded = heard(model, 9)
    right, reorder = search(model, 4)(encoded, CAP), DecoderState.reorder

    def forgetful(self: DecoderState, rows: torch.Tensor) -> None:
        kept = torch.arange(len(rows)) % self.beams + rows // self.beams * self.beams
        reorder(self, kept)

    monkeypatch.setattr(DecoderState, "reorder", forgetful)
    assert search(model, 4)(encoded, CAP) != right
