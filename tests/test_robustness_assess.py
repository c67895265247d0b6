"""Contract: the whole assessment of a model is the same at every run, in any batch, and fits a metrics file."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from asr.corpus.clips import Utterance
from asr.decoding.generate import Transcriber
from asr.features import LogMel
from asr.files import write_json, write_tsv
from asr.models.build import SpeechModel
from asr.pcm import Pcm16
from asr.robustness.assess import Robustness, assess
from tests.models import talkative_model, tiny_corpus

COUNT = 3
SECTIONS = {"noise", "non_speech", "quiet", "long_form", "timestamps"}


@pytest.fixture(scope="module")
def model() -> SpeechModel:
    """Says other things to other clips, in at most 24 tokens."""
    return talkative_model(tokens=28)


@pytest.fixture(scope="module")
def corpus() -> tuple[list[Utterance], Mapping[str, Pcm16]]:
    return tiny_corpus(9)


def assessed(model: SpeechModel, corpus: Any, batch_size: int = 16, **changes: Any) -> Robustness:
    transcriber = Transcriber(model.network, model.tokenizer, LogMel(80), model.edges, "az", 4, batch_size)
    return assess(transcriber, corpus[0], corpus[1], COUNT, **changes)


@pytest.fixture(scope="module")
def result(model: SpeechModel, corpus: Any) -> Robustness:
    return assessed(model, corpus)


def test_every_section_is_there_and_says_how_it_was_decoded(result: Robustness) -> None:
    plain = result.as_plain()
    assert set(plain) == SECTIONS | {"robustness"}
    assert plain["robustness"] == {"beams": 1, "clips": COUNT}
    assert plain["noise"]["white"]["snr_0_db"]["clips"] == COUNT
    assert plain["noise"]["clean"]["words"] == plain["quiet"]["down_50_db"]["words"]
    assert plain["noise"]["clean"] == plain["long_form"]["short_form"]


def test_the_result_depends_neither_on_the_batch_nor_on_the_order_of_the_split(
    model: SpeechModel, corpus: Any, result: Robustness
) -> None:
    utterances, clips = corpus
    again = assessed(model, (utterances[::-1], clips), batch_size=5)
    assert again.as_plain() == result.as_plain()
    assert again.tables() == result.tables()


def test_the_result_fits_the_files(result: Robustness, tmp_path: Path) -> None:
    write_json(tmp_path / "metrics.json", result.as_plain())
    assert json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8")) == result.as_plain()
    ((name, table),) = result.tables().items()
    write_tsv(tmp_path / f"{name}.tsv", table.columns, table.rows)
    lines = (tmp_path / "noise.tsv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "kind\tsnr_db\twer\twords\tclips"
    assert len(lines) == 1 + 5 * 4


def test_the_noise_is_heard(result: Robustness) -> None:
    """Planted: with no sound but clean speech at every ratio, nothing would differ."""
    noise = result.as_plain()["noise"]
    rates = {noise[kind][f"snr_{snr}_db"]["cer"] for kind in ("white", "hum", "babble") for snr in (0, 20)}
    assert len(rates) > 1
