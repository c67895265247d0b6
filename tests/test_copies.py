"""Copies: the same recording twice, by its samples or by how it sounds."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.corpus.findings import corpus_of
from asr.corpus.index import index_of
from asr.corpus.splitting.copies import copies
from tests.index_rows import index_row

LIMIT = 8
PRINT = "00" * 16


def flipped(count: int) -> str:
    """A fingerprint that differs from `PRINT` in so many bits, spread over all of it."""
    return f"{sum(1 << (bit * 128 // max(count, 1)) for bit in range(count)):032x}"


def judged(rows, kept=None):
    """Code, message by id."""
    clips = corpus_of(index_of(rows), "az")
    found = copies(clips, np.ones(len(rows), np.bool_) if kept is None else np.array(kept), LIMIT)
    return {clips.index.texts["id"][place]: several for place, several in found.items()}


def codes(rows, kept=None):
    return {id: [finding.code for finding in several] for id, several in judged(rows, kept).items()}


def test_of_equal_samples_with_equal_texts_the_lowest_row_stays_whatever_the_order_of_the_ids():
    rows = [index_row(0, row=9, sha256="s", text="Salam!"), index_row(1, row=3, sha256="s", text="salam")]
    (finding,) = judged(rows)["id000000"]
    assert set(judged(rows)) == {"id000000"}
    assert (finding.code, finding.message) == (
        "manifest.duplicate_audio",
        "the same audio and text as clip id000001 (row 3)",
    )


def test_equal_samples_with_different_texts_are_all_rejected():
    rows = [index_row(n, sha256="s", text=text) for n, text in enumerate(["Bir.", "İki.", "Bir."])]
    assert codes(rows) == {f"id{n:06d}": ["manifest.conflicting_text"] for n in range(3)}
    assert "rows 0, 1, 2 is the same" in judged(rows)["id000000"][0].message


@pytest.mark.parametrize(
    ("bits", "seconds", "text", "expected"),
    [
        (0, 2.0, "Bir.", {"id000001": ["manifest.near_duplicate_audio"]}),
        (LIMIT, 2.0, "bir", {"id000001": ["manifest.near_duplicate_audio"]}),
        (LIMIT + 1, 2.0, "Bir.", {}),
        (LIMIT, 2.1, "Bir.", {"id000001": ["manifest.near_duplicate_audio"]}),
        (LIMIT, 2.11, "Bir.", {}),
        (LIMIT, 1.9, "Bir.", {}),
        (LIMIT, 2.0, "İki.", {id: ["split.near_conflicting_text"] for id in ("id000000", "id000001")}),
    ],
)
def test_near_copies_are_alike_in_their_bits_and_their_length(bits, seconds, text, expected):
    rows = [
        index_row(0, text="Bir.", fingerprint=PRINT),
        index_row(1, text=text, fingerprint=flipped(bits), duration=seconds),
    ]
    assert codes(rows) == expected


@pytest.mark.parametrize(
    ("groups", "copies_found"), [(("Aysel", "Orxan"), 0), (("Aysel", "Aysel"), 1), (("Aysel", ""), 1), (("", ""), 1)]
)
def test_two_named_speakers_may_say_one_sentence_much_alike(groups, copies_found):
    rows = [index_row(n, text="Bir.", fingerprint=flipped(n), group=group) for n, group in enumerate(groups)]
    assert sum(several == ["manifest.near_duplicate_audio"] for several in codes(rows).values()) == copies_found


def test_a_near_copy_states_how_many_bits_differ_and_both_sides_of_a_contradiction_name_the_other():
    near = [index_row(0, text="Bir.", fingerprint=PRINT), index_row(1, text="Bir.", fingerprint=flipped(3))]
    (finding,) = judged(near)["id000001"]
    assert (finding.value, finding.limit) == (3, LIMIT)
    assert "clip id000000 (row 0)" in finding.message
    odd = [index_row(0, text="Bir.", fingerprint=PRINT), index_row(1, text="İki.", fingerprint=PRINT)]
    found = judged(odd)
    assert "clip id000001" in found["id000000"][0].message
    assert "clip id000000" in found["id000001"][0].message


def test_the_lowest_row_of_near_copies_stays_in_every_order_of_rows():
    for order in permutations(range(3)):
        rows = [index_row(n, row=row, text="Bir.", fingerprint=flipped(n)) for n, row in enumerate(order)]
        assert set(codes(rows)) == {f"id{n:06d}" for n in range(3) if order[n] != 0}


def test_the_order_in_which_rows_are_read_changes_nothing():
    rows = [index_row(n, text="ab"[n % 2], sha256=str(n % 5), fingerprint=flipped(n)) for n in range(12)]
    assert judged(rows[::-1]) == judged(rows)


def test_clips_without_a_fingerprint_are_no_near_copies():
    assert codes([index_row(n, text="Bir.", fingerprint="") for n in range(3)]) == {}


def test_what_is_no_longer_kept_is_compared_with_nothing():
    rows = [index_row(n, text="Bir.", sha256="s", fingerprint=PRINT) for n in range(2)]
    assert codes(rows, kept=[False, True]) == {}


def test_an_exact_copy_is_reported_once_and_not_as_a_near_one_too():
    rows = [index_row(n, text="Bir.", sha256="s", fingerprint=PRINT) for n in range(3)]
    assert set(map(tuple, codes(rows).values())) == {("manifest.duplicate_audio",)}


def test_an_empty_corpus_has_no_copies():
    assert codes([]) == {}


@given(st.lists(st.tuples(st.integers(0, 12), st.sampled_from([1.0, 1.04, 1.08]), st.sampled_from("ab")), max_size=8))
@settings(deadline=None)
def test_near_findings_are_those_of_comparing_all_pairs(drawn):
    rows = [
        index_row(n, fingerprint=flipped(bits), duration=duration, text=text)
        for n, (bits, duration, text) in enumerate(drawn)
    ]
    expected: dict[str, set[str]] = {}
    for one, other in permutations(rows, 2):
        bits = (int(one.fingerprint, 16) ^ int(other.fingerprint, 16)).bit_count()
        short, long = sorted([one.duration, other.duration])
        if bits > LIMIT or long > 1.05 * short:
            continue
        if one.text != other.text:
            expected.setdefault(one.id, set()).add("split.near_conflicting_text")
        elif other.row < one.row:
            expected.setdefault(one.id, set()).add("manifest.near_duplicate_audio")
    assert {id: set(several) for id, several in codes(rows).items()} == expected
