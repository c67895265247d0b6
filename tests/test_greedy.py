"""Contract: greedy search says what transformers' generate says, token by token, and rows do not touch each other."""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import GenerationConfig, GenerationMixin, WhisperConfig, WhisperForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutput

from asr.decoding import greedy
from asr.decoding.decoder_step import DecoderState, DecoderWeights, Layer, Moves
from asr.decoding.generate import suppressed_ids
from asr.decoding.greedy import GreedySearch
from asr.decoding.speaker import Speaker

END = 60
VOCABULARY = 80
PREFIX = (61, 70, 71, 79)
POSITIONS = 13
CAP = 20


@pytest.fixture(autouse=True)
def _inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


def network(seed: int = 3, end_share: float = 2.0, **changes: object) -> WhisperForConditionalGeneration:
    """Random weights, large enough to say something; the end comes the earlier, the larger its share."""
    torch.manual_seed(seed)
    ids = {"bos_token_id": END, "eos_token_id": END, "pad_token_id": END, "decoder_start_token_id": PREFIX[0]}
    shape = {
        "d_model": 32,
        "decoder_layers": 2,
        "decoder_attention_heads": 2,
        "decoder_ffn_dim": 48,
        "encoder_layers": 1,
        "encoder_attention_heads": 2,
        "encoder_ffn_dim": 32,
        "max_target_positions": 40,
    }
    with torch.inference_mode(False):
        model = WhisperForConditionalGeneration(WhisperConfig(vocab_size=VOCABULARY, **ids, **{**shape, **changes}))
    for name, weight in model.model.decoder.named_parameters():
        weight.mul_(8) if "norm" not in name else weight.add_(0.3 * torch.randn_like(weight))
    model.model.decoder.embed_positions.weight.mul_(4)  # where a text stands must matter
    model.proj_out.weight[END] = end_share * 0.16 * torch.randn(model.config.d_model)  # padding: zero until here
    model.generation_config = GenerationConfig(**ids)
    return model.eval()


def heard(model: WhisperForConditionalGeneration, clips: int) -> torch.Tensor:
    """What an encoder might give, shape = (clips, positions, width)."""
    random = torch.Generator().manual_seed(clips)
    return 3 * torch.randn(clips, POSITIONS, model.config.d_model, generator=random).to(model.dtype)


def search(model: WhisperForConditionalGeneration) -> GreedySearch:
    return GreedySearch(Speaker.of(model, PREFIX, END, suppressed_ids(model, END)))


def generated(
    model: WhisperForConditionalGeneration, encoded: torch.Tensor, cap: int = CAP, beams: int = 1
) -> list[list[int]]:
    """The oracle: transformers' own search, cut at the end."""
    config = GenerationConfig(
        max_length=len(PREFIX) + cap,
        num_beams=beams,
        suppress_tokens=suppressed_ids(model, END),
        eos_token_id=END,
        pad_token_id=END,
        do_sample=False,
    )
    rows = GenerationMixin.generate(
        model,
        encoder_outputs=BaseModelOutput(last_hidden_state=encoded),
        attention_mask=torch.ones(encoded.shape[:2], dtype=torch.long),
        decoder_input_ids=torch.tensor([PREFIX] * len(encoded)),
        generation_config=config,
    )[:, len(PREFIX) :].tolist()
    return [row[: row.index(END)] if END in row else row for row in rows]


def alone(model: WhisperForConditionalGeneration, encoded: torch.Tensor, cap: int = CAP) -> list[list[int]]:
    return [search(model)(row[None], cap)[0] for row in encoded]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"decoder_layers": 1, "decoder_attention_heads": 1},
        {"decoder_layers": 4, "decoder_attention_heads": 8},
        {"d_model": 24, "decoder_attention_heads": 3, "encoder_attention_heads": 3},
        {"activation_function": "relu"},
        {"scale_embedding": True},
        {"tie_word_embeddings": False},
        {"dropout": 0.5, "attention_dropout": 0.5, "activation_dropout": 0.5},
    ],
    ids=lambda changes: "-".join(f"{key}={value}" for key, value in changes.items()) or "plain",
)
def test_the_tokens_are_those_of_generate(changes: dict[str, object]) -> None:
    model = network(**changes)
    encoded = heard(model, 7)
    found = search(model)(encoded, CAP)
    assert found == generated(model, encoded)
    assert len({tuple(row) for row in found}) > 3, "the test needs texts that differ"


def test_the_tokens_are_those_of_generate_in_bf16() -> None:
    """Heads of 16 are scaled by a power of two, so that rounding is the same on both ways."""
    model = network().bfloat16()
    encoded = heard(model, 7)
    assert search(model)(encoded, CAP) == generated(model, encoded)


def test_every_step_has_the_output_of_a_full_pass_of_the_decoder() -> None:
    model = network(decoder_layers=3)
    encoded = heard(model, 5)
    tokens = torch.cat([torch.tensor([PREFIX] * 5), torch.randint(0, END, (5, CAP))], 1)
    full = model.model.decoder(input_ids=tokens, encoder_hidden_states=encoded, use_cache=False).last_hidden_state
    state = DecoderState(DecoderWeights.of(model), encoded, tokens.shape[1])
    steps = [state.advance(tokens[:, : len(PREFIX)])]
    steps += [state.advance(tokens[:, i : i + 1]) for i in range(len(PREFIX), tokens.shape[1])]
    torch.testing.assert_close(torch.stack(steps, 1), full[:, len(PREFIX) - 1 :], atol=1e-5, rtol=1e-5)
    logits = torch.stack(steps, 1) @ model.proj_out.weight.T
    torch.testing.assert_close(logits, model.proj_out(full)[:, len(PREFIX) - 1 :], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("interval", [1, 3, 8, 100])
def test_rows_that_leave_early_do_not_change_the_others(monkeypatch: pytest.MonkeyPatch, interval: int) -> None:
    """However seldom the search looks, as it does on a GPU."""
    model = network()
    encoded = heard(model, 24)
    expected = alone(model, encoded)
    monkeypatch.setattr(greedy, "steps_between_looks", lambda _: interval)
    assert search(model)(encoded, CAP) == expected
    assert len({len(row) for row in expected}) > 5, "the test needs texts of many lengths"


@pytest.mark.parametrize(("interval", "looks"), [(1, 20), (3, 7), (8, 3), (100, 1)])
def test_the_search_asks_which_texts_have_ended_as_seldom_as_it_should(
    monkeypatch: pytest.MonkeyPatch, interval: int, looks: int
) -> None:
    """On a GPU each look waits for all steps before it."""
    model = network(end_share=0.0)
    asked: list[int] = []
    extend = greedy._Texts.extend
    monkeypatch.setattr(greedy._Texts, "extend", lambda texts, steps: asked.append(len(steps)) or extend(texts, steps))
    monkeypatch.setattr(greedy, "steps_between_looks", lambda _: interval)
    search(model)(heard(model, 3), CAP)
    assert len(asked) == looks
    assert sum(asked) == CAP


def positions_off_by_one(state: DecoderState, count: int) -> torch.Tensor:
    return state.weights.embed_positions[state.length + 1 : state.length + 1 + count]


def only_the_text_closes_up(state: DecoderState, moves: Moves) -> None:
    state._self_kv = [moves.apply(cache, 1) for cache in state._self_kv]
    state._cross_kv = [cache[:, : len(moves.kept)] for cache in state._cross_kv]


def only_the_audio_closes_up(state: DecoderState, moves: Moves) -> None:
    state._self_kv = [cache[:, : len(moves.kept)] for cache in state._self_kv]
    state._cross_kv = [moves.apply(cache, 1) for cache in state._cross_kv]


def cut(moves: Moves, rows: torch.Tensor, dim: int) -> torch.Tensor:
    return rows.narrow(dim, 0, len(moves.kept))


def forgotten(texts: object, moves: Moves) -> None:
    texts._clip_of_row = texts._clip_of_row[: len(moves.kept)]


def heard_by_nobody(state: DecoderState, layer: Layer, hidden: torch.Tensor, cache: torch.Tensor) -> torch.Tensor:
    del state, layer, cache
    return torch.zeros_like(hidden)


@pytest.mark.parametrize(
    ("owner", "name", "fault"),
    [
        (DecoderState, "_positions", positions_off_by_one),
        (DecoderState, "shrink", only_the_text_closes_up),
        (DecoderState, "shrink", only_the_audio_closes_up),
        (DecoderState, "_attend_to_audio", heard_by_nobody),
        (DecoderState, "_attend_to_text", heard_by_nobody),
        (Moves, "apply", cut),
        (greedy._Texts, "shrink", forgotten),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_planted_fault_changes_the_texts(
    monkeypatch: pytest.MonkeyPatch, owner: type, name: str, fault: object
) -> None:
    model = network()
    encoded = heard(model, 24)
    expected = generated(model, encoded)
    assert search(model)(encoded, CAP) == expected
    monkeypatch.setattr(owner, name, fault)
    assert search(model)(encoded, CAP) != expected


@pytest.mark.parametrize("interval", [1, 8])
@pytest.mark.parametrize("cap", [1, 2, 8, 9])
def test_a_model_that_never_ends_is_cut_at_the_cap(monkeypatch: pytest.MonkeyPatch, cap: int, interval: int) -> None:
    model = network(end_share=0.0)
    encoded = heard(model, 4)
    monkeypatch.setattr(greedy, "steps_between_looks", lambda _: interval)
    found = search(model)(encoded, cap)
    assert [len(row) for row in found] == [cap] * 4
    assert found == generated(model, encoded, cap)


def test_no_step_is_taken_once_all_texts_have_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    model = network()
    encoded = heard(model, 6)
    found = search(model)(encoded, CAP)
    rows: list[int] = []
    advance = DecoderState.advance
    monkeypatch.setattr(
        DecoderState, "advance", lambda state, tokens: rows.append(len(tokens)) or advance(state, tokens)
    )
    search(model)(encoded, CAP)
    assert rows == [sum(len(row) >= step for row in found) for step in range(min(CAP, max(map(len, found)) + 1))]


def test_special_and_suppressed_tokens_are_never_said() -> None:
    model = network()
    encoded = heard(model, 12)
    favourite = max(range(END), key=lambda token: sum(token in row for row in search(model)(encoded, CAP)))
    model.generation_config.suppress_tokens = [favourite, 3, VOCABULARY - 1, 10**6]
    found = search(model)(encoded, CAP)
    assert not {favourite, 3} & {token for row in found for token in row}
    assert all(0 <= token < END for row in found for token in row)
    assert found == generated(model, encoded)


def test_ids_that_no_search_may_say_are_what_is_no_text_and_what_the_model_forbids() -> None:
    model = network()
    assert suppressed_ids(model, END) == list(range(END + 1, VOCABULARY))
    model.generation_config.suppress_tokens = [7, END + 2, -1, VOCABULARY]
    assert suppressed_ids(model, END) == [7, *range(END + 1, VOCABULARY)]


@given(st.lists(st.booleans(), min_size=1, max_size=40).filter(any))
def test_rows_close_up_with_as_few_copies_as_rows_left(alive: list[bool]) -> None:
    moves = Moves.of(alive, torch.device("cpu"))
    rows = torch.arange(len(alive))[None].clone()
    assert moves.apply(rows, 1)[0].tolist() == moves.kept
    assert sorted(moves.kept) == [row for row, stays in enumerate(alive) if stays]
    assert len(moves.sources) <= alive.count(False)
    assert all(moves.kept[row] == row for row in range(len(moves.kept)) if alive[row])
