"""Contract: the losses are the field's, summed over tokens, so that micro-batches add up exactly."""

import pytest
import torch

from asr.errors import UserError
from asr.features import LogMel
from asr.models.tokenizer import end_id
from asr.training.batches import MicroBatch
from asr.training.data import TrainingSet
from asr.training.objective import IGNORED, Objective
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
