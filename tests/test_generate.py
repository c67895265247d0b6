"""Contract: decoding gives one text a clip, in order, whatever the batch, and search really searches."""

import pytest
import torch

from asr.decoding.generate import SPARE_TOKENS, TOKENS_PER_SECOND, Transcriber
from asr.features import LogMel, padded_wave
from asr.models.build import SpeechModel
from asr.models.tokenizer import end_id, prefix_ids
from asr.pcm import Pcm16
from tests.models import tiny_corpus, tiny_model


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
            tokens.append(int(logits[0, -1].argmax()))
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
