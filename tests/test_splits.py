"""Splits: stable sides, no shared texts, and a check that finds what is shared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.corpus.clips import SPLITS, Utterance
from asr.corpus.splits import Leakage, assign, check_filled, leakage, overlaps, side
from asr.errors import UserError
from asr.text import upper
from tests.index_rows import LIMITS, candidate, limits

LONG = "Bu cümlə kifayət qədər uzundur."


def utterance(id="a", text=LONG, group="", sha256=None):
    return Utterance(id=id, text=text, duration=1.0, group=group, source="test", sha256=sha256 or id)


def splits_of(**members):
    return {name: members.get(name, []) for name in SPLITS}


def test_the_split_of_the_source_is_respected():
    clips = [candidate(n, split=name) for n, name in enumerate(SPLITS * 5)]
    assert {name: len(split) for name, split in assign(clips, LIMITS).items()} == dict.fromkeys(SPLITS, 5)


def test_clips_without_a_split_of_their_own_are_assigned_by_hash_beside_those_with_one():
    alone = side(candidate(1), LIMITS)
    splits = assign([candidate(0, split="test"), candidate(1)], LIMITS)
    assert candidate(1) in splits[alone]
    assert candidate(0, split="test") in splits["test"]


@given(st.sets(st.integers(0, 10_000), max_size=50), st.integers(0, 10_000))
def test_adding_clips_never_moves_an_old_clip(numbers, new):
    old = assign([candidate(n) for n in sorted(numbers)], LIMITS)
    grown = assign([candidate(n) for n in sorted(numbers | {new})], LIMITS)
    for name in SPLITS:
        assert {c.row.id for c in old[name]} <= {c.row.id for c in grown[name]}


def test_a_side_depends_on_the_seed_and_the_group_alone():
    assert side(candidate(1, group="Aysel"), LIMITS) == side(candidate(2, group="Aysel"), LIMITS)
    sides = {side(candidate(1), limits(seed=seed)) for seed in range(30)}
    assert sides == set(SPLITS)


def test_known_sides_do_not_change_between_versions():
    # A change here moves clips between training and test: results before and after are not comparable.
    expected = "train validation validation train train test test train"
    groups = ["Aysel", "Elçin", "Nigar", "Rəşad", "Səbinə", "Turqay", "Vüsal", "Zəhra"]
    assert [side(candidate(group=group), LIMITS) for group in groups] == expected.split()


def test_equal_texts_without_a_group_stay_together():
    clips = [candidate(n, text="Sabahınız xeyir olsun!") for n in range(20)]
    assert sorted(map(len, assign(clips, LIMITS).values())) == [0, 0, 20]


def test_silent_clips_are_spread_one_by_one():
    splits = assign([candidate(n, text="") for n in range(100)], LIMITS)
    assert all(splits[name] for name in SPLITS)


def test_shares_are_met_over_many_groups():
    splits = assign([candidate(n) for n in range(5000)], limits(validation_share=0.1, test_share=0.3))
    shares = {name: len(split) / 5000 for name, split in splits.items()}
    assert shares == pytest.approx({"train": 0.6, "validation": 0.1, "test": 0.3}, abs=0.02)


def test_a_larger_validation_share_leaves_the_test_split_alone():
    clips = [candidate(n) for n in range(300)]
    small, large = (assign(clips, limits(validation_share=share))["test"] for share in (0.05, 0.5))
    assert small == large


@pytest.mark.parametrize(
    ("places", "removed"),
    [
        (["train", "train"], set()),
        (["train", "test"], {0}),
        (["test", "train"], {1}),
        (["train", "validation"], {0}),
        (["validation", "test"], {0}),
        (["train", "validation", "test"], {0, 1}),
    ],
)
def test_a_text_is_removed_from_all_but_the_most_protected_split(places, removed):
    members = splits_of()
    for number, name in enumerate(places):
        members[name].append(candidate(number, text=LONG if number else upper(LONG)))
    found = overlaps(members, 15)
    assert set(found) == {f"id{number:06d}" for number in removed}
    assert {finding.code for finding in found.values()} <= {"split.text_overlap"}


def test_short_and_empty_texts_may_recur():
    members = splits_of(train=[candidate(0, text="bəli"), candidate(1, text="")])
    members["test"] = [candidate(2, text="Bəli."), candidate(3, text="")]
    assert overlaps(members, 15) == {}
    assert set(overlaps(members, 0)) == {"id000000"}


PLANTED = [
    ({}, Leakage(0, 0, 0, 0)),
    ({"text": LONG.replace(",", "")}, Leakage(texts=1, short_texts=0, groups=0, audio=0)),
    ({"text": "Bəli!"}, Leakage(texts=0, short_texts=1, groups=0, audio=0)),
    ({"group": "Aysel"}, Leakage(texts=0, short_texts=0, groups=1, audio=0)),
    ({"sha256": "s"}, Leakage(texts=0, short_texts=0, groups=0, audio=1)),
]


@pytest.mark.parametrize(("planted", "expected"), PLANTED)
def test_each_kind_of_leakage_is_found_where_it_is_planted(planted, expected):
    base = {"text": "bəli" if planted.get("text", "").startswith("Bəli") else LONG, "group": "Aysel", "sha256": "s"}
    other = {"id": "b", "text": "Tamam başqa bir cümlə budur.", "group": "Elçin", "sha256": "t"} | planted
    members = splits_of(train=[utterance(**base)], test=[utterance(**other)])
    assert leakage(members, "az", 15) == expected


def test_what_repeats_within_one_split_is_no_leakage():
    members = splits_of(train=[utterance("a", group="g", sha256="s"), utterance("b", group="g", sha256="s")])
    assert leakage(members, "az", 15) == Leakage(0, 0, 0, 0)


def test_silence_in_two_splits_is_no_shared_text():
    members = splits_of(train=[utterance("a", text="")], test=[utterance("b", text="")])
    assert leakage(members, "az", 15) == Leakage(0, 0, 0, 0)


@pytest.mark.parametrize("empty", ["train", "test"])
def test_an_empty_split_is_refused_with_what_to_change(empty):
    members = {name: [] if name == empty else [utterance()] for name in SPLITS}
    with pytest.raises(UserError, match=f"split '{empty}' is empty.*validate.test_share = 0.2"):
        check_filled(members, LIMITS)
