"""Contract: the transcription benchmark compares engines that do the same work on the same clips."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr.errors import UserError
from asr.models.build import load, save
from benchmarks import tiny, trained_tiny, transcribe, whisper_formats
from benchmarks.mix import Spoken, clip_lengths, speech_clips
from benchmarks.peers_decoding import Peer, Place, all_peers
from benchmarks.transcribe import Turn, all_turns, dealt, last_texts, results, rotated
from benchmarks.whisper_formats import to_openai
from tests.models import tiny_model

CPU = Place(torch.device("cpu"), torch.float32, 1)


@given(st.lists(st.integers(1, 480_000), min_size=1, max_size=60), st.integers(1, 8))
def test_shares_hold_every_clip_once_and_are_of_one_size(lengths: list[int], count: int) -> None:
    shares = dealt(lengths, count)
    assert sorted(clip for share in shares for clip in share) == list(range(len(lengths)))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_shares_have_the_same_mix_of_lengths() -> None:
    lengths = clip_lengths(96, np.random.default_rng(1))
    sums = [sum(lengths[clip] for clip in share) for share in dealt(lengths.tolist(), 6)]
    assert max(sums) < 1.35 * min(sums)  # the one clip over 15 s is in one of them
    by_length = np.sort(lengths)
    assert max(by_length[5::6].sum(), by_length[-16:].sum()) > 1.35 * by_length[:16].sum(), (
        "cut in order they would not"
    )


@pytest.mark.parametrize(("by", "expected"), [(0, [1, 2, 3]), (1, [2, 3, 1]), (5, [3, 1, 2])])
def test_rounds_begin_with_another_engine(by: int, expected: list[int]) -> None:
    assert rotated([1, 2, 3], by) == expected


def test_every_engine_gets_every_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcribe, "PAUSE_SECONDS", 0.0)
    clips = [np.zeros(length, np.int16) for length in (5, 3, 9, 1, 7)]
    peers = [Peer(name, name == "a", lambda given: [str(len(clip)) for clip in given]) for name in "ab"]
    turns = all_turns(peers, clips, rounds=2, copies=3)
    assert [len(turn.clips) for turn in turns["a"]] == [15, 15]
    assert sorted(len(turn.clips) for turn in turns["b"]) == [2, 3]
    assert all([*last_texts(turns[name]).values()] == ["5", "3", "9", "1", "7"] for name in "ab")


def _turns(seconds: float, texts: Sequence[str]) -> list[Turn]:
    """Two rounds of an engine that gets all clips."""
    return [Turn(tuple(range(len(texts))), tuple(texts), seconds * factor) for factor in (1.0, 1.1)]


@pytest.mark.parametrize(
    ("pipeline", "faster", "met"), [(5.1, 1.1, [True, True]), (4.9, 1.1, [False, True]), (5.1, 0.9, [True, False])]
)
def test_targets_are_judged_by_ratios_inside_the_rounds(pipeline: float, faster: float, met: list[bool]) -> None:
    pytest.importorskip("whisper", reason="requirements-benchmarks.txt is optional")
    spoken = [Spoken(np.zeros(16_000, np.int16), text) for text in ("bir iki", "üç")]
    said = [clip.text for clip in spoken]
    turns = {
        "ours, batches of 64": _turns(1.0, said),
        "transformers pipeline, batches of 1": _turns(9.0, said),
        "transformers pipeline, batches of 8": _turns(pipeline, ["bir iki", "dörd"]),
        "faster-whisper float32": _turns(faster, said),
    }
    found = results(turns, spoken)
    assert [*found["targets"].values()] == met
    assert found["the pipeline's best"] == "transformers pipeline, batches of 8"
    assert found["engines"]["transformers pipeline, batches of 8"]["WER"] == pytest.approx(1 / 3, abs=1e-4)
    assert found["engines"]["transformers pipeline, batches of 8"]["clips with the same text as ours"] == 0.5
    assert found["ours over"]["transformers pipeline, batches of 1"]["median"] == pytest.approx(9.0)


def _logits_differ_by(folder: Path) -> float:
    """The largest difference between transformers and openai-whisper with the weights of `folder`."""
    log_mel, tokens = torch.randn(2, 80, 300), torch.randint(0, 270, (2, 7))
    network = load(folder).network.eval()
    with torch.inference_mode():
        expected = network(input_features=log_mel, decoder_input_ids=tokens).logits
        return float((to_openai(folder)(log_mel, tokens) - expected).abs().max())


def test_openai_whisper_gets_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("whisper", reason="requirements-benchmarks.txt is optional")
    torch.manual_seed(1)
    model = tiny_model(encoder_layers=2, decoder_layers=2, feed_forward=64)
    for parameter in model.network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)  # as new, biases are 0 and norms 1: exchanged ones would not show
    save(model, tmp_path, {})
    assert _logits_differ_by(tmp_path) < 1e-3
    exchanged = tuple((a, {".query.": ".key.", ".key.": ".query."}.get(b, b)) for a, b in whisper_formats.RENAMED)
    monkeypatch.setattr(whisper_formats, "RENAMED", exchanged)
    with pytest.raises(RuntimeError, match="key"):  # keys have no bias
        to_openai(tmp_path)


def test_all_engines_write_the_words_that_the_model_has_learnt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("whisper", "faster_whisper", "ctranslate2"):
        pytest.importorskip(package, reason="requirements-benchmarks.txt is optional")
    monkeypatch.setattr(trained_tiny, "CACHE", tmp_path)
    monkeypatch.setitem(tiny.WIDTH_LAYERS_HEADS, "nano", (64, 1, 2))
    folder = trained_tiny.trained("nano", 4, 1, CPU.device)  # type: ignore[arg-type]  # a size of this test
    spoken = speech_clips(4, 1)
    written = {peer.name: peer.transcribe([clip.pcm for clip in spoken]) for peer in all_peers(folder, CPU)}
    assert len(written) == 11
    assert written == {name: [clip.text for clip in spoken] for name in written}


def test_a_missing_package_is_named_with_the_file_that_lists_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiny.importlib.util, "find_spec", lambda name: None if name == "ctranslate2" else object())
    monkeypatch.setattr("sys.argv", ["transcribe"])
    with pytest.raises(UserError, match=r"ctranslate2.*requirements-benchmarks\.txt"):
        transcribe.measured(transcribe._arguments())
