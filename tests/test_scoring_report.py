"""Contract: the report for reading names every error where it stands, and its sums are those of the metrics."""

import re

import pytest

from asr.scoring.evaluation import evaluate_pairs
from asr.scoring.sclite import MOST, report
from asr.scoring.wer import Pair

PAIRS = [
    Pair("one", "Mənzil beş altı bir.", "mənzil beş bir altı", "Aygün", 1.0),
    Pair("two", "Bu gün", "bugün gəl", "Aygün", 2.0),
    Pair("three", "Salam dünya", "salam dünya", "Əli", 2.0),
    Pair("four", "üç alma", "üç", "", 2.0),
    Pair("five", "", "bir iki", "Əli", 2.0),
    Pair("six", "...", "", "Əli", 2.0),
]


@pytest.fixture(scope="module")
def text():
    return "\n".join(report(PAIRS, evaluate_pairs(PAIRS, "az")))


def row(text, name):
    return next(line for line in text.splitlines() if line.startswith(name)).split()


def made_of(pairs):
    return "\n".join(report(pairs, evaluate_pairs(pairs, "az")))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Sentences", "4"),
        ("  with errors", "3 75.00 %"),
        ("Reference words", "10"),
        ("  correct", "6 60.00 %"),
        ("  errors (WER)", "5 50.00 %"),
        ("Hypothesis words", "9 90.00 %"),
        ("Aligned words", "11"),
        ("Clips without speech", "2"),
        ("  words emitted", "2"),
    ],
)
def test_the_summary_shows_the_counts(text, name, expected):
    assert " ".join(row(text, name)).removeprefix(" ".join(name.split())).strip() == expected


def test_the_report_says_what_the_counts_rest_on(text):
    assert re.search(r"^Normaliser: language az, numbers keep, version \S+, hash [0-9a-f]{16}$", text, re.MULTILINE)


def test_groups_stand_with_their_sum_mean_deviation_and_median(text):
    assert row(text, "Aygün") == ["Aygün", "2", "6", "50.0", "33.3", "16.7", "16.7", "66.7", "100.0"]
    assert row(text, "(no group)") == ["(no", "group)", "1", "2", "50.0", "0.0", "50.0", "0.0", "50.0", "100.0"]
    assert row(text, "Sum/Avg")[1:3] == ["4", "10"]
    assert row(text, "Mean")[-2:] == ["33.3", "50.0"]
    assert row(text, "S.D.")[-2:] == ["47.1", "70.7"]
    assert row(text, "Median")[-2:] == ["33.3", "50.0"]


def test_without_named_groups_there_is_no_mean_and_with_one_no_deviation():
    none, one = (made_of([Pair("a", "bir", "iki", group, 1.0)]) for group in ("", "x"))
    assert "Sum/Avg" in none
    assert "Mean" not in none
    assert "Median" in one
    assert "S.D." not in one


def test_words_stand_under_their_counterparts(text):
    lines = text.splitlines()
    first = lines.index("two  group Aygün")
    assert lines[first + 1] == "Scores (C S D I): 0 2 0 0"
    assert lines[first + 2 : first + 6] == [
        "REF:  bu    gün",
        "HYP:  bugün gəl",
        "Eval: S     S",
        "",
    ]


def test_missing_words_are_asterisks():
    lines = made_of([Pair("a", "bir iki", "bir", "", 1.0), Pair("b", "bir", "bir səkkiz", "", 1.0)]).splitlines()
    assert [line for line in lines if line.startswith(("REF", "HYP", "Eval"))] == [
        "REF:  bir iki",
        "HYP:  bir ***",
        "Eval:     D",
        "REF:  bir ******",
        "HYP:  bir səkkiz",
        "Eval:     I",
    ]


def test_utterances_without_errors_are_left_out_and_silent_ones_stand_apart(text):
    spoken, silent = text.split("Clips without speech that got words: 1")
    assert "three" not in text
    assert "six" not in text
    assert "four  group (no group)" in spoken
    assert "five" not in spoken
    assert "five  group Əli" in silent


def test_long_lists_are_cut_and_say_so():
    words = [f"söz{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(MOST + 3)]
    lines = made_of([Pair("a", " ".join(words), "", "", 1.0)]).splitlines()
    start = lines.index(f"Deleted words: {MOST + 3}, of which {MOST + 3} different")
    listed = lines[start + 3 : start + 4 + MOST]
    assert listed[0].split() == ["1", "sözaa", "(of", "1)"]
    assert listed[-1].strip() == "and 3 more"


def test_the_report_is_the_same_every_time(text):
    assert text == "\n".join(report(PAIRS, evaluate_pairs(PAIRS, "az")))
    assert all(line == line.rstrip() for line in text.splitlines())
