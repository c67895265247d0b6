"""Contract: decoding gives one text a clip, in order, whatever the batch, and search really searches."""

import copy
from dataclasses import replace

import pytest
import torch

from asr.decoding.generate import SPARE_TOKENS, TOKENS_PER_SECOND, Transcriber
from asr.features import LogMel, padded_wave
from asr.models.build import SpeechModel
from asr.models.tokenizer import end_id, prefix_ids
from asr.pcm import Pcm16
from tests.models import tiny_corpus, tiny_model, tone


@pytest.fixture(scope="module")
def model() -> SpeechModel:
    torch.manual_seed(4)
    speech = tiny_model(dropout=0.0)
    with torch.no_grad():  # random weights this small say one token for ever; larger ones say something
        for parameter in speech.network.model.decoder.parameters():
            parameter.mul_(12)
    return speech


def transcriber(model: SpeechModel, beams: int = 1, batch_size: int = 4) -> Transcriber:
    return Transcriber(model.network, model.tokenizer, LogMel(80), model.edges, "az", beams, batch_size)


def clips() -> list[Pcm16]:
    return list(tiny_corpus(6)[1].values())


def log_mel(model: SpeechModel, clip: Pcm16) -> torch.Tensor:
    samples = model.edges.padded_samples(model.edges.index(len(clip)))
    return LogMel(80)(padded_wave([clip], samples))


def test_texts_come_in_the_order_of_the_clips(model: SpeechModel) -> None:
    forward = transcriber(model).transcribe(clips(), "t")
    backward = transcriber(model).transcribe(clips()[::-1], "t")
    assert forward == backward[::-1]
    assert len({item.text for item in forward}) > 1, "the test needs texts that differ"


@pytest.mark.parametrize("beams", [1, 3])
def test_texts_do_not_depend_on_the_batch_size(model: SpeechModel, beams: int) -> None:
    alone, by_two, at_once = (transcriber(model, beams, size).transcribe(clips(), "t") for size in (1, 2, 64))
    assert alone == by_two == at_once


@pytest.fixture(scope="module")
def talkative() -> SpeechModel:
    """Says other things to other clips, ends early, late or never, and has at most 24 tokens a text."""
    torch.manual_seed(2)
    speech = tiny_model(dropout=0.0, d_model=32, decoder_layers=2, feed_forward=48)
    network = speech.network
    with torch.no_grad():
        for part, scale in ((network.model.encoder, 8), (network.model.decoder, 16)):
            for name, weight in part.named_parameters():
                if "norm" not in name:
                    weight.mul_(scale)
        network.proj_out.weight[end_id(speech.tokenizer)] = 0.32 * torch.randn(32)  # padding: zero until here
    network.config.max_target_positions = 28
    return speech


def many_clips() -> list[Pcm16]:
    """All lengths up to the last edge, some of them twice, some clips twice."""
    durations = [0.03 + 2.9 * (i * 7 % 48) / 47 for i in range(48)]
    single = [tone(seconds, 150 + 37 * i) for i, seconds in enumerate(durations)]
    same_length = [tone(seconds, 1000 + 41 * i) for i, seconds in enumerate(durations[:16])]
    return [*single, *same_length, *single[:8]]


def test_texts_of_many_clips_are_the_same_at_batch_1_8_and_64_and_in_any_order(talkative: SpeechModel) -> None:
    clips = many_clips()
    alone, by_eight, at_once = (transcriber(talkative, 1, size).transcribe(clips, "t") for size in (1, 8, 64))
    assert alone == by_eight == at_once
    assert alone[64:] == alone[:8], "the same clip, the same text"
    assert len({len(item.text) for item in alone}) > 8, "the test needs texts of many lengths"
    assert {item.capped for item in alone} == {True, False}, "and some that are cut"
    order = torch.randperm(len(clips), generator=torch.Generator().manual_seed(1)).tolist()
    shuffled = transcriber(talkative, 1, 8).transcribe([clips[i] for i in order], "t")
    assert shuffled == [alone[i] for i in order]


def test_batches_are_of_one_edge_and_in_order_of_length(model: SpeechModel) -> None:
    lengths = [16_000, 30_000, 8_000, 30_000, 41_000, 29_000, 8_000]
    batches = list(transcriber(model, batch_size=2)._batches(lengths))
    assert batches == [(2, [4]), (1, [1, 3]), (1, [5, 0]), (0, [2, 6])]


def test_one_short_clip_alone_has_its_text(talkative: SpeechModel) -> None:
    shortest = min(many_clips(), key=len)
    assert transcriber(talkative, 1, 64).transcribe([shortest], "t") == [
        transcriber(talkative, 1, 64).transcribe([*clips(), shortest], "t")[-1]
    ]


def test_weights_that_changed_are_heard_in_the_next_texts(model: SpeechModel) -> None:
    """Nothing of a model is kept from one call to the next: in training it changes in between."""
    speech = replace(model, network=copy.deepcopy(model.network))
    same = transcriber(speech)
    before = same.transcribe(clips(), "t")
    with torch.no_grad():
        speech.network.model.decoder.layers[0].self_attn.q_proj.weight.mul_(-1)
    after = same.transcribe(clips(), "t")
    assert after != before
    assert after == transcriber(speech).transcribe(clips(), "t")


@pytest.mark.parametrize("beams", [1, 3])
def test_no_search_says_what_the_model_suppresses(model: SpeechModel, beams: int) -> None:
    speech = replace(model, network=copy.deepcopy(model.network))
    letters = speech.tokenizer("?r", add_special_tokens=False).input_ids
    assert {"?", "r"} <= set("".join(item.text for item in transcriber(speech, beams).transcribe(clips(), "t")))
    speech.network.generation_config.suppress_tokens = letters
    assert not {"?", "r"} & set("".join(item.text for item in transcriber(speech, beams).transcribe(clips(), "t")))


@pytest.mark.parametrize("beams", [1, 3])
def test_no_search_says_a_special_token_nor_fails_to_say_nothing(beams: int) -> None:
    speech = tiny_model(dropout=0.0)
    end = end_id(speech.tokenizer)
    with torch.no_grad():  # a special token would be said for ever, the end is the next best
        speech.network.model.decoder.layer_norm.bias.fill_(1.0)
        speech.network.proj_out.weight[end].fill_(10.0)
        speech.network.proj_out.weight[end + 1].fill_(20.0)
    speech.network.generation_config.begin_suppress_tokens = [end]
    found = transcriber(speech, beams).transcribe(clips(), "t")
    assert {(item.text, item.capped) for item in found} == {("", False)}


def test_greedy_decoding_with_its_cache_is_the_argmax_without_one(model: SpeechModel) -> None:
    """The oracle feeds the whole text again for every token."""
    clip = clips()[0]
    mel = log_mel(model, clip)
    tokens = prefix_ids(model.tokenizer, "az")
    cap = SPARE_TOKENS + round(TOKENS_PER_SECOND * model.edges.seconds[model.edges.index(len(clip))])
    with torch.inference_mode():
        for _ in range(cap):
            decoder_input = torch.tensor([tokens])
            logits = model.network(input_features=mel, decoder_input_ids=decoder_input, use_cache=False).logits
            tokens.append(int(logits[0, -1, : end_id(model.tokenizer) + 1].argmax()))
            if tokens[-1] == end_id(model.tokenizer):
                break
    text = model.tokenizer.decode([token for token in tokens[4:] if token < end_id(model.tokenizer)])
    assert transcriber(model).transcribe([clip], "t")[0].text == text.strip()


def log_probability(model: SpeechModel, clip: Pcm16, text: str) -> float:
    """Of a text and its end, the mean over tokens."""
    tokens = [*prefix_ids(model.tokenizer, "az"), *model.tokenizer(text, add_special_tokens=False).input_ids]
    with torch.inference_mode():
        logits = model.network(
            input_features=log_mel(model, clip), decoder_input_ids=torch.tensor([tokens]), use_cache=False
        ).logits
    targets = torch.tensor([*tokens[4:], end_id(model.tokenizer)])
    return float(logits[0, 3:].log_softmax(-1).gather(1, targets[:, None]).mean())


def test_beam_search_finds_texts_at_least_as_probable_as_greedy_search(model: SpeechModel) -> None:
    """True of the sum over clips; on a single clip a beam may lose what greedy search finds."""
    greedy = transcriber(model, beams=1).transcribe(clips(), "t")
    beams = transcriber(model, beams=4).transcribe(clips(), "t")
    assert [item.text for item in greedy] != [item.text for item in beams], "the test needs a search that matters"
    scores = [
        [log_probability(model, c, h.text) for c, h in zip(clips(), found, strict=True)] for found in (greedy, beams)
    ]
    assert sum(scores[1]) >= sum(scores[0])


def test_a_text_that_never_ends_is_cut_and_counted(model: SpeechModel) -> None:
    end = end_id(model.tokenizer)
    endless = tiny_model(dropout=0.0)
    with torch.no_grad():
        endless.network.proj_out.weight[end].fill_(0)
        endless.network.model.decoder.layer_norm.bias.fill_(1.0)
        endless.network.proj_out.weight[65].fill_(10.0)
    found = transcriber(endless).transcribe(clips()[:2], "t")
    assert [item.capped for item in found] == [True, True]
    assert all(item.text for item in found)


def test_a_model_that_ends_at_once_gives_empty_texts() -> None:
    silent = tiny_model(dropout=0.0)
    with torch.no_grad():
        silent.network.model.decoder.layer_norm.bias.fill_(1.0)
        silent.network.proj_out.weight[end_id(silent.tokenizer)].fill_(10.0)
    found = transcriber(silent).transcribe(clips(), "t")
    assert {(item.text, item.capped) for item in found} == {("", False)}


def test_no_clips_give_no_texts(model: SpeechModel) -> None:
    assert transcriber(model).transcribe([], "t") == []
