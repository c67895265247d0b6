"""Contract: the parts of a corpus add up to it, and each clip is in the part where a reader looks for it."""

import statistics
from dataclasses import fields

import pytest

from asr.scoring.evaluation import evaluate_pairs
from asr.scoring.groups import NO_GROUP, by_group, spread
from asr.scoring.sentences import count_sentences
from asr.scoring.slices import DURATIONS, MOST_SOURCES, SNRS, WORDS, Slices, cut
from asr.scoring.wer import Pair, Score, corpus_score

CUTS = [field.name for field in fields(Slices)]


def pair(name="a", group="", duration=1.5, source="", snr_db=None):
    return Pair(name, "", "", group, duration, source, snr_db)


def score(errors=0, words=1, characters=None):
    return Score(clips=1, words=words, hits=words - errors, substitutions=errors, characters=characters or words)


def labels(slices):
    return [(part.label, part.score.clips) for part in slices]


@pytest.mark.parametrize(
    ("durations", "expected"),
    [
        ([0.4, 1.0, 1.1, 4.0, 30.0, 30.5], [("0-1", 2), ("1-2", 1), ("3-5", 1), ("10-30", 1), ("30+", 1)]),
        ([2.0, 2.5, 3.0, 5.0, 10.0], [("1-2", 1), ("2-3", 2), ("3-5", 1), ("5-10", 1)]),
    ],
)
def test_clips_are_sorted_by_length(durations, expected):
    assert labels(cut([pair(duration=d) for d in durations], [score()] * len(durations)).duration) == expected


def test_clips_are_sorted_by_words_of_the_reference():
    counts = [1, 2, 3, 5, 6, 10, 11, 20, 21, 400]
    slices = cut([pair()] * len(counts), [score(words=n) for n in counts]).words
    assert labels(slices) == [("1", 1), ("2", 1), ("3-5", 2), ("6-10", 2), ("11-20", 2), ("21+", 2)]


def test_clips_are_sorted_by_signal_to_noise_ratio_and_unknown_ones_left_out():
    ratios = [-3.0, 4.9, 5.0, 12.0, 15.0, 29.9, 30.0, float("inf"), None]
    slices = cut([pair(snr_db=r) for r in ratios], [score()] * len(ratios)).snr
    assert labels(slices) == [("<5", 2), ("5-10", 1), ("10-15", 1), ("15-20", 1), ("20-30", 1), ("30+", 2)]


def test_sources_are_ranked_and_the_small_ones_added_up():
    sources = [f"s{i:02}" for i in range(25) for _ in range(2 if i == 7 else 1)] + [""] * 3
    slices = cut([pair(source=source) for source in sources], [score(words=2)] * len(sources)).source
    assert labels(slices)[:3] == [("(not stated)", 3), ("s07", 2), ("s00", 1)]
    assert labels(slices)[-1] == ("(others)", 26 - MOST_SOURCES)
    assert len(slices) == MOST_SOURCES + 1
    assert sum(part.score.words for part in slices) == 2 * len(sources)


@pytest.mark.parametrize("sources", [[""], ["a", "a"], ["a", ""]])
def test_one_source_or_none_is_no_comparison(sources):
    scores = [score(), Score(clips=1)][: len(sources)]
    assert cut([pair(source=source) for source in sources], scores).source == ()


@pytest.mark.parametrize("name", CUTS)
def test_slices_add_up_to_the_corpus(name):
    pairs = [pair(source="ab"[i % 2], duration=i % 7, snr_db=float(i % 40)) for i in range(60)]
    scores = [score(errors=i % 3, words=i % 30 + 3) for i in range(60)]
    assert corpus_score(part.score for part in getattr(cut(pairs, scores), name)) == corpus_score(scores)


def test_silent_clips_are_in_no_slice():
    assert cut([pair(source="a", snr_db=3.0)], [Score(clips=1, insertions=2)]) == Slices((), (), (), ())


def test_a_slice_has_its_own_interval():
    pairs = [pair(duration=d, group=f"g{i}") for d in (0.5, 4.0) for i in range(30)]
    scores = [score(errors=i % 2, words=4) for i in range(30)] + [score(words=4)] * 30
    short, long = cut(pairs, scores).duration
    assert short.interval.low < short.score.wer < short.interval.high
    assert (long.interval.low, long.interval.high) == (0, 0)
    assert {"wer_low", "wer_high"} <= short.as_plain().keys()


def test_cuts_that_say_nothing_are_left_out_of_the_metrics_but_not_of_the_tables():
    slices = cut([pair()], [score(words=4)])
    assert list(slices.as_plain()) == ["duration", "words"]
    tables = slices.tables()
    assert list(tables) == ["wer_by_duration", "wer_by_words", "wer_by_snr", "wer_by_source"]
    assert tables["wer_by_duration"].columns == ("seconds", "wer", "words", "clips")
    assert tables["wer_by_duration"].rows == (("1-2", 0.0, 4, 1),)
    assert tables["wer_by_snr"].rows == tables["wer_by_source"].rows == ()


def test_every_bin_has_a_label():
    pairs = [pair(duration=10.0**i, snr_db=7.0 * i - 10) for i in range(-2, 10)]
    slices = cut(pairs, [score(words=2**i) for i in range(12)])
    for parts, known in ((slices.duration, DURATIONS), (slices.words, WORDS), (slices.snr, SNRS)):
        assert [part.label for part in parts] == sorted((part.label for part in parts), key=known.index)
        assert parts[-1].label == known[-1]


def test_groups_are_ranked_by_error_rate_and_then_by_name():
    groups = by_group([pair(group=g) for g in "bacab"], [score(e, 4) for e in (1, 1, 3, 1, 1)])
    assert [(group.name, group.score.wer, group.sentences.count) for group in groups] == [
        ("c", 3 / 4, 1),
        ("a", 1 / 4, 2),
        ("b", 1 / 4, 2),
    ]


def test_each_group_counts_once_in_the_mean_however_much_it_says():
    groups = by_group([pair(group=g) for g in "aabc"], [score(0, 50), score(0, 50), score(1, 2), score(1, 4)])
    found = spread(groups)
    assert found.groups == 3
    assert (found.wer_mean, found.wer_median, found.wer_lowest, found.wer_highest) == (1 / 4, 1 / 4, 0, 1 / 2)
    assert found.wer_sd == pytest.approx(statistics.stdev([0, 1 / 2, 1 / 4]))


def test_clips_of_unknown_group_are_one_line_and_no_part_of_the_mean():
    groups = by_group([pair(), pair(), pair(group="a")], [score(1, 1), score(1, 1), score(1, 2)])
    assert [(group.name, group.score.clips) for group in groups] == [(NO_GROUP, 2), ("a", 1)]
    assert (spread(groups).groups, spread(groups).wer_mean, spread(groups).wer_sd) == (1, 1 / 2, None)


@pytest.mark.parametrize(("names", "count"), [([], 0), ([""], 0), (["a"], 1)])
def test_what_cannot_be_said_of_few_groups_is_null(names, count):
    found = spread(by_group([pair(group=name) for name in names], [score()] * len(names)))
    assert found.groups == count
    assert found.wer_sd is None
    assert (found.wer_mean is None) == (count == 0)


def test_sentences_are_counted_by_kind_of_error_and_silent_clips_are_none():
    scores = [
        Score(clips=1, words=3, hits=3),
        Score(clips=1, words=3, substitutions=2, insertions=1),
        Score(clips=1, words=3, deletions=1),
        Score(clips=1, insertions=4),
    ]
    found = count_sentences(scores)
    assert (found.count, found.with_errors, found.ser) == (3, 2, 2 / 3)
    assert (found.with_substitutions, found.with_deletions, found.with_insertions) == (1, 1, 1)
    assert count_sentences([]).ser == 0


def test_the_tables_of_a_corpus_are_the_same_however_small_it_is():
    small = evaluate_pairs([Pair("a", "bir", "bir", "", 1.0)], "az").tables()
    pairs = [Pair(str(i), "bir iki", "bir iyi üç", f"g{i}", i + 1.0, f"s{i}", 3.0 * i) for i in range(5)]
    large = evaluate_pairs(pairs, "az").tables()
    assert list(small) == list(large)
    assert len(small) == 10
    assert {name: table.columns for name, table in small.items()} == {n: t.columns for n, t in large.items()}
    assert {name for name, table in small.items() if table.rows} == {"wer_by_duration", "wer_by_words", "wer_by_group"}
    assert " ".join(large["wer_by_group"].columns) == "group clips words wer cer substitutions deletions insertions"
    assert large["wer_by_group"].rows[0] == ("g0", 1, 2, 1.0, 4 / 7, 1, 0, 1)
    assert all(len(row) == len(table.columns) for table in large.values() for row in table.rows)
