"""Contract: compiled steps have the losses and gradients of plain ones, in one graph for each shape of a layer."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from asr.errors import UserError
from asr.features import LogMel
from asr.models.tokenizer import end_id
from asr.training.batches import MicroBatch
from asr.training.compiled import LABEL_STEP, Compiled, label_lengths, padded
from asr.training.data import TrainingSet
from asr.training.objective import IGNORED, Labels, Objective
from asr.training.savers import checkpoint_gradients, freeze_encoder
from tests.models import tiny_corpus, tiny_model

CTC = 0.5
POSITIONS = 448


class Counting:
    """A backend that runs graphs as they are, and counts them."""

    def __init__(self) -> None:
        self.graphs = 0

    def __call__(self, graph: torch.fx.GraphModule, _: list[torch.Tensor]) -> Callable[..., Any]:
        self.graphs += 1
        return graph.forward


def candidates(data: TrainingSet) -> dict[int, list[int]]:
    """The clips of each edge, where no clip is padded further than it must."""
    edges = data.edge_indices()
    return {edge: [clip for clip, own in enumerate(edges) if own == edge] for edge in set(edges)}


def made(**changes: Any) -> tuple[Objective, TrainingSet]:
    """Three layers of a kind; a new objective in every call, with the same weights."""
    torch.compiler.reset()
    torch.manual_seed(0)
    model = tiny_model(**{"dropout": 0.0, "encoder_layers": 3, "decoder_layers": 3, **changes})
    utterances, clips = tiny_corpus()
    data = TrainingSet.build(utterances, clips, model.tokenizer, model.edges, "az")
    objective = Objective(model.network, end_id(model.tokenizer), label_smoothing=0.1, ctc_weight=CTC)
    return objective.train(), data


def batch_of(data: TrainingSet, edge: int, most: int = 3) -> MicroBatch:
    return MicroBatch(edge, tuple(i for i, own in enumerate(data.edge_indices()) if own == edge)[:most])


def gradient(objective: Objective, losses: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    objective.zero_grad()
    (losses[0] + CTC * losses[1]).backward()
    return torch.cat([p.grad.flatten() for p in objective.parameters() if p.grad is not None])


def require_equal(objective: Objective, data: TrainingSet, compiled: Compiled, edge: int) -> None:
    """Losses and gradients of the compiled path are those of the plain one, to 1e-5 of the largest."""
    batch = batch_of(data, edge)
    mel, labels = LogMel(80)(data.wave(batch)), data.labels(batch)
    plain, ours = objective(mel, labels), compiled(mel, labels, edge)
    for one, other in zip(ours, plain, strict=True):
        assert torch.allclose(one, other, rtol=1e-5)
    wanted, found = gradient(objective, plain), gradient(objective, ours)
    assert (found - wanted).abs().max() <= 1e-5 * wanted.abs().max()


@pytest.mark.parametrize("checkpointed", [False, True])
@pytest.mark.parametrize("frozen", [False, True])
def test_losses_and_gradients_are_those_of_the_plain_path(frozen: bool, checkpointed: bool) -> None:
    objective, data = made(encoder_layers=2, decoder_layers=2)
    if frozen:
        freeze_encoder(objective.model)
    if checkpointed:
        checkpoint_gradients(objective.model)
    require_equal(objective, data, Compiled.of(objective, data, candidates(data), "aot_eager"), edge=2)


@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler on this machine")
def test_the_real_compiler_gives_the_same_too() -> None:
    objective, data = made(encoder_layers=1, decoder_layers=1)
    compiled = Compiled.of(objective, data, candidates(data))
    few_graphs = replace(compiled, layers=compiled.layers[-1:], head=objective.head)  # each takes it seconds
    require_equal(objective, data, few_graphs, edge=2)


@pytest.mark.parametrize("checkpointed", [False, True])
def test_all_layers_of_a_kind_share_one_graph_for_each_shape(checkpointed: bool) -> None:
    objective, data = made()
    if checkpointed:
        checkpoint_gradients(objective.model)
    backend = Counting()
    compiled = Compiled.of(objective, data, candidates(data), backend)
    edges, before = sorted(set(data.edge_indices())), backend.graphs
    assert len(edges) > 1
    for _ in range(2):
        for edge in edges:
            batch = batch_of(data, edge)
            losses = compiled(LogMel(80)(data.wave(batch)), data.labels(batch), edge)
            gradient(objective, losses)
    heads = {(len(batch_of(data, edge).clips), compiled.lengths[edge]) for edge in edges}
    assert backend.graphs - before == 2 * len(edges) + len(heads)  # an encoder and a decoder layer an edge


def test_more_shapes_than_pytorch_allows_by_itself_are_compiled() -> None:
    objective, data = made(encoder_layers=1, decoder_layers=1)
    backend = Counting()
    compiled = Compiled.of(objective, data, candidates(data), backend)
    batch, before = batch_of(data, 2, most=1), backend.graphs
    labels = data.labels(batch)
    for shape in range(1, 10):
        compiled(torch.zeros(1, 80, 4 * shape), labels, 2)
    assert backend.graphs - before == 9 * 2 + 1  # the head sees one shape, each kind of layer nine


def test_what_is_not_a_compiled_step_runs_plain() -> None:
    objective, data = made()
    backend = Counting()
    compiled = Compiled.of(objective, data, candidates(data), backend)
    batch = batch_of(data, 2)
    mel, labels = LogMel(80)(data.wave(batch)), data.labels(batch)
    compiled(mel, labels, 2)
    before = backend.graphs
    objective.eval()
    objective(mel[:1], data.labels(MicroBatch(2, batch.clips[:1])))
    assert backend.graphs == before


def test_names_of_weights_and_modules_stay_also_after_an_error() -> None:
    objective, data = made()
    names, modules = list(objective.state_dict()), [name for name, _ in objective.named_modules()]
    compiled = Compiled.of(objective, data, candidates(data), "eager")
    batch = batch_of(data, 2)
    labels = data.labels(batch)
    compiled(LogMel(80)(data.wave(batch)), labels, 2)
    with pytest.raises(UserError, match="encoder positions"):
        compiled(torch.zeros(3, 80, 100_000), labels, 2)
    assert list(objective.state_dict()) == names
    assert [name for name, _ in objective.named_modules()] == modules
    assert not [layer for layer, _ in compiled.layers if "forward" in vars(layer)]
    assert objective.head.__module__ == "asr.training.objective"


def test_dropout_is_drawn_from_the_seed_of_the_micro_batch() -> None:
    objective, data = made(dropout=0.3)
    compiled = Compiled.of(objective, data, candidates(data), "aot_eager")
    batch = batch_of(data, 2)
    mel, labels = LogMel(80)(data.wave(batch)), data.labels(batch)
    losses = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        losses.append(compiled(mel, labels, 2)[0].item())
    assert losses[0] == losses[1] != losses[2]


def test_checkpointed_layers_draw_the_same_dropout_twice() -> None:
    found = []
    for checkpointed in (False, True):
        objective, data = made(dropout=0.3, encoder_layers=1, decoder_layers=1)
        if checkpointed:
            checkpoint_gradients(objective.model)
        compiled, batch = Compiled.of(objective, data, candidates(data), "aot_eager"), batch_of(data, 2)
        of_decoder = replace(compiled, layers=compiled.layers[-1:])
        torch.manual_seed(1)
        losses = of_decoder(LogMel(80)(data.wave(batch)), data.labels(batch), 2)
        found.append((losses[0].item(), gradient(objective, losses)))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-6)
    assert (found[0][1] - found[1][1]).abs().max() <= 1e-5 * found[0][1].abs().max()


def test_each_edge_has_one_label_length_with_room_for_its_longest_text() -> None:
    _, data = made()
    lengths = label_lengths(data, candidates(data), POSITIONS)
    assert set(lengths) == set(data.edge_indices())
    for edge, own in lengths.items():
        longest = max(len(text) + 1 for text, at in zip(data.texts, data.edge_indices(), strict=True) if at == edge)
        assert longest <= own < longest + LABEL_STEP
        assert own % LABEL_STEP == 0


def test_a_label_length_never_exceeds_the_decoders_positions() -> None:
    _, data = made()
    positions = len(data.prefix) + max(map(len, data.texts)) + 1  # as few as `require_fitting_labels` lets through
    longest = max(label_lengths(data, candidates(data), positions).values())
    assert longest >= max(map(len, data.texts)) + 1
    assert len(data.prefix) + longest - 1 <= positions


@pytest.mark.parametrize("more", [0, 1, 37])
def test_longer_labels_change_no_loss_and_no_gradient(more: int) -> None:
    objective, data = made()
    batch = batch_of(data, 2)
    mel, labels = LogMel(80)(data.wave(batch)), data.labels(batch)
    longer = padded(labels, labels.targets.shape[1] + more, data.end)
    assert longer.targets.shape[1] == labels.targets.shape[1] + more
    assert longer.decoder_input.shape[1] == labels.decoder_input.shape[1] + more
    plain, ours = objective(mel, labels), objective(mel, longer)
    for one, other in zip(ours, plain, strict=True):
        assert torch.allclose(one, other, rtol=1e-6)
    wanted, found = gradient(objective, plain), gradient(objective, ours)
    assert (found - wanted).abs().max() <= 1e-5 * wanted.abs().max()


def test_padding_that_counts_would_be_noticed() -> None:
    objective, data = made()
    batch = batch_of(data, 2)
    mel, labels = LogMel(80)(data.wave(batch)), data.labels(batch)
    longer = padded(labels, labels.targets.shape[1] + 8, data.end)
    wrong: Labels = replace(longer, targets=longer.targets.where(longer.targets != IGNORED, data.end))
    assert not torch.allclose(objective(mel, wrong)[0], objective(mel, labels)[0], rtol=1e-3)


def test_a_machine_that_cannot_compile_is_refused_before_the_first_step() -> None:
    def broken(*_: object) -> Callable[..., Any]:
        raise RuntimeError("no such compiler")

    objective, data = made()
    with pytest.raises(UserError, match=r"train\.compile: this machine cannot compile for cpu .*train\.compile to fa"):
        Compiled.of(objective, data, candidates(data), broken)
