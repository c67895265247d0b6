"""Contract: error rates are sums over sums, every count is there to recompute them, and what has no rate is refused."""

import json
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from asr.errors import UserError
from asr.scoring.evaluation import evaluate_pairs
from asr.scoring.intervals import bootstrap_interval
from asr.scoring.wer import Pair, Score, score, score_utterances
from asr.text import NORMALIZER_VERSION

RATES = [
    # reference, hypothesis, normalised WER, orthographic WER, normalised CER
    ("a b c d", "a b c d", 0, 0, 0),
    ("a b c d", "a x c d", 1 / 4, 1 / 4, 1 / 7),
    ("a b c d", "a c d", 1 / 4, 1 / 4, 2 / 7),
    ("a b", "a b c", 1 / 2, 1 / 2, 2 / 3),
    ("a", "b c d", 3, 3, 5),
    ("a b", "", 1, 1, 1),
    ("a b", "ab", 1, 1, 1 / 3),
    ("Salam, dünya!", "salam dünya", 0, 1, 0),
    ("İstanbul IŞIQ", "istanbul ışıq", 0, 1, 0),
    ("İstanbul", "İSTANBUL".lower(), 0, 1, 0),
    ("səhər", "sәhәr", 0, 0, 0),
    ("gözəl", unicodedata.normalize("NFD", "gözəl"), 0, 0, 0),
    ("salam dünya", "salam\u00a0dünya", 0, 0, 0),
    ("Bakı'da", "Bakı\u2019da", 0, 0, 0),
    ("2021-ci il", "2021 ci il", 1, 1, 1 / 10),
]

words = st.sampled_from(["bir", "iki", "üç", "dörd", "ilk-dəfə"])
texts = st.lists(words, max_size=8).map(" ".join)
corpora = st.lists(st.tuples(texts, texts), min_size=1, max_size=6)


def pair(reference="salam dünya", hypothesis="salam", group="", duration=1.5, name="a"):
    return Pair(id=name, reference=reference, hypothesis=hypothesis, group=group, duration=duration)


@pytest.mark.parametrize(("reference", "hypothesis", "wer", "orthographic", "cer"), RATES)
def test_rates_of_one_utterance(reference, hypothesis, wer, orthographic, cer):
    scores = score([reference], [hypothesis], "az")
    assert scores.normalized.wer == wer
    assert scores.orthographic.wer == orthographic
    assert scores.normalized.cer == pytest.approx(cer)


def test_the_corpus_rate_is_a_rate_of_sums_and_no_mean_of_rates():
    long = "a b c d e f g h i"
    assert score(["x", long], ["y", long], "az").normalized.wer == 1 / 10


def test_the_kinds_of_error_are_counted():
    counts = score(["a b c d"], ["a x c d e"], "az").normalized
    assert (counts.words, counts.hits, counts.substitutions, counts.deletions, counts.insertions) == (4, 3, 1, 0, 1)
    assert score(["a b"], ["b"], "az").normalized.deletions == 1


@given(corpora)
def test_sums_agree_with_an_independent_edit_distance(corpus):
    scores = score_utterances([r for r, _ in corpus], [h for _, h in corpus])
    assert sum(s.errors for s in scores) == sum(Levenshtein.distance(r.split(), h.split()) for r, h in corpus)
    assert sum(s.character_errors for s in scores) == sum(Levenshtein.distance(r, h) for r, h in corpus)
    assert sum(s.words for s in scores) == sum(len(r.split()) for r, _ in corpus)
    assert sum(s.characters for s in scores) == sum(len(r) for r, _ in corpus)


@given(corpora)
def test_counts_are_consistent(corpus):
    for counts, (reference, hypothesis) in zip(score_utterances(*zip(*corpus, strict=True)), corpus, strict=True):
        assert counts.hits + counts.substitutions + counts.deletions == counts.words == len(reference.split())
        assert counts.hits + counts.substitutions + counts.insertions == len(hypothesis.split())


@given(corpora, st.randoms(use_true_random=False))
def test_the_order_of_utterances_does_not_matter(corpus, random):
    shuffled = random.sample(corpus, len(corpus))
    one, other = (score_utterances(*zip(*rows, strict=True)) for rows in (corpus, shuffled))
    assert sorted(map(repr, one)) == sorted(map(repr, other))


def test_clips_without_speech_are_counted_apart_from_the_rate():
    scores = score(["salam", "", "...", ""], ["salam", "bir iki", "", "üç"], "az")
    assert scores.normalized.wer == 0
    assert scores.normalized.clips == scores.orthographic.clips == 1
    assert (scores.silence.clips, scores.silence.clips_with_output, scores.silence.words_emitted) == (3, 2, 3)
    assert [counts.errors for counts in scores.utterances] == [0, 2, 0, 1]


@pytest.mark.parametrize(
    ("references", "hypotheses", "message"),
    [
        ([], [], "0 clips without a single reference word"),
        (["", "?!"], ["salam", ""], "0 clips without a single reference word"),
        (["\u00a0\u200b", "-"], ["", ""], "0 clips without a single reference word"),
        (["salam"], [], "1 references but 0 hypotheses"),
    ],
)
def test_a_corpus_without_an_error_rate_is_refused(references, hypotheses, message):
    with pytest.raises(UserError, match=message):
        score(references, hypotheses, "az")


@pytest.mark.parametrize("pairs", [[], [pair("", "bir")], [pair("!", "")]])
def test_a_split_without_reference_words_is_refused(pairs):
    with pytest.raises(UserError, match="0 clips without a single reference word"):
        evaluate_pairs(pairs, "az")


def test_a_rate_over_no_words_is_refused():
    with pytest.raises(UserError, match="0 reference words"):
        _ = Score(clips=1, insertions=2).wer


def test_an_interval_encloses_the_rate_and_is_repeatable():
    errors, counts = [1, 0, 3, 2, 0, 1] * 20, [5, 4, 8, 6, 3, 7] * 20
    first = bootstrap_interval(errors, counts, [""] * len(errors))
    assert first == bootstrap_interval(errors, counts, [""] * len(errors))
    assert first.low < sum(errors) / sum(counts) < first.high
    assert first.groups == 120


def test_an_interval_agrees_with_plain_resampling_of_utterances():
    random = np.random.default_rng(5)
    counts = random.integers(3, 15, size=300)
    errors = random.binomial(counts, 0.2)
    picks = random.integers(0, 300, size=(4000, 300))
    expected = np.percentile(errors[picks].sum(1) / counts[picks].sum(1), [2.5, 97.5])
    interval = bootstrap_interval(errors.tolist(), counts.tolist(), [""] * 300)
    assert (interval.low, interval.high) == pytest.approx(tuple(expected), abs=0.003)


def test_resampling_groups_gives_wider_intervals_where_groups_differ():
    errors = [0] * 50 + [5] * 50 + [1] * 50 + [4] * 50
    groups = ["good"] * 50 + ["bad"] * 50 + ["fair"] * 50 + ["poor"] * 50
    by_group = bootstrap_interval(errors, [10] * 200, groups)
    by_clip = bootstrap_interval(errors, [10] * 200, [""] * 200)
    assert by_group.groups == 4
    assert by_group.high - by_group.low > 3 * (by_clip.high - by_clip.low)


def test_one_group_has_no_spread():
    interval = bootstrap_interval([1, 2], [4, 4], ["one", "one"])
    assert (interval.low, interval.high, interval.groups) == (3 / 8, 3 / 8, 1)


def test_the_result_of_a_split_names_all_that_a_reader_needs_to_judge_it():
    pairs = [pair(name="a", group="x"), pair("Bir!", "bir", "y", 4.0, "b"), pair("", "iki", "z", 1.0, "c")]
    plain = evaluate_pairs(pairs, "az", published=str.upper).as_plain()
    assert plain["wer"] == 1 / 3
    assert plain["wer_low"] <= plain["wer"] <= plain["wer_high"]
    assert plain["groups"] == 2
    assert plain["orthographic"]["wer"] == 2 / 3
    assert plain["basic"]["wer"] == 2 / 3
    assert (plain["hits"], plain["hypothesis_words"], plain["length_ratio"]) == (2, 2, 2 / 3)
    assert plain["sentences"] == {
        "count": 2,
        "with_errors": 1,
        "with_substitutions": 0,
        "with_deletions": 1,
        "with_insertions": 0,
        "ser": 1 / 2,
    }
    assert plain["compound_splits"] == {"merged": 0, "split": 0}
    assert plain["silence"] == {"clips": 1, "clips_with_output": 1, "words_emitted": 1}
    assert plain["slices"]["duration"]["1-2"]["wer"] == 1 / 2
    assert plain["normalizer"]["version"] == NORMALIZER_VERSION
    assert (plain["normalizer"]["language"], plain["normalizer"]["numbers"]) == ("az", "keep")
    expected = "wer cer words substitutions deletions insertions clips characters character_errors"
    assert set(expected.split()) <= plain.keys() & plain["orthographic"].keys()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain


def test_without_a_published_form_there_is_no_such_section():
    evaluation = evaluate_pairs([pair()], "az")
    assert evaluation.scores.published is None
    assert "basic" not in evaluation.as_plain()


def test_the_published_form_is_scored_on_the_texts_as_written_and_on_the_same_clips():
    def without_brackets(text):
        return "" if text.startswith("(") else text

    pairs = [pair("(Gülüş)", "salam bir"), pair("Bir İki", "Bir iki"), pair("", "üç")]
    published = evaluate_pairs(pairs, "az", published=without_brackets).scores.published
    assert (published.clips, published.words, published.substitutions, published.insertions) == (2, 2, 1, 2)


def test_numbers_may_be_compared_as_words():
    pairs = [pair("saat 5", "saat beş")]
    assert evaluate_pairs(pairs, "az").scores.normalized.errors == 1
    evaluation = evaluate_pairs(pairs, "az", "words")
    assert evaluation.scores.normalized.errors == 0
    assert evaluation.as_plain()["normalizer"]["numbers"] == "words"


def test_normalised_texts_are_kept_for_whoever_shows_them():
    scores = score(["Salam!", "..."], ["salam", "\u00a0Bir"], "az")
    assert (scores.references, scores.hypotheses, scores.spoken) == (("salam", ""), ("salam", "bir"), (0,))


def test_a_pair_needs_neither_source_nor_signal_to_noise_ratio():
    assert (pair().source, pair().snr_db) == ("", None)
