"""Contract: invented text is counted by its signs, and what people do say is not taken for it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.errors import UserError
from asr.scoring.loops import compression_ratio, has_new_loop, loops
from asr.scoring.wer import Pair

PLAIN = "salam dünya bu gün hava yaxşıdır"


def pair(reference: str, hypothesis: str) -> Pair:
    return Pair("a", reference, hypothesis, "g", 1.0)


@pytest.mark.parametrize(
    ("reference", "hypothesis", "found"),
    [
        (PLAIN, PLAIN, False),
        (PLAIN, "", False),
        ("", "", False),
        ("çox", "çox çox çox", False),
        ("çox", "çox çox çox çox", True),
        ("", "sağ ol " * 4, True),
        ("", "sağ ol " * 3 + "sağ", False),
        (PLAIN, PLAIN + " və sonra" * 4, True),
        (PLAIN, "a b c d e f g " * 4, True),
        ("bir bir bir bir", "bir bir bir bir", False),
        ("bir bir bir bir", "bir " * 7, False),
        ("bir bir bir bir", "bir " * 8, True),
        ("hə yox " * 4, "yox hə " * 4, False),
        ("hə hə hə hə", "yox yox yox yox", True),
        ("", "a a b a a b a a c", False),
        ("otuz dərəcə", "otuz dərə" + "cərə" * 4, True),
        ("otuz dərəcə", "otuz dərə" + "cərə" * 2, False),
        ("hahahaha", "ahahahah", False),
        ("iki milyon", "2000000", False),
    ],
)
def test_a_loop_is_words_or_letters_four_times_in_a_row_that_were_not_said_so(
    reference: str, hypothesis: str, found: bool
) -> None:
    assert has_new_loop(reference, hypothesis) == found


WORDS = st.lists(st.sampled_from("abc"), min_size=1, max_size=12)


def loops_by_definition(words: list[str]) -> bool:
    return any(
        words[start : start + 4 * size] == words[start : start + size] * 4
        for size in range(1, len(words) // 4 + 1)
        for start in range(len(words) - 4 * size + 1)
    )


@given(before=WORDS, unit=WORDS, times=st.integers(1, 6), after=WORDS)
def test_loops_are_found_as_by_trying_every_phrase_at_every_place(
    before: list[str], unit: list[str], times: int, after: list[str]
) -> None:
    words = before + unit * times + after
    assert has_new_loop("", " ".join(words)) == loops_by_definition(words)
    assert not has_new_loop(" ".join(words), " ".join(words))


@pytest.mark.parametrize(
    ("text", "low", "high"), [("", 0, 0), (PLAIN, 0.8, 1.2), ("Hə", 0.1, 0.5), ("təşəkkür edirəm " * 10, 5, 8)]
)
def test_the_compression_ratio_rises_with_repetition(text: str, low: float, high: float) -> None:
    assert low <= compression_ratio(text) <= high


def test_every_sign_is_counted_once_a_clip() -> None:
    pairs = [
        pair("Salam, dünya!", "salam dünya"),
        pair("Salam, dünya!", "salam " * 40),  # a loop, compressed, 38 insertions and a substitution
        pair("Salam, dünya!", "salam bir iki üç dörd"),  # two words said, four errors
        pair("", "təşəkkür edirəm " * 4),  # a loop, but no rate
        pair("dörd dörd dörd dörd", "Dörd, dörd, dörd, dörd."),
    ]
    found = loops(pairs, "az", "keep")
    assert (found.clips, found.looping, found.compressed, found.wer_above_1) == (5, 2, 2, 2)
    assert (found.insertions, found.words) == (38 + 3, 2 + 2 + 2 + 4)
    plain = found.as_plain()
    assert plain["looping_share"] == 2 / 5
    assert plain["insertion_rate"] == 41 / 10


def test_a_better_model_counts_less_of_everything() -> None:
    bad = [pair(PLAIN, "salam " * 60) for _ in range(3)]
    good = [replace(item, hypothesis=PLAIN) for item in bad]
    before, after = loops(bad, "az", "keep"), loops(good, "az", "keep")
    assert (before.looping, before.compressed, before.wer_above_1) == (3, 3, 3)
    assert (after.looping, after.compressed, after.wer_above_1, after.insertions) == (0, 0, 0, 0)


@pytest.mark.parametrize("pairs", [[], [pair("", "söz")]])
def test_a_split_without_words_is_refused(pairs: list[Pair]) -> None:
    with pytest.raises(UserError, match="without a single reference word"):
        loops(pairs, "az", "keep")
