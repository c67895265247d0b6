"""Contract: an alignment says what became of every word, and which errors are only misplaced spaces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.scoring.alignment import AlignedWord, CompoundSplits, align, compound_splits

texts = st.lists(st.sampled_from(["a", "b", "ab", "ba", "aba"]), max_size=8).map(" ".join)

ALIGNMENTS = [
    ("a b", "a b", [("hit", "a", "a"), ("hit", "b", "b")]),
    ("a b", "a c", [("hit", "a", "a"), ("substitution", "b", "c")]),
    ("a b", "b", [("deletion", "a", ""), ("hit", "b", "b")]),
    ("b", "b c", [("hit", "b", "b"), ("insertion", "", "c")]),
    ("", "a", [("insertion", "", "a")]),
    ("a", "", [("deletion", "a", "")]),
    ("", "", []),
    ("a  b ", " a\u00a0b", [("hit", "a", "a"), ("hit", "b", "b")]),
]

COMPOUNDS = [
    # reference, hypothesis, merged, split
    ("hər gün gəlir", "hərgün gəlir", 1, 0),
    ("hərgün gəlir", "hər gün gəlir", 0, 1),
    ("hər gün bu gün", "hərgün bugün", 1, 0),
    ("hər gün o gəlir bu gün", "hərgün o gəlir bugün", 2, 0),
    ("hərgün", "hər gün gün", 0, 0),
    ("hər gün", "hər", 0, 0),
    ("a b", "a b", 0, 0),
    ("ab c", "a bc", 0, 0),
    ("", "a", 0, 0),
    ("a", "", 0, 0),
]


@pytest.mark.parametrize(("reference", "hypothesis", "expected"), ALIGNMENTS)
def test_every_word_has_its_counterpart(reference, hypothesis, expected):
    assert align(reference, hypothesis) == tuple(AlignedWord(*step) for step in expected)


@given(texts, texts)
def test_both_texts_can_be_read_off_an_alignment(reference, hypothesis):
    steps = align(reference, hypothesis)
    assert [step.reference for step in steps if step.kind != "insertion"] == reference.split()
    assert [step.hypothesis for step in steps if step.kind != "deletion"] == hypothesis.split()
    assert all((step.reference == step.hypothesis) == (step.kind == "hit") for step in steps)


@pytest.mark.parametrize(("reference", "hypothesis", "merged", "split"), COMPOUNDS)
def test_misplaced_spaces_are_counted_by_their_direction(reference, hypothesis, merged, split):
    assert compound_splits([align(reference, hypothesis)]) == CompoundSplits(merged, split)


def test_compounds_of_a_corpus_are_those_of_its_utterances():
    assert compound_splits(align(said, heard) for said, heard, *_ in COMPOUNDS) == CompoundSplits(4, 1)
    assert compound_splits([]) == CompoundSplits(0, 0)
