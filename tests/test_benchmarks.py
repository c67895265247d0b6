"""Contract: what benchmarks share is what it says: the mix of lengths, the speech, Whisper's sizes and vocabulary.

Tests that need the packages of requirements-benchmarks.txt are skipped without them.
"""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import WhisperConfig, WhisperForConditionalGeneration, WhisperTokenizer

from asr.corpus.sample.sentences import sentences
from asr.devices import Compute
from asr.errors import UserError
from asr.models import linear
from asr.pcm import SAMPLE_RATE
from benchmarks import mix, tiny
from benchmarks.flops import decoder_flops, encoder_flops, positions_of
from benchmarks.mix import MIX, Spoken, clip_lengths, speech_clips
from benchmarks.step_bench import Bench
from benchmarks.step_ours import ours
from benchmarks.step_peers import Peer, train
from benchmarks.tiny import edges, tokenizer
from benchmarks.train_step import subset
from tests.models import TEXTS, tiny_model, tone
from tests.pipeline import ROOT

needs_whisper = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("whisper", "tiktoken")),
    reason="optional: requirements-benchmarks.txt",
)


@settings(max_examples=30, deadline=None)
@given(count=st.integers(1, 3000), seed=st.integers(0, 99))
def test_few_clips_have_the_shares_of_the_mix_within_one_clip(count: int, seed: int) -> None:
    seconds = clip_lengths(count, np.random.default_rng(seed)) / SAMPLE_RATE
    assert len(seconds) == count
    reached = 0.0
    for share, _, high in MIX:
        reached += share
        assert abs((seconds < high).sum() - reached * count) <= 1 + 1e-6 * count, high


def test_lengths_come_in_random_order() -> None:
    drawn = clip_lengths(400, np.random.default_rng(1))
    assert abs(np.corrcoef(drawn, np.arange(400))[0, 1]) < 0.2


def test_every_clip_has_the_length_drawn_a_voice_and_a_text() -> None:
    clips = speech_clips(8, 7)
    assert [len(clip.pcm) for clip in clips] == clip_lengths(8, np.random.default_rng(7)).tolist()
    for clip in clips:
        assert np.abs(clip.pcm).max() > 8000
        assert clip.text.strip() == clip.text != ""
        assert len(clip.text) / clip.seconds < 45, "a short word may be cut off, a sentence may not"


def test_long_clips_are_filled_with_speech_at_a_natural_rate() -> None:
    clip = mix._spoken(12 * SAMPLE_RATE, np.random.default_rng(3))
    assert 9 < len(clip.text) / clip.seconds < 22


def test_equal_seeds_give_equal_clips_also_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = speech_clips(4, 5)
    monkeypatch.setattr(mix, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(mix, "CACHED_FROM", 4)
    for _ in range(2):
        kept = speech_clips(4, 5)
        assert [clip.text for clip in kept] == [clip.text for clip in made]
        assert all(np.array_equal(a.pcm, b.pcm) and a.pcm.dtype == np.int16 for a, b in zip(kept, made, strict=True))
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_other_clips_come_with_another_seed() -> None:
    assert [clip.text for clip in speech_clips(4, 5)] != [clip.text for clip in speech_clips(4, 6)]


@pytest.mark.parametrize(
    ("token", "number"),
    [
        ("<|endoftext|>", 50257),
        ("<|startoftranscript|>", 50258),
        ("<|en|>", 50259),
        ("<|az|>", 50304),
        ("<|su|>", 50357),
        ("<|translate|>", 50358),
        ("<|transcribe|>", 50359),
        ("<|nospeech|>", 50362),
        ("<|notimestamps|>", 50363),
        ("<|0.00|>", 50364),
        ("<|30.00|>", 51864),
    ],
)
@needs_whisper
def test_special_tokens_have_the_ids_of_whisper(token: str, number: int) -> None:
    assert tokenizer().convert_tokens_to_ids(token) == number
    assert len(tokenizer()) == 51865


@needs_whisper
def test_texts_have_the_ids_that_openai_gives_them() -> None:
    from whisper.tokenizer import get_tokenizer

    theirs = get_tokenizer(True, num_languages=99)
    for text in (*TEXTS, *sentences(50, np.random.default_rng(1)), "  İki  boşluq\n", "naïve 12:30, 3.5 %", "日本"):
        assert tokenizer()(text, add_special_tokens=False).input_ids == theirs.encode(text), text


@needs_whisper
def test_the_saved_tokenizer_is_the_same(tmp_path: Path) -> None:
    tokenizer().save_pretrained(tmp_path)
    loaded = WhisperTokenizer.from_pretrained(tmp_path)
    ids = loaded(TEXTS[3]).input_ids
    assert (ids, len(loaded)) == (tokenizer()(TEXTS[3]).input_ids, 51865)
    assert ids[:4] == [50258, 50304, 50359, 50363]
    assert loaded.decode(ids, skip_special_tokens=True) == TEXTS[3]


def test_a_missing_package_is_named_with_the_remedy() -> None:
    with pytest.raises(UserError, match=r"no_such: not installed; pip install -r requirements-benchmarks.txt"):
        tiny.require("no_such")


def test_every_package_of_the_benchmarks_is_pinned() -> None:
    lines = (ROOT / "requirements-benchmarks.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith(("#", "-c"))]
    assert pins
    assert all("==" in pin for pin in pins)
    assert "-c requirements.lock" in lines


@pytest.mark.parametrize(("size", "parameters"), [("tiny", 37_760_640), ("base", 72_593_920), ("small", 241_734_912)])
@needs_whisper
def test_the_sizes_are_those_published(size: tiny.Size, parameters: int) -> None:
    with torch.device("meta"):
        network = WhisperForConditionalGeneration(tiny._config(size, 1500, tokenizer()))
    assert network.num_parameters() == parameters


def test_benchmarks_pad_to_edges_chosen_for_the_mix() -> None:
    assert len(edges().seconds) == tiny.SHAPES
    assert edges().seconds[-1] == 30
    assert edges(10.0).seconds[-1] == 10


@pytest.mark.parametrize(
    ("size", "positions", "encoder", "decoder"),
    [("tiny", 1500, 36.9, 5.2), ("tiny", 171, 2.81, 1.90), ("small", 1500, 344.2, 51.1), ("small", 171, 30.86, 12.24)],
)
def test_arithmetic_of_published_sizes_in_gflop(
    size: tiny.Size, positions: int, encoder: float, decoder: float
) -> None:
    width, layers, _ = tiny.WIDTH_LAYERS_HEADS[size]
    config = WhisperConfig(d_model=width, encoder_layers=layers, decoder_layers=layers)
    assert encoder_flops(config, positions) / 1e9 == pytest.approx(encoder, rel=3e-3)
    assert decoder_flops(config, positions, 26) / 1e9 == pytest.approx(decoder, rel=1e-2)


def test_the_encoder_computes_what_the_formula_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "onednn_is_faster", lambda: False)  # nor does it know oneDNN's products
    network = tiny_model(d_model=32, encoder_layers=2, feed_forward=128).network.eval()
    # The counter does not know the fused attention of a CPU.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        network.model.encoder(torch.zeros(1, 80, 120))
    assert encoder_flops(network.config, 60) == counter.get_total_flops()


@pytest.mark.parametrize(("seconds", "positions"), [(0.001, 1), (1.0, 50), (1.001, 51), (30.0, 1500)])
def test_positions_hold_the_whole_clip(seconds: float, positions: int) -> None:
    assert positions_of(seconds) == positions


def test_a_subset_keeps_the_mix() -> None:
    clips = [Spoken(tone(seconds), "") for seconds in np.linspace(0.1, 1.0, 20)[::-1]]
    few = [clip.seconds for clip in subset(clips, 5)]
    assert few == sorted(few)
    assert np.mean(few) == pytest.approx(0.55, abs=0.03)


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench(tiny_model(dropout=0.0), Compute(torch.device("cpu"), "fp32", 1), 4, 0, compile=False)


CLIPS = [Spoken(tone(0.5 + 0.2 * number), TEXTS[number % 4]) for number in range(8)]


def test_ours_and_the_others_train_on_every_clip_once_from_equal_weights(bench: Bench) -> None:
    before = {name: value.clone() for name, value in bench.model.network.state_dict().items()}
    mine = ours(bench, CLIPS, extra_padding=False)
    random = train(bench, CLIPS, Peer("longest"), at_once=4)
    grouped = train(bench, CLIPS, Peer("longest", grouped=True), at_once=2)
    expected = np.log(bench.model.network.config.vocab_size)
    for block in (mine, random, grouped):
        assert block.clips == 8
        assert block.useful == mine.useful < block.computed
        assert block.first_loss == pytest.approx(expected, rel=0.1)
        assert np.isfinite(block.last_loss)
    assert all(torch.equal(value, before[name]) for name, value in bench.model.network.state_dict().items())
    assert not torch.are_deterministic_algorithms_enabled()


def test_extra_padding_costs_more(bench: Bench) -> None:
    clips = CLIPS * 4
    assert ours(bench, clips, extra_padding=True).computed > ours(bench, clips, extra_padding=False).computed
