"""How long a label is: counted with a tokenizer, bounded without one, prefix and end included in both."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from asr.corpus.transcripts.labels import EXTRA_TOKENS, label_lengths, tokenizer_files, too_long_labels
from asr.errors import UserError

TEXTS = ["", "Salam.", "Bakıda hava küləkli olacaq.", "Görüş saat üçdədir, gecikmə!", "İşığı yandır, sonra söndür."]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    bpe.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False))
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    bpe.save(str(path))
    return path


def test_without_a_tokenizer_every_byte_may_be_a_token() -> None:
    assert label_lengths(["", "ab", "əş", "😀"], None) == [5, 7, 9, 9]


def test_with_a_tokenizer_the_length_is_that_of_its_ids_with_prefix_and_end(tokenizer: Path) -> None:
    reader = Tokenizer.from_file(str(tokenizer))
    assert label_lengths(TEXTS, tokenizer) == [len(reader.encode(text).ids) + 4 + 1 for text in TEXTS]


def test_a_tokenizer_file_that_cuts_pads_or_adds_tokens_is_counted_without_that(
    tokenizer: Path, tmp_path: Path
) -> None:
    cutting = Tokenizer.from_file(str(tokenizer))
    cutting.enable_truncation(2)
    cutting.enable_padding(length=50)
    cutting.save(str(tmp_path / "cutting.json"))
    assert label_lengths(TEXTS, tmp_path / "cutting.json") == label_lengths(TEXTS, tokenizer)


@given(st.text(max_size=60))
def test_the_bound_is_never_below_the_count(tokenizer: Path, text: str) -> None:
    assert label_lengths([text], tokenizer)[0] <= label_lengths([text], None)[0]


def test_a_label_of_exactly_the_limit_is_kept_and_one_more_is_not() -> None:
    texts = ["a" * (448 - EXTRA_TOKENS), "a" * (449 - EXTRA_TOKENS), "ə" * 221, "ə" * 222, ""]
    found = dict(too_long_labels(texts, 448, None))
    assert {place: (finding.value, finding.limit) for place, finding in found.items()} == {1: (449, 448), 3: (449, 448)}


def test_a_bounded_length_says_so_and_how_to_count() -> None:
    ((_, finding),) = too_long_labels(["a" * 500], 448, None)
    assert finding.code == "label.too_long"
    assert "505 tokens" in finding.message
    assert "at most" in finding.message
    assert "validate.tokenizer" in finding.message


def test_counting_saves_a_text_that_the_bound_would_reject(tokenizer: Path) -> None:
    text = "Bakıda hava küləkli olacaq. " * 20
    (counted,) = label_lengths([text], tokenizer)
    assert dict(too_long_labels([text], counted, None))
    assert not dict(too_long_labels([text], counted, tokenizer))
    ((place, finding),) = too_long_labels(["", text], counted - 1, tokenizer)
    assert (place, finding.value, finding.limit) == (1, counted, counted - 1)
    assert "counted with tokenizer.json" in finding.message
    assert str(tokenizer.parent) not in finding.message


@given(st.lists(st.text(max_size=30), max_size=8), st.integers(6, 40))
def test_only_measuring_the_suspects_finds_every_long_label(texts: list[str], most: int) -> None:
    expected = [place for place, length in enumerate(label_lengths(texts, None)) if length > most]
    assert [place for place, _ in too_long_labels(texts, most, None)] == expected


@given(st.lists(st.text(max_size=30), max_size=8), st.integers(6, 40))
def test_the_same_holds_when_they_are_counted(tokenizer: Path, texts: list[str], most: int) -> None:
    expected = [place for place, length in enumerate(label_lengths(texts, tokenizer)) if length > most]
    assert [place for place, _ in too_long_labels(texts, most, tokenizer)] == expected


def test_text_without_utf8_is_measured_all_the_same(tokenizer: Path) -> None:
    assert label_lengths(["\ud800"], None) == [8]
    assert len(label_lengths(["\ud800"], tokenizer)) == 1


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"a": 1}', '{"model": {}}'])
def test_a_file_that_is_no_tokenizer_is_an_error_of_the_user(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "tokenizer.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=r"validate\.tokenizer: .*tokenizer\.json"):
        list(too_long_labels([], 448, path))


def test_a_damaged_or_misnamed_tokenizer_is_an_error_of_the_user(tokenizer: Path, tmp_path: Path) -> None:
    content = json.loads(tokenizer.read_text())
    content["model"]["merges"] = [["no", "token"]]
    (tmp_path / "damaged.json").write_text(json.dumps(content))
    for path in (tmp_path / "damaged.json", tmp_path):
        with pytest.raises(UserError, match=r"give the tokenizer\.json"):
            label_lengths(["a"], path)


def test_bounding_a_large_corpus_takes_a_fraction_of_a_second() -> None:
    """351,019 texts in 0.3 s; the bound leaves room for a slow machine."""
    texts = ["Bu mövzumuzda biz sətr tipli obyektlər haqqında danışırıq."] * 300_000 + ["ə" * 200] * 51_019
    best = 10.0
    for _ in range(3):
        start = time.process_time()
        assert list(too_long_labels(texts, 448, None)) == []
        best = min(best, time.process_time() - start)
    assert best < 1.5


def test_a_tokenizer_outside_the_declared_folder_is_refused(tmp_path):
    inside = tmp_path / "external" / "tokenizer.json"
    assert tokenizer_files(str(inside), tmp_path / "external") == [inside]
    assert tokenizer_files(None, tmp_path) == []
    for outside in (tmp_path / "tokenizer.json", tmp_path / "external" / ".." / "tokenizer.json"):
        with pytest.raises(UserError, match=r"not in .*put the file there"):
            tokenizer_files(str(outside), tmp_path / "external")
