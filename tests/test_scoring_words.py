"""Contract: the lists of word errors add up to the counts, and show the letters that the language confuses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.scoring.evaluation import evaluate_pairs
from asr.scoring.wer import Pair, corpus_score, score_utterances
from asr.scoring.word_errors import Confusion, WordCount, word_errors

texts = st.lists(st.sampled_from(["bir", "iki", "üç", "gün", "gun", "şəhər", "seher"]), max_size=7).map(" ".join)
corpora = st.lists(st.tuples(texts, texts), max_size=6)


def pairs(confusions):
    return [(row.said, row.written, row.count) for row in confusions]


def test_words_are_ranked_by_count_and_then_alphabetically():
    found = word_errors(["iki üç iki", "bir iki gün"], ["iyi üc iyi", "bir iki gun"])
    assert pairs(found.confusions) == [("iki", "iyi", 2), ("gün", "gun", 1), ("üç", "üc", 1)]
    assert found.substituted[0] == WordCount("iki", 2, 3)
    assert found.falsely_recognized[0] == WordCount("iyi", 2, 2)
    assert found.substituted[0].share == 2 / 3


def test_inserted_and_deleted_words_stand_with_their_occurrences():
    found = word_errors(["bu bir gün", "iki"], ["bir gün", "iki bir"])
    assert found.deleted == (WordCount("bu", 1, 1),)
    assert found.inserted == (WordCount("bir", 1, 2),)
    assert found.confusions == ()


@given(corpora)
def test_the_lists_add_up_to_the_counts(corpus):
    references, hypotheses = [said for said, _ in corpus], [heard for _, heard in corpus]
    found = word_errors(references, hypotheses)
    scores = score_utterances(references, hypotheses)
    substitutions = sum(score.substitutions for score in scores)
    for rows in (found.confusions, found.substituted, found.falsely_recognized):
        assert sum(row.count for row in rows) == substitutions
    assert sum(row.count for row in found.deleted) == sum(score.deletions for score in scores)
    assert sum(row.count for row in found.inserted) == sum(score.insertions for score in scores)
    for rows in (found.substituted, found.falsely_recognized, found.deleted, found.inserted):
        assert all(0 < row.share <= 1 for row in rows)


@given(corpora, st.randoms(use_true_random=False))
def test_the_order_of_clips_does_not_matter(corpus, random):
    shuffled = random.sample(corpus, len(corpus))
    one, other = (word_errors([r for r, _ in rows], [h for _, h in rows]) for rows in (corpus, shuffled))
    assert one == other


@pytest.mark.parametrize(
    ("said", "written", "letters"),
    [
        ("gəlir", "gelir", [("ə", "e", 1)]),
        ("qızıl", "qizil", [("ı", "i", 2)]),
        ("şəkər", "səkər", [("ş", "s", 1)]),
        ("çay", "cay", [("ç", "c", 1)]),
        ("dağ", "dag", [("ğ", "g", 1)]),
        ("göz", "goz", [("ö", "o", 1)]),
        ("gün", "gun", [("ü", "u", 1)]),
        ("gəlirəm", "gəlirə", []),
        ("gün", "dəniz", []),
    ],
)
def test_letters_are_compared_inside_words_that_are_alike(said, written, letters):
    assert pairs(word_errors([said], [written]).letters) == letters


def test_letters_count_as_often_as_their_words():
    found = word_errors(["gün gün bir gül"], ["gun gun bir gul"])
    assert found.letters == (Confusion("ü", "u", 3),)


def test_the_tables_have_a_row_a_word():
    tables = word_errors(["gün iki", "bu bir"], ["gun iki də", "bir"]).tables()
    assert list(tables) == ["confusions", "inserted", "deleted", "substituted", "letters"]
    assert tables["confusions"].columns == tables["letters"].columns == ("said", "written", "count")
    assert tables["deleted"].columns == ("word", "count", "occurrences", "share")
    assert tables["inserted"].rows == (("də", 1, 1, 1.0),)
    assert {name: table.rows for name, table in word_errors([], []).tables().items()} == dict.fromkeys(tables, ())


def test_words_made_up_of_silence_are_in_no_list():
    evaluation = evaluate_pairs([Pair("a", "Bir", "bir", "", 1.0), Pair("b", "", "salam", "", 1.0)], "az")
    assert evaluation.word_errors.inserted == ()
    assert evaluation.scores.silence.words_emitted == 1


def test_the_lists_of_a_corpus_are_of_normalised_words():
    evaluation = evaluate_pairs([Pair("a", "İndi, GÜN!", "indi gun", "", 1.0)], "az")
    assert pairs(evaluation.word_errors.confusions) == [("gün", "gun", 1)]
    assert corpus_score(evaluation.scores.utterances).substitutions == 1
