"""Contract: labels that would teach something else than one prefix, the text and one end stop training, by clip id."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr.errors import UserError
from asr.models.tokenizer import end_id, prefix_ids
from asr.training import data as data_module
from asr.training.batches import MicroBatch
from asr.training.data import TrainingSet
from asr.training.labels import collate, require_sound
from asr.training.objective import IGNORED, Labels
from tests.models import tiny_corpus, tiny_model
from tests.training import splits, stage, whole_run

MODEL = tiny_model()
PREFIX, END = tuple(prefix_ids(MODEL.tokenizer, "az")), end_id(MODEL.tokenizer)
BATCH = MicroBatch(2, (0, 1, 2, 4))
Collate = Callable[[Sequence[Sequence[int]], Sequence[int], int], Labels]


class Wilful:
    """A tokenizer that adds special tokens although it is asked not to."""

    def __init__(self, before: Sequence[int], after: Sequence[int]) -> None:
        self.before, self.after = list(before), list(after)

    def __call__(self, texts: Sequence[str], add_special_tokens: bool) -> "Wilful":
        assert not add_special_tokens
        plain = MODEL.tokenizer(texts, add_special_tokens=False).input_ids
        self.input_ids = [[*self.before, *text, *self.after] for text in plain]
        return self

    def convert_tokens_to_ids(self, name: str) -> int:
        return int(MODEL.tokenizer.convert_tokens_to_ids(name))


def training_set(tokenizer: object = MODEL.tokenizer) -> TrainingSet:
    utterances, clips = tiny_corpus()
    return TrainingSet.build(utterances, clips, tokenizer, MODEL.edges, "az")


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (PREFIX, [END], r"label\.double_prefix: clip clip00 has the special token \d+ as text token 1 of"),
        (PREFIX[:1], [], r"label\.double_prefix: clip clip00"),
        (PREFIX[1:3], [], r"label\.double_prefix: clip clip00"),
        ([], [END], r"label\.no_eos: clip clip00 has an end token"),
        ([END], [], r"label\.no_eos: clip clip00 has an end token \(\d+\) as text token 1"),
    ],
    ids=["prefix and end", "start", "language and task", "end", "bos, which is the end in Whisper"],
)
def test_a_tokenizer_that_adds_special_tokens_is_found_before_the_first_step(
    before: Sequence[int], after: Sequence[int], message: str
) -> None:
    with pytest.raises(UserError, match=f"{message}.*add_special_tokens=False"):
        training_set(Wilful(before, after)).require_fitting_labels(448, ctc=False)


def test_a_special_token_written_in_a_transcript_is_found() -> None:
    utterances, clips = tiny_corpus()
    utterances[3] = replace(utterances[3], text="Salam <|az|> dünya")
    planted = TrainingSet.build(utterances, clips, MODEL.tokenizer, MODEL.edges, "az")
    with pytest.raises(UserError, match=r"label\.double_prefix: clip clip03 .*take the token out of the transcript"):
        planted.require_fitting_labels(448, ctc=False)


def test_good_labels_pass_with_and_without_text() -> None:
    data = training_set()
    data.require_fitting_labels(448, ctc=False)
    data.require_start(MODEL.network.config.decoder_start_token_id)
    assert data.labels(BATCH).targets[3].tolist()[0] == END, "the batch holds a clip without text"


def test_the_prefix_is_compared_with_the_decoders_start_and_not_with_bos() -> None:
    config = MODEL.network.config
    assert config.bos_token_id != config.decoder_start_token_id, "in Whisper bos is the end token"
    with pytest.raises(UserError, match=r"run\.identity_mismatch: the tokenizer's prefix begins with token"):
        training_set().require_start(config.bos_token_id)


def masked_pads(texts: Sequence[Sequence[int]], prefix: Sequence[int], end: int) -> Labels:
    """Pad equals end: a mask by token id takes the end token too (transformers PR#19166)."""
    labels = collate(texts, prefix, end)
    return replace(labels, targets=labels.targets.masked_fill(labels.targets == end, IGNORED))


def unmasked_pads(texts: Sequence[Sequence[int]], prefix: Sequence[int], end: int) -> Labels:
    labels = collate(texts, prefix, end)
    return replace(labels, targets=labels.targets.masked_fill(labels.targets == IGNORED, end))


def cut(texts: Sequence[Sequence[int]], prefix: Sequence[int], end: int) -> Labels:
    labels = collate(texts, prefix, end)
    return replace(labels, targets=labels.targets[:, :-1])


def all_masked(texts: Sequence[Sequence[int]], prefix: Sequence[int], end: int) -> Labels:
    labels = collate(texts, prefix, end)
    return replace(labels, targets=torch.full_like(labels.targets, IGNORED))


def one_row_masked(texts: Sequence[Sequence[int]], prefix: Sequence[int], end: int) -> Labels:
    labels = collate(texts, prefix, end)
    labels.targets[1] = IGNORED
    return labels


def doubled(texts: Sequence[Sequence[int]], prefix: Sequence[int], end: int) -> Labels:
    return collate(texts, (*prefix, *prefix), end)


def without_prefix(texts: Sequence[Sequence[int]], prefix: Sequence[int], end: int) -> Labels:
    labels = collate(texts, prefix, end)
    return replace(labels, decoder_input=torch.roll(labels.decoder_input, -1, dims=1))


def begun_with_bos(texts: Sequence[Sequence[int]], prefix: Sequence[int], end: int) -> Labels:
    """In Whisper bos is the end token, and decoding starts with another one (transformers#29973)."""
    labels = collate(texts, prefix, end)
    labels.decoder_input[:, 0] = end
    return labels


def learnt_prefix(texts: Sequence[Sequence[int]], prefix: Sequence[int], end: int) -> Labels:
    """The prefix in the targets as well, as where it is not cut off before the shift."""
    longer = collate([[*prefix, *text] for text in texts], (), end)
    return replace(collate(texts, prefix, end), targets=longer.targets, lengths=longer.lengths)


@pytest.mark.parametrize(
    ("planted", "code", "clip"),
    [
        (masked_pads, "label.no_eos", "clip00"),
        (unmasked_pads, "label.no_eos", "clip00"),
        (cut, "label.no_eos", "clip02"),
        (all_masked, "label.all_masked", "clip00"),
        (one_row_masked, "label.all_masked", "clip01"),
        (doubled, "label.double_prefix", "clip00"),
        (without_prefix, "label.double_prefix", "clip00"),
        (begun_with_bos, "label.double_prefix", "clip00"),
        (learnt_prefix, "label.double_prefix", "clip00"),
    ],
)
def test_a_fault_of_the_collation_is_found_in_the_arrays(
    monkeypatch: pytest.MonkeyPatch, planted: Collate, code: str, clip: str
) -> None:
    data = training_set()
    data.labels(MicroBatch(2, (0, 1, 2)))
    monkeypatch.setattr(data_module, "collate", planted)
    with pytest.raises(UserError, match=rf"{code}: clip {clip}: .*; mend `collate`"):
        data.labels(MicroBatch(2, (0, 1, 2)))


@given(st.lists(st.lists(st.integers(0, END - 1), max_size=6), min_size=1, max_size=5))
def test_the_collation_of_any_text_is_sound(texts: list[list[int]]) -> None:
    require_sound(collate(texts, PREFIX, END), [f"clip{i}" for i in range(len(texts))], PREFIX, END)


def test_the_remedies_name_parameters_that_exist() -> None:
    data = training_set()
    with pytest.raises(UserError, match=r"validate\.max_label_tokens to 6 or less, and validate\.tokenizer"):
        data.require_fitting_labels(6, ctc=False)
    short = replace(data, texts=[[1, 1] * 60] * 12)
    with pytest.raises(UserError, match=r"validate\.max_characters_per_second or set train\.ctc_weight"):
        short.require_fitting_labels(448, ctc=True)


def test_a_run_stops_at_a_planted_fault_before_a_weight_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.setattr(data_module, "collate", masked_pads)
    stepped: list[int] = []
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda *_: stepped.append(1))
    with pytest.raises(UserError, match=r"label\.(no_eos|all_masked)"):
        whole_run(stage(), splits(), tmp_path)
    assert stepped == []
