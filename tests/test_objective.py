"""Contract: the losses are the field's, summed over tokens, so that micro-batches add up exactly."""

import copy
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from asr.errors import UserError
from asr.features import LogMel
from asr.models.tokenizer import end_id
from asr.training.batches import MicroBatch
from asr.training.data import TrainingSet
from asr.training.objective import IGNORED, CrossEntropy, Labels, Objective, cross_entropy, decode
from tests.models import tiny_corpus, tiny_model

CTC = 0.5


@pytest.fixture(scope="module")
def setting() -> tuple[Objective, TrainingSet]:
    torch.manual_seed(0)
    model = tiny_model(dropout=0.0)
    utterances, clips = tiny_corpus()
    data = TrainingSet.build(utterances, clips, model.tokenizer, model.edges, "az")
    objective = Objective(model.network, end_id(model.tokenizer), label_smoothing=0.1, ctc_weight=CTC)
    return objective.eval(), data


def losses(objective: Objective, data: TrainingSet, batch: MicroBatch) -> tuple[torch.Tensor, torch.Tensor]:
    return objective(LogMel(80)(data.wave(batch)), data.labels(batch))


def same_edge(data: TrainingSet) -> MicroBatch:
    edges = data.edge_indices()
    return MicroBatch(2, tuple(i for i, edge in enumerate(edges) if edge == 2))


def test_losses_of_parts_add_up_to_the_loss_of_the_whole(setting: tuple[Objective, TrainingSet]) -> None:
    objective, data = setting
    batch = same_edge(data)
    assert len(batch.clips) >= 4
    whole = losses(objective, data, batch)
    parts = [losses(objective, data, MicroBatch(2, (clip,))) for clip in batch.clips]
    for index in range(2):
        assert torch.allclose(whole[index], sum(part[index] for part in parts), rtol=1e-5)


def test_gradients_do_not_depend_on_the_micro_batches(setting: tuple[Objective, TrainingSet]) -> None:
    objective, data = setting
    batch = same_edge(data)
    gradients = []
    for parts in ([batch.clips], [(clip,) for clip in batch.clips]):
        objective.zero_grad()
        for part in parts:
            cross_entropy, ctc = losses(objective, data, MicroBatch(2, part))
            (cross_entropy + CTC * ctc).backward()
        gradients.append(torch.cat([p.grad.flatten() for p in objective.parameters() if p.grad is not None]))
    scale = gradients[0].abs().max()
    assert torch.allclose(gradients[0] / scale, gradients[1] / scale, atol=1e-5, rtol=0)


def test_without_smoothing_the_cross_entropy_is_transformers_own(setting: tuple[Objective, TrainingSet]) -> None:
    objective, data = setting
    clip = same_edge(data).clips[0]
    batch = MicroBatch(2, (clip,))
    plain = Objective(objective.model, objective.blank, label_smoothing=0.0, ctc_weight=0.0).eval()
    text = list(data.texts[clip])
    # transformers shifts labels by itself; the prefix is masked because it is given, not predicted
    labels = torch.tensor([[IGNORED] * (len(data.prefix) - 1) + text + [data.end]])
    decoder_input = torch.tensor([[*data.prefix, *text]])
    mel = LogMel(80)(data.wave(batch))
    wanted = objective.model(input_features=mel, decoder_input_ids=decoder_input, labels=labels, use_cache=False).loss
    assert torch.allclose(losses(plain, data, batch)[0] / (len(text) + 1), wanted, rtol=1e-5)


def test_the_decoder_sees_the_prefix_and_predicts_the_text_and_one_end(setting: tuple[Objective, TrainingSet]) -> None:
    _, data = setting
    labels = data.labels(MicroBatch(2, (0, 1)))
    for row, clip in enumerate((0, 1)):
        text = list(data.texts[clip])
        assert labels.decoder_input[row, : 4 + len(text)].tolist() == [*data.prefix, *text]
        assert labels.targets[row, : len(text) + 1].tolist() == [*text, data.end]
        assert set(labels.targets[row, len(text) + 1 :].tolist()) <= {IGNORED}


def test_a_clip_without_text_is_learnt_as_an_immediate_end(setting: tuple[Objective, TrainingSet]) -> None:
    objective, data = setting
    silent = next(i for i, item in enumerate(data.utterances) if not item.text)
    batch = MicroBatch(2, (silent,))
    assert data.labels(batch).targets.tolist() == [[data.end]]
    assert all(torch.isfinite(loss) for loss in losses(objective, data, batch))


def test_every_parameter_gets_a_gradient(setting: tuple[Objective, TrainingSet]) -> None:
    objective, data = setting
    objective.zero_grad()
    cross_entropy, ctc = losses(objective, data, same_edge(data))
    (cross_entropy + ctc).backward()
    missing = [name for name, p in objective.named_parameters() if p.requires_grad and p.grad is None]
    assert missing == []


def test_a_label_beyond_the_decoders_positions_is_refused_by_id(setting: tuple[Objective, TrainingSet]) -> None:
    _, data = setting
    with pytest.raises(UserError, match=r"label\.too_long: clip clip\d\d has \d+ label tokens, the model 6 positions"):
        data.require_fitting_labels(max_positions=6, ctc=False)


def test_a_label_that_ctc_cannot_align_is_refused_by_id(setting: tuple[Objective, TrainingSet]) -> None:
    _, data = setting
    short = TrainingSet(data.utterances, data.clips, [[1, 1] * 60] * 12, data.edges, data.prefix, data.end)
    short.require_fitting_labels(max_positions=448, ctc=False)
    with pytest.raises(UserError, match=r"label\.ctc_too_short: clip \w+ has .* s for 239 CTC labels"):
        short.require_fitting_labels(max_positions=448, ctc=True)


def test_an_empty_training_split_is_refused() -> None:
    model = tiny_model()
    with pytest.raises(UserError, match="training split has no clips"):
        TrainingSet.build([], {}, model.tokenizer, model.edges, "az")


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-6), (torch.bfloat16, 4e-3)])
def test_the_cross_entropy_and_its_gradient_are_pytorchs_own(
    smoothing: float, dtype: torch.dtype, bound: float
) -> None:
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(6, 300, generator=draw).to(dtype).requires_grad_()
    targets = torch.tensor([3, 299, IGNORED, 0, IGNORED, 7])
    exact = logits.detach().double().requires_grad_()
    wanted = F.cross_entropy(exact, targets, reduction="sum", label_smoothing=smoothing) * 0.25
    found = CrossEntropy.apply(logits, targets, smoothing) * 0.25
    wanted.backward()
    found.backward()
    assert found.item() == pytest.approx(wanted.item(), rel=1e-6)
    assert logits.grad is not None
    assert exact.grad is not None
    assert logits.grad.dtype == dtype
    assert (logits.grad - exact.grad).abs().max() <= bound * exact.grad.abs().max()


def test_rows_that_do_not_count_get_no_gradient_and_reach_no_head() -> None:
    hidden = torch.randn(5, 8, generator=torch.Generator().manual_seed(0), requires_grad=True)
    head, rows = torch.nn.Linear(8, 20, bias=False), []
    head.register_forward_hook(lambda _, given, __: rows.append(len(given[0])))
    cross_entropy(head, hidden, torch.tensor([1, IGNORED, 2, IGNORED, IGNORED]), 0.1).backward()
    assert hidden.grad is not None
    assert hidden.grad.abs().sum(1).gt(0).tolist() == [True, False, True, False, False]
    assert rows == [2]


def test_a_gradient_cannot_be_taken_twice_from_memory_that_is_written_over() -> None:
    logits = torch.randn(3, 9, requires_grad=True)
    loss = CrossEntropy.apply(logits, torch.tensor([1, 2, 3]), 0.1)
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_the_decoder_is_transformers_own_with_its_dropout() -> None:
    model = tiny_model(dropout=0.3, decoder_layers=2).network.train()
    encoded = torch.randn(2, 50, 16, generator=torch.Generator().manual_seed(0))
    tokens = torch.tensor([[1, 2, 3, 4, 5], [6, 7, 8, 9, 9]])
    torch.manual_seed(3)
    wanted = model.model.decoder(input_ids=tokens, encoder_hidden_states=encoded, use_cache=False).last_hidden_state
    torch.manual_seed(3)
    assert torch.equal(decode(model.model.decoder, tokens, encoded), wanted)


def attentions(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bool, bool]]:
    """Of each attention from now on: whether it gets a mask, and whether it is causal by the flag."""
    seen: list[tuple[bool, bool]] = []
    original = F.scaled_dot_product_attention

    def watched(*args: Any, attn_mask: Any = None, is_causal: bool = False, **rest: Any) -> torch.Tensor:
        seen.append((attn_mask is not None or len(args) > 3, bool(is_causal)))
        return original(*args, attn_mask=attn_mask, is_causal=is_causal, **rest)

    monkeypatch.setattr(F, "scaled_dot_product_attention", watched)
    return seen


def test_no_attention_in_a_training_step_gets_a_mask(
    setting: tuple[Objective, TrainingSet], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kernels without one are the fast ones; only the decoder's self-attention, which comes before its cross-
    attention, must not look ahead."""
    objective, data = setting
    seen = attentions(monkeypatch)
    losses(objective, data, same_edge(data))
    assert seen == [(False, False), (False, True), (False, False)]


def test_a_mask_would_be_noticed(setting: tuple[Objective, TrainingSet], monkeypatch: pytest.MonkeyPatch) -> None:
    objective, data = setting
    batch = same_edge(data)
    labels = data.labels(batch)
    seen = attentions(monkeypatch)
    objective.model(
        input_features=LogMel(80)(data.wave(batch)),
        decoder_input_ids=labels.decoder_input,
        decoder_attention_mask=(labels.decoder_input != data.end).long(),
        use_cache=False,
    )
    assert any(masked for masked, _ in seen)


def on_meta(objective: Objective, labels: Labels) -> tuple[Objective, torch.Tensor, Labels]:
    """On a device that has shapes and no values, so that reading one raises."""
    moved = Labels(*(part.to("meta") for part in vars(labels).values()))
    return copy.deepcopy(objective).to("meta").train(), torch.empty(len(labels.lengths), 80, 300, device="meta"), moved


def test_forward_and_backward_read_nothing_from_the_device(
    setting: tuple[Objective, TrainingSet], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda _: False)  # it does not know the device meta
    objective, data = setting
    model, mel, labels = on_meta(objective, data.labels(same_edge(data)))
    model.ctc_head = None
    model(mel, labels)[0].backward()


def test_a_read_from_the_device_would_be_noticed(setting: tuple[Objective, TrainingSet]) -> None:
    """Transformers' own forward of the decoder looks for packed sequences in every training step."""
    objective, data = setting
    model, mel, labels = on_meta(objective, data.labels(same_edge(data)))
    encoded = model.model.model.encoder(mel).last_hidden_state
    with pytest.raises(RuntimeError, match="meta"):
        model.model.model.decoder(input_ids=labels.decoder_input, encoder_hidden_states=encoded, use_cache=False)


def test_autocast_casts_the_encoders_output_once_for_all_layers() -> None:
    model, seen = tiny_model(dropout=0.0, decoder_layers=2).network, []
    for layer in model.model.decoder.layers:
        layer.register_forward_pre_hook(lambda _, given: seen.append(given[2]))
    tokens, encoded = torch.tensor([[1, 2, 3]]), torch.randn(1, 50, 16)
    decode(model.model.decoder, tokens, encoded)
    with torch.autocast("cpu", torch.bfloat16):
        decode(model.model.decoder, tokens, encoded)
    assert [tensor.dtype for tensor in seen] == [torch.float32] * 2 + [torch.bfloat16] * 2
    assert seen[2] is seen[3]
