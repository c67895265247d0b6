"""Contract: any text survives the tokenizer, and prefix and end are what generation expects, by name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import WhisperTokenizer
from transformers.models.whisper.tokenization_whisper import LANGUAGES

from asr.models.tokenizer import end_id, language_ids, prefix_ids, train_tokenizer
from tests.models import TEXTS

TOKENIZER = train_tokenizer(TEXTS, 300, "az")


def test_labels_start_with_the_prefix_and_stop_with_the_end() -> None:
    ids = TOKENIZER("İşığı yandır.").input_ids
    names = TOKENIZER.convert_ids_to_tokens(ids)
    assert names[:4] == ["<|startoftranscript|>", "<|az|>", "<|transcribe|>", "<|notimestamps|>"]
    assert names[-1] == "<|endoftext|>"
    assert ids[:4] == prefix_ids(TOKENIZER, "az")


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_any_text_comes_back_unchanged(text: str) -> None:
    ids = TOKENIZER(text, add_special_tokens=False).input_ids
    assert TOKENIZER.decode(ids, clean_up_tokenization_spaces=False) == text or "<|" in text


@given(st.text(alphabet="abcçdeəfgğhxıijkqlmnoöprsştuüvyz İI.,", max_size=40))
def test_text_has_ids_below_the_end_token(text: str) -> None:
    assert all(token < end_id(TOKENIZER) for token in TOKENIZER(text, add_special_tokens=False).input_ids)


def test_the_whole_language_list_is_carried_in_whispers_order() -> None:
    ids = language_ids(TOKENIZER)
    assert list(ids) == [f"<|{code}|>" for code in LANGUAGES]
    start = TOKENIZER.convert_tokens_to_ids("<|startoftranscript|>")
    assert list(ids.values()) == list(range(start + 1, start + 1 + len(LANGUAGES)))


@pytest.mark.parametrize("vocabulary", [256, 270, 300])
def test_the_end_token_follows_the_text_tokens(vocabulary: int) -> None:
    assert end_id(train_tokenizer(TEXTS, vocabulary, "az")) == vocabulary


def test_training_depends_on_the_texts_and_not_on_their_order() -> None:
    backwards = train_tokenizer(TEXTS[::-1], 300, "az")
    assert backwards.get_vocab() == TOKENIZER.get_vocab()


def test_saved_files_bring_back_the_same_tokenizer(tmp_path: "object") -> None:
    TOKENIZER.save_pretrained(tmp_path)
    loaded = WhisperTokenizer.from_pretrained(tmp_path)
    text = "Bakıda hava küləkli olacaq."
    assert loaded(text).input_ids == TOKENIZER(text).input_ids


def test_a_language_that_whisper_has_no_token_for_is_announced_as_its_neighbour() -> None:
    assert prefix_ids(TOKENIZER, "ky") == prefix_ids(TOKENIZER, "kk") != prefix_ids(TOKENIZER, "tr")
