"""Contract: a confidence is the probability that the model itself gives to what it wrote, word by word."""

import copy
import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.decoding import confidence
from asr.decoding.confidence import Confidence, confidences, token_log_probs
from asr.decoding.generate import Hypothesis, Transcriber
from asr.decoding.pieces import token_bytes, word_spans
from asr.features import LogMel, padded_wave
from asr.models.build import SpeechModel
from asr.models.tokenizer import end_id, prefix_ids
from asr.pcm import Pcm16
from tests.models import talkative_model, tiny_corpus, tiny_model

ROUNDING = 2e-4
"""Of sums in another order; the weights are large, so logits are in the tens."""


@pytest.fixture(scope="module")
def model() -> SpeechModel:
    """Says other things to other clips; some texts end by themselves, some are cut."""
    speech = talkative_model(tokens=28)
    with torch.no_grad():
        speech.network.proj_out.weight[end_id(speech.tokenizer)] = 0.32 * torch.randn(32)  # padding: zero until here
    return speech


def transcriber(model: SpeechModel, beams: int = 1, batch_size: int = 4) -> Transcriber:
    return Transcriber(model.network, model.tokenizer, LogMel(80), model.edges, "az", beams, batch_size)


CLIPS: list[Pcm16] = list(tiny_corpus(12)[1].values())


def logits(model: SpeechModel, clip: Pcm16, tokens: Sequence[int]) -> torch.Tensor:
    """The whole network's, of one clip alone: what may come at each place of the text and behind it."""
    prefix = prefix_ids(model.tokenizer, "az")
    mel = LogMel(80)(padded_wave([clip], model.edges.padded_samples(model.edges.index(len(clip)))))
    ids = torch.tensor([[*prefix, *tokens]])
    with torch.inference_mode():
        return model.network(input_features=mel, decoder_input_ids=ids, use_cache=False).logits[0, len(prefix) - 1 :]


def oracle(model: SpeechModel, clip: Pcm16, tokens: Sequence[int]) -> list[float]:
    targets = torch.tensor([*tokens, end_id(model.tokenizer)])
    found: list[float] = logits(model, clip, tokens).log_softmax(-1).gather(1, targets[:, None])[:, 0].tolist()
    return found


@pytest.mark.parametrize("beams", [1, 3])
def test_every_token_has_the_probability_that_the_whole_network_gives_it(model: SpeechModel, beams: int) -> None:
    heard = transcriber(model, beams).transcribe(CLIPS, "t")
    assert {item.capped for item in heard} == {True, False}, "the test needs texts that are cut and others"
    found = token_log_probs(transcriber(model, beams), CLIPS, heard, "t")
    for clip, hypothesis, values in zip(CLIPS, heard, found, strict=True):
        assert len(values) == len(hypothesis.tokens) + 1, "the end has a probability too"
        assert values == pytest.approx(oracle(model, clip, hypothesis.tokens), abs=ROUNDING)


def test_a_wrong_token_is_noticed(model: SpeechModel) -> None:
    heard = transcriber(model).transcribe(CLIPS, "t")
    first = heard[0].tokens
    other = replace(heard[0], tokens=((first[0] + 1) % 256, *first[1:]))
    right, wrong = (token_log_probs(transcriber(model), CLIPS[:1], [item], "t")[0] for item in (heard[0], other))
    assert wrong[0] < right[0] - 0.01


def test_greedy_tokens_are_the_most_probable_ones_that_may_be_said(model: SpeechModel) -> None:
    end = end_id(model.tokenizer)
    for clip, hypothesis in zip(CLIPS, transcriber(model).transcribe(CLIPS, "t"), strict=True):
        best = logits(model, clip, hypothesis.tokens)[:, : end + 1].argmax(1).tolist()
        said = list(hypothesis.tokens) if hypothesis.capped else [*hypothesis.tokens, end]
        assert said == best[: len(said)]


@pytest.mark.parametrize("size", [1, 5, 64])
def test_the_batch_does_not_matter(model: SpeechModel, size: int) -> None:
    heard = transcriber(model).transcribe(CLIPS, "t")
    by_four, otherwise = (token_log_probs(transcriber(model, 1, n), CLIPS, heard, "t") for n in (4, size))
    for one, other in zip(by_four, otherwise, strict=True):
        assert one == pytest.approx(other, abs=ROUNDING)


def test_slices_of_the_vocabulary_wide_tensor_change_nothing(
    model: SpeechModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = transcriber(model).transcribe(CLIPS, "t")
    whole = token_log_probs(transcriber(model), CLIPS, heard, "t")
    monkeypatch.setattr(confidence, "LOGITS_AT_ONCE", 1000)  # three places
    for one, other in zip(whole, token_log_probs(transcriber(model), CLIPS, heard, "t"), strict=True):
        assert one == pytest.approx(other, abs=ROUNDING)


def test_no_more_logits_than_allowed_stand_in_memory(model: SpeechModel, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = transcriber(model).transcribe(CLIPS, "t")
    sizes: list[int] = []
    handle = model.network.proj_out.register_forward_hook(lambda *args: sizes.append(args[2].numel()))
    monkeypatch.setattr(confidence, "LOGITS_AT_ONCE", 5000)
    token_log_probs(transcriber(model), CLIPS, heard, "t")
    handle.remove()
    places = sum(len(item.tokens) + 1 for item in heard)
    assert max(sizes) <= 5000
    assert sum(sizes) == places * model.network.proj_out.out_features, "and every place is asked for once"


def test_suppressed_ids_keep_their_share_of_the_probability(model: SpeechModel) -> None:
    speech = replace(model, network=copy.deepcopy(model.network))
    said = transcriber(speech).transcribe(CLIPS, "t")
    speech.network.generation_config.suppress_tokens = [said[0].tokens[0]]
    heard = transcriber(speech).transcribe(CLIPS, "t")
    assert heard[0].tokens[:1] != said[0].tokens[:1]
    found = token_log_probs(transcriber(speech), CLIPS, heard, "t")
    assert found[0] == pytest.approx(oracle(model, CLIPS[0], heard[0].tokens), abs=ROUNDING)


def test_every_word_has_a_confidence_and_the_clip_the_mean_of_its_tokens(model: SpeechModel) -> None:
    heard = transcriber(model).transcribe(CLIPS, "t")
    sure = confidences(transcriber(model), CLIPS, heard, "t")
    for clip, hypothesis, one in zip(CLIPS, heard, sure, strict=True):
        values = oracle(model, clip, hypothesis.tokens)
        assert len(one.words) == len(hypothesis.text.split())
        assert all(0 <= value <= 1 for value in (one.clip, *one.words))
        assert one.clip == pytest.approx(math.exp(sum(values) / len(values)), rel=1e-3)


def test_a_text_without_words_is_as_sure_as_its_end(model: SpeechModel) -> None:
    (found,) = confidences(transcriber(model), CLIPS[:1], [Hypothesis("", False)], "t")
    assert found == Confidence(pytest.approx(math.exp(oracle(model, CLIPS[0], [])[0]), rel=1e-3), ())


def test_no_clips_have_no_confidences(model: SpeechModel) -> None:
    assert confidences(transcriber(model), [], [], "t") == []


SPELT = [
    (["salam", " d", "ünya"], [(0, 1), (1, 3)]),
    ([" salam", " ", "dünya"], [(0, 1), (1, 3)]),
    (["a. ", "b"], [(0, 1), (0, 2)]),  # a token with parts of two words belongs to both
    ([" a", "  ", "\n"], [(0, 1)]),  # white space at the end belongs to none
    (["a", "\u00a0", "b"], [(0, 1), (1, 3)]),
    ([], []),
    ([" ", " "], []),
]


@pytest.mark.parametrize(("pieces", "spans"), SPELT)
def test_tokens_are_told_apart_by_the_white_space_between_words(
    pieces: list[str], spans: list[tuple[int, int]]
) -> None:
    assert word_spans("".join(pieces).strip(), [piece.encode() for piece in pieces]) == spans


def test_a_letter_of_two_bytes_belongs_to_both_of_its_tokens() -> None:
    first, second = "ə".encode()
    assert word_spans("bə x", [b"b", bytes([first]), bytes([second]), b" x"]) == [(0, 3), (3, 4)]


def test_half_a_letter_is_a_letter_of_its_own() -> None:
    assert word_spans("\ufffd a\ufffd", [b"\xc9", b" a", b"\xc9"]) == [(0, 1), (1, 3)]


def test_a_tokenizer_that_takes_spaces_from_punctuation_away_changes_words_but_loses_none() -> None:
    assert word_spans("salam, dünya", [b"salam", b" ,", " dünya".encode()]) == [(0, 2), (2, 3)]


def test_tokens_of_another_text_are_refused() -> None:
    with pytest.raises(AssertionError):
        word_spans("salam", [b"sala"])


TOKENIZER = tiny_model().tokenizer
PIECES = token_bytes(TOKENIZER)


@pytest.mark.parametrize("text", ["Salam, dünya.", " ə İŞIQ", "Saat\u00a0üçə", "日本 🙂", "a  b "])
def test_the_bytes_of_a_text_s_tokens_are_the_text(text: str) -> None:
    tokens = TOKENIZER(text, add_special_tokens=False).input_ids
    assert b"".join(PIECES[token] for token in tokens).decode() == text


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(0, end_id(TOKENIZER) - 1), max_size=12))
def test_the_words_of_any_tokens_are_spelt_by_their_spans(tokens: list[int]) -> None:
    """Tokens at random are mostly halves of letters; the oracle is the tokenizer's own decoder."""
    text = TOKENIZER.batch_decode([tokens])[0].strip()
    pieces = [PIECES[token] for token in tokens]
    spans = word_spans(text, pieces)
    assert len(spans) == len(text.split())
    for word, (first, stop) in zip(text.split(), spans, strict=True):
        assert word in b"".join(pieces[first:stop]).decode(errors="replace") or "\ufffd" in word
    covered = {token for first, stop in spans for token in range(first, stop)}
    last = max(covered, default=-1)
    assert covered == set(range(last + 1)), "no token before the end of the last word is lost"
