"""Splits: sides that no other clip can change, and nothing shared between them."""

import random
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.corpus.clips import SPLITS
from asr.corpus.findings import Corpus, corpus_of
from asr.corpus.index import Index, IndexRow, index_of
from asr.corpus.splits import assign, check_filled, overlaps, side
from asr.corpus.splitting.groups import Grouping, group_keys, numbered
from asr.errors import UserError
from asr.text import upper
from tests.index_rows import LIMITS, index_row, limits

LONG = "Bu cümlə kifayət qədər uzundur."
PRINT = "0123456789abcdef" * 2
NEAR_PRINT = "f123456789abcdef" * 2
TRAIN, VALIDATION, TEST = range(3)


def corpus(rows) -> Corpus:
    return corpus_of(index_of(rows), "az")


def sides_by_id(rows: list[IndexRow], params=LIMITS) -> dict[str, str]:
    """The split of every clip."""
    found = corpus(rows)
    keys, _ = group_keys(found, params.block_clips)
    return {id: SPLITS[s] for id, s in zip(found.index.texts["id"], assign(found, keys, params), strict=True)}


def found_codes(rows: list[IndexRow], params=LIMITS, kept=None) -> dict[int, list[str]]:
    """Codes by place; each row states its own split."""
    clips = corpus(rows)
    sides = assign(clips, group_keys(clips, params.block_clips)[0], params)
    found = overlaps(clips, sides, np.ones(len(rows), np.bool_) if kept is None else np.array(kept), params)
    return {place: [finding.code for finding in several] for place, several in found.items()}


def placed(*texts_and_splits, **changes) -> list[IndexRow]:
    return [index_row(n, text=text, split=split, **changes) for n, (text, split) in enumerate(texts_and_splits)]


# A growing corpus: every way of grouping keeps the old clips where they are.

OLD, NEW = 3000, 1000
MANNERS = {
    "hash": (LIMITS, lambda n: {"text": f"Bu, {n} nömrəli cümlədir."}),
    "text": (LIMITS, lambda n: {"text": f"{n % 40} nömrəli cümlə"}),
    "group": (LIMITS, lambda n: {"group": f"speaker {n % 97}"}),
    "silence": (LIMITS, lambda n: {"text": "", "name": f"quiet {n}"}),
    "block": (limits(block_clips=50), lambda n: {"text": f"{n} nömrəli cümlə"}),
    "block of two sources": (limits(block_clips=50), lambda n: {"source": "ab"[n % 2]}),
}


def grown(manner: str, rows_of_new) -> tuple[dict[str, str], dict[str, str]]:
    """Sides before and after clips are added; `rows_of_new` gives the place in the source of each new clip."""
    params, columns = MANNERS[manner]
    old = [index_row(n, **columns(n)) for n in range(OLD)]
    new = [replace(index_row(OLD + n, **columns(OLD + n)), row=rows_of_new(n)) for n in range(NEW)]
    return sides_by_id(old, params), sides_by_id(old + new, params)


@pytest.mark.parametrize("manner", MANNERS)
def test_appending_a_thousand_clips_moves_no_old_clip(manner):
    before, after = grown(manner, lambda n: OLD + n)
    assert {id: after[id] for id in before} == before
    assert set(after.values()) == set(SPLITS)


@pytest.mark.parametrize("manner", ["hash", "text", "group", "silence"])
def test_inserting_a_thousand_clips_anywhere_moves_no_old_clip(manner):
    before, after = grown(manner, lambda n: n * 2)
    assert {id: after[id] for id in before} == before


@given(st.integers(0, 400), st.integers(1, 40))
@settings(max_examples=30, deadline=None)
def test_clips_inserted_into_a_source_change_the_block_around_them_alone(place, count):
    old = [index_row(n, row=n * 100) for n in range(400)]
    new = [index_row(10_000 + n, row=place * 100 - 99 + n) for n in range(count)]
    before, after = blocks_by_id(old), blocks_by_id(old + new)
    moved = {before[id] for id in before if before[id] != after[id]}
    assert moved <= {before[f"id{max(place - 1, 0):06d}"]}


def blocks_by_id(rows: list[IndexRow]) -> dict[str, str]:
    clips = corpus(rows)
    return dict(zip(clips.index.texts["id"], group_keys(clips, 10)[0], strict=True))


@given(st.permutations(range(40)), st.sampled_from(sorted(MANNERS)))
@settings(max_examples=30, deadline=None)
def test_the_order_in_which_rows_are_read_changes_nothing(order, manner):
    params, columns = MANNERS[manner]
    rows = [index_row(n, **columns(n)) for n in range(40)]
    assert sides_by_id([rows[n] for n in order], params) == sides_by_id(rows, params)


@given(st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None)
def test_overlaps_do_not_depend_on_the_order_of_the_rows(generator: random.Random):
    rows = placed(
        (LONG, "train"), (upper(LONG), "test"), (f"{LONG} Bəli", "validation"), ("başqa bir cümlədir", "train")
    )
    shuffled = generator.sample(rows, len(rows))
    assert found_codes(shuffled) == found_codes(rows) != {}


# Which side.


def test_the_split_of_the_source_is_respected():
    rows = [index_row(n, split=name) for n, name in enumerate(SPLITS * 5)]
    assert sides_by_id(rows) == {row.id: row.split for row in rows}


def test_clips_without_a_split_of_their_own_are_assigned_by_hash_beside_those_with_one():
    alone = sides_by_id([index_row(1)])
    assert sides_by_id([index_row(0, split="test"), index_row(1)]) == {"id000000": "test", **alone}


def test_a_side_depends_on_the_seed_and_the_key_alone():
    assert {side("Aysel", limits(seed=seed)) for seed in range(30)} == set(SPLITS)
    same = sides_by_id([index_row(n, group="Aysel") for n in range(20)])
    assert set(same.values()) == {side("Aysel", LIMITS)}


def test_known_sides_do_not_change_between_versions():
    # A change here moves clips between training and test: results before and after are not comparable.
    expected = "train validation validation train train test test train"
    groups = ["Aysel", "Elçin", "Nigar", "Rəşad", "Səbinə", "Turqay", "Vüsal", "Zəhra"]
    assert [side(group, LIMITS) for group in groups] == expected.split()
    assert list(sides_by_id([index_row(n, group=g) for n, g in enumerate(groups)]).values()) == expected.split()


def test_silent_clips_are_spread_one_by_one():
    assert set(sides_by_id([index_row(n, text="") for n in range(100)]).values()) == set(SPLITS)


def test_shares_are_met_over_many_groups():
    sides = list(
        sides_by_id([index_row(n) for n in range(5000)], limits(validation_share=0.1, test_share=0.3)).values()
    )
    shares = {name: sides.count(name) / 5000 for name in SPLITS}
    assert shares == pytest.approx({"train": 0.6, "validation": 0.1, "test": 0.3}, abs=0.02)


def test_a_larger_validation_share_leaves_the_test_split_alone():
    rows = [index_row(n) for n in range(300)]
    small, large = (sides_by_id(rows, limits(validation_share=share)) for share in (0.05, 0.5))
    assert {id for id in small if small[id] == "test"} == {id for id in large if large[id] == "test"}


# What stays together.


def test_equal_texts_without_a_group_share_a_key():
    keys, grouping = group_keys(corpus([index_row(n, text="Sabahınız xeyir olsun!") for n in range(20)]), None)
    assert len(set(keys)) == 1
    assert grouping == Grouping(by_source=0, by_block=0, by_text=20, alone=0, proxy=False)


def test_the_group_of_the_source_goes_before_the_text_and_the_text_before_the_clip():
    rows = [index_row(0, group="g"), index_row(1, text="Salam!"), index_row(2, text="")]
    keys, grouping = group_keys(corpus(rows), None)
    assert list(keys) == ["g", "salam", "id000002"]
    assert grouping == Grouping(by_source=1, by_block=0, by_text=1, alone=1, proxy=False)


def test_blocks_stand_in_for_groups_that_are_not_named_and_are_called_a_proxy():
    rows = [index_row(0, group="g"), *(index_row(n, text="") for n in range(1, 10))]
    keys, grouping = group_keys(corpus(rows), 1000)
    assert keys[0] == "g"
    assert grouping == Grouping(by_source=1, by_block=9, by_text=0, alone=0, proxy=True)


def test_blocks_are_runs_of_rows_of_one_source_of_about_the_size_asked_for():
    rows = [index_row(n, row=7 * n % 4999, source="ab"[n % 2]) for n in range(4999)]
    clips = corpus(rows)
    keys, _ = group_keys(clips, 50)
    for source in "ab":
        ours = [n for n in np.argsort(clips.index.numbers["row"]) if clips.index.texts["source"][n] == source]
        runs = [
            keys[n] for n, before in zip(ours, [None, *ours], strict=False) if before is None or keys[n] != keys[before]
        ]
        assert len(runs) == len(set(runs)), "a block is one run"
        assert 30 < len(ours) / len(runs) < 80
    assert not {k for k, s in zip(keys, clips.index.texts["source"], strict=True) if s == "a"} & {
        k for k, s in zip(keys, clips.index.texts["source"], strict=True) if s == "b"
    }


def test_a_block_of_one_clip_on_average_is_one_clip():
    assert len(set(group_keys(corpus([index_row(n) for n in range(50)]), 1)[0])) == 50


def test_known_blocks_do_not_change_between_versions():
    keys = group_keys(corpus([index_row(n) for n in range(1, 12)]), 4)[0]
    assert list(dict.fromkeys(keys)) == ["block start of test", "block id000002 of test", "block id000003 of test"]


def test_a_short_text_on_several_earlier_sides_binds_no_clip():
    rows = [index_row(n, text="Bəli.") for n in range(20)]
    keys, grouping = group_keys(corpus(rows), None, np.array([TEST, TRAIN] + [-1] * 18, np.int8))
    assert len(set(keys)) == grouping.alone == 20


def test_a_block_is_cut_where_an_earlier_clip_has_another_side_than_the_one_before():
    rows = [index_row(n) for n in range(1, 7)]
    earlier = np.array([-1, TRAIN, -1, TEST, TEST, TRAIN], np.int8)
    keys, _ = group_keys(corpus(rows), 10**6, earlier)
    starts = ["start", "start", "start", "id000004", "id000004", "id000006"]
    assert list(keys) == [f"block {start} of test" for start in starts]


def test_clips_whose_split_the_source_states_cut_no_block():
    rows = [index_row(n, split=SPLITS[n % 3]) for n in range(1, 7)]
    keys, _ = group_keys(corpus(rows), 10**6, np.array([1, 2, 0, 1, 2, 0], np.int8))
    assert len(set(keys)) == 1


def test_equal_values_get_equal_numbers_by_first_occurrence():
    assert numbered(["b", "a", "b", "", "ə", "a"]).tolist() == [0, 1, 0, 2, 3, 1]
    assert numbered([]).tolist() == []


# Overlaps.


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
@pytest.mark.parametrize(
    ("code", "first", "others"),
    [
        ("split.text_overlap", {"text": LONG}, {"text": upper(LONG)}),
        ("split.near_text_overlap", {"text": LONG}, {"text": LONG.replace("cümlə", "cumlə")}),
        ("split.near_audio_overlap", {"fingerprint": PRINT}, {"fingerprint": NEAR_PRINT}),
    ],
)
def test_what_is_shared_leaves_all_but_the_most_protected_split(places, removed, code, first, others):
    rows = [index_row(n, split=name, **(others if n else first)) for n, name in enumerate(places)]
    found = found_codes(rows)
    assert set(found) == removed
    assert {codes[0] for codes in found.values()} <= {code, "split.text_overlap"}
    assert not removed or [code] in found.values()


def test_a_message_names_the_clip_the_measure_and_the_limit():
    clips = corpus(placed((LONG, "train"), (LONG.replace("cümlə", "cumlə"), "test")))
    (finding,) = overlaps(clips, np.array([TRAIN, TEST], np.int8), np.ones(2, np.bool_), LIMITS)[0]
    assert finding.message == (
        "the text of this train clip differs in 1 of 30 characters from that of clip id000001 of test"
    )
    assert (finding.value, finding.limit) == (1 / 30, 0.1)


def test_short_and_empty_texts_may_recur():
    rows = placed(("bəli", "train"), ("", "train"), ("Bəli.", "test"), ("", "test"))
    assert found_codes(rows) == {}
    assert set(found_codes(rows, limits(overlap_min_characters=0))) == {0}


def test_near_texts_shorter_than_the_shortest_that_may_not_recur_are_left_alone():
    rows = placed((LONG, "train"), (LONG.replace("cümlə", "cumlə"), "test"))
    assert found_codes(rows, limits(overlap_min_characters=31)) == {}


def test_what_was_rejected_before_protects_nothing():
    rows = placed((LONG, "train"), (LONG, "test"))
    assert found_codes(rows, kept=[True, False]) == {}
    assert found_codes(rows, kept=[False, True]) == {}


def test_a_validation_clip_that_leaves_takes_no_training_clip_with_it():
    # Each differs from the next in one letter more than the limit allows between the first and the last.
    near = limits(near_text_share=0.04)
    texts = [LONG, LONG.replace("cümlə", "cumlə"), LONG.replace("cümlə", "cumle")]
    chain = placed((texts[2], "train"), (texts[1], "validation"), (texts[0], "test"))
    assert found_codes(chain, near) == {1: ["split.near_text_overlap"]}


def test_a_group_that_the_source_puts_into_two_splits_is_a_warning():
    rows = [index_row(0, split="train", group="Aysel"), index_row(1, split="test", group="Aysel")]
    assert found_codes(rows) == {0: ["split.group_overlap"]}


def test_what_is_shared_with_both_held_out_splits_is_reported_once_and_names_the_test_split():
    clips = corpus([index_row(n, split=name, group="Aysel") for n, name in enumerate(SPLITS)])
    found = overlaps(clips, np.array([TRAIN, VALIDATION, TEST], np.int8), np.ones(3, np.bool_), LIMITS)
    assert {place: [finding.message for finding in several] for place, several in found.items()} == {
        TRAIN: ["the group 'Aysel' of this train clip is also in test"],
        VALIDATION: ["the group 'Aysel' of this validation clip is also in test"],
    }


def test_of_several_clips_with_the_text_the_first_by_id_is_named():
    clips = corpus(placed((LONG, "train"), (LONG, "test"), (LONG, "test")))
    (finding,) = overlaps(clips, np.array([TRAIN, TEST, TEST], np.int8), np.ones(3, np.bool_), LIMITS)[0]
    assert finding.message == "the text of this train clip also occurs in clip id000001 of test"


@pytest.mark.parametrize(("characters", "codes"), [(19, {}), (20, {0: ["split.near_text_overlap"]})])
def test_texts_of_less_than_twenty_characters_are_near_by_chance(characters, codes):
    text = "salam əziz dostlar necəsiniz"[:characters]
    rows = placed((text, "train"), (f"n{text[1:]}", "test"))
    assert found_codes(rows, limits(overlap_min_characters=10)) == codes


@pytest.mark.parametrize("empty", ["train", "test"])
def test_an_empty_split_is_refused_with_what_to_change(empty):
    members = {name: [] if name == empty else [0] for name in SPLITS}
    with pytest.raises(UserError, match=f"split.empty: no clip is left in '{empty}'.*validate.test_share = 0.2"):
        check_filled(members, LIMITS)


def test_fifty_thousand_clips_are_split_in_a_few_seconds():
    count, rng = 50_000, np.random.default_rng(0)
    words = np.array(["".join(rng.choice(list("abcdeəiklmnorstuüz"), size=6)) for _ in range(3000)])
    texts = [" ".join(row) for row in words[rng.integers(0, 3000, (count, 6))].tolist()]
    empty = [""] * count
    columns = {"id": [f"{n:06d}" for n in range(count)], "fingerprint": [rng.bytes(16).hex() for _ in range(count)]}
    numbers = {"row": np.arange(count), "duration": rng.lognormal(1, 0.6, count)}
    clips = Corpus(Index(columns | dict.fromkeys(["group", "source", "split"], empty), numbers), texts, empty, texts)
    start = time.process_time()
    keys, _ = group_keys(clips, 50)
    overlaps(clips, assign(clips, keys, LIMITS), np.ones(count, np.bool_), LIMITS)
    assert time.process_time() - start < 4
