"""The proof of the splits finds whatever they share, however it came about."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from asr.corpus import splits
from asr.corpus.clips import SPLITS
from asr.corpus.findings import corpus_of
from asr.corpus.index import index_of
from asr.corpus.splitting import external
from asr.corpus.splitting.copies import copies
from asr.corpus.splitting.external import Reference
from asr.corpus.splitting.groups import group_keys
from asr.corpus.splitting.leakage import Example, Found, Leakage, leakage
from tests.index_rows import LIMITS, index_row, limits

LONG = "Bu cümlə kifayət qədər uzundur."
COUNTS = ("texts", "short_texts", "near_texts", "groups", "audio", "near_audio")
PRINT = "0123456789abcdef" * 2


def counted(rows, sides=None, params=LIMITS, kept=None, references=()) -> Leakage:
    """The proof; the sides are those of the rows unless stated."""
    corpus = corpus_of(index_of(rows), "az")
    keys, _ = group_keys(corpus, params.block_clips)
    placed = splits.assign(corpus, keys, params) if sides is None else np.array(sides, np.int8)
    staying = np.ones(len(rows), np.bool_) if kept is None else np.array(kept)
    return leakage(corpus, placed, staying, keys, references, params)


def counts(found: Leakage) -> dict[str, int]:
    """Those that are not zero."""
    return {name: getattr(found, name) for name in COUNTS if getattr(found, name)}


FIRST = {"text": LONG, "group": "Aysel", "sha256": "s", "fingerprint": PRINT, "split": "train", "duration": 3.6}
OTHER = {"text": "Tamam başqa bir cümlə budur.", "group": "Elçin", "sha256": "t", "fingerprint": "f0" * 16}
PLANTED = [
    ({}, {}, {}),
    ({}, {"text": LONG.replace(".", "!")}, {"texts": 1}),
    ({"text": "Bəli"}, {"text": "Bəli!"}, {"short_texts": 1}),
    ({}, {"text": LONG.replace("cümlə", "cumlə")}, {"near_texts": 1}),
    ({}, {"group": "Aysel"}, {"groups": 1}),
    ({}, {"sha256": "s"}, {"audio": 1}),
    ({}, {"fingerprint": PRINT.replace("f", "e")}, {"near_audio": 1}),
]


@pytest.mark.parametrize("split", ["validation", "test"])
@pytest.mark.parametrize(("first", "other", "expected"), PLANTED)
def test_each_kind_of_leakage_is_found_where_it_is_planted(first, other, expected, split):
    rows = [index_row(0, **FIRST | first), index_row(1, **OTHER | {"duration": 3.6, "split": split} | other)]
    found = counted(rows)
    assert counts(found) == expected
    assert set(found.shared) == set(expected)
    for shared in found.shared.values():
        assert (shared.clips, shared.hours) == (2, pytest.approx(0.002))
        assert shared.examples[0].clips == ("id000000", "id000001")


@pytest.mark.parametrize(("first", "other", "expected"), PLANTED)
def test_what_repeats_within_one_split_or_is_not_kept_is_no_leakage(first, other, expected):
    rows = [index_row(0, **FIRST | first), index_row(1, **OTHER | {"duration": 3.6, "split": "train"} | other)]
    assert counts(counted(rows)) == {}
    apart = [rows[0], index_row(1, **OTHER | {"duration": 3.6, "split": "test"} | other)]
    assert counts(counted(apart, kept=[True, False])) == {}
    assert counts(counted(apart)) == expected


def test_an_example_shows_what_is_shared_and_five_are_enough():
    rows = [index_row(n, text=f"{LONG} {'abcdefgh'[n % 8]}", split=SPLITS[n // 8]) for n in range(16)]
    shared = counted(rows).shared["texts"]
    assert (shared.clips, len(shared.examples)) == (16, 5)
    assert shared.examples[0] == Example("bu cümlə kifayət qədər uzundur a", ("id000000", "id000008"))


def test_silence_in_two_splits_is_no_shared_text():
    rows = [index_row(n, text="", split=split) for n, split in enumerate(SPLITS)]
    assert counts(counted(rows)) == {}


def test_outside_texts_are_counted_in_each_split():
    rows = [index_row(n, text=LONG, split=split) for n, split in enumerate(["train", "train", "test"])]
    key = corpus_of(index_of(rows), "az").keys[0]
    found = counted(rows, references=[Reference("f", frozenset({key})), Reference("g", frozenset({"başqa"}))])
    assert found.external["f"] == {"train": Found(1, 2), "validation": Found(0, 0), "test": Found(1, 1)}
    assert set(found.external["g"].values()) == {Found(0, 0)}


@pytest.mark.parametrize(
    ("row", "block_clips", "proxy"),
    [
        ({}, 50, True),
        ({}, None, False),
        ({"group": "g"}, 50, False),
        ({"split": "test"}, 50, False),
    ],
)
def test_blocks_are_called_a_proxy_where_they_decide(row, block_clips, proxy):
    assert counted([index_row(0, **row)], params=limits(block_clips=block_clips)).proxy is proxy


def test_a_block_that_decided_nothing_cannot_leak():
    rows = [index_row(n, split=SPLITS[n % 3]) for n in range(30)]
    assert counts(counted(rows, params=limits(block_clips=1000))) == {}


def test_the_report_is_json():
    rows = [index_row(n, text=LONG, split=split) for n, split in enumerate(SPLITS)]
    found = counted(rows, references=[Reference("f", frozenset({"bəli"}))])
    plain = json.loads(json.dumps(asdict(found), allow_nan=False))
    assert plain["texts"] == 1
    assert plain["shared"]["texts"]["clips"] == 3
    assert plain["external"]["f"]["train"] == {"keys": 0, "clips": 0}
    assert all(type(getattr(found, name)) is int for name in COUNTS)


# A corpus with every fault, through all of the room.


def messy(count: int):
    """Speakers with a few sentences each; some texts, sounds and typing slips recur across speakers."""
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdeəiklmnorstuüz"), size=6)) for _ in range(200)]
    texts = [" ".join(rng.choice(words, size=6)) for _ in range(count)]
    for place in range(0, count, 7):
        texts[place] = texts[int(rng.integers(count))]
    for place in range(0, count, 11):
        copied = texts[int(rng.integers(count))]
        texts[place] = copied[:3] + "x" + copied[4:]
    prints = [rng.bytes(16).hex() for _ in range(count)]
    for place in range(0, count, 13):
        prints[place] = prints[int(rng.integers(count))]
    hashes = [str(int(rng.integers(count * 4))) for _ in range(count)]
    return [
        index_row(n, text=texts[n], group=f"g{n % 40}" if n % 3 else "", fingerprint=prints[n], sha256=hashes[n])
        for n in range(count)
    ]


@pytest.mark.parametrize("block_clips", [None, 10])
def test_after_all_rules_nothing_is_left_to_find_and_without_them_everything_is(block_clips):
    params = limits(block_clips=block_clips)
    corpus = corpus_of(index_of(messy(1500)), "az")
    keys, _ = group_keys(corpus, block_clips)
    sides = splits.assign(corpus, keys, params)
    kept = np.ones(len(corpus), np.bool_)
    references = [Reference("f", frozenset(corpus.keys[:50]))]
    before = leakage(corpus, sides, kept, keys, references, params)
    assert set(counts(before)) == {"texts", "near_texts", "audio", "near_audio"}
    for found in (
        lambda: copies(corpus, kept, params.near_audio_bits),
        lambda: splits.overlaps(corpus, sides, kept, params),
        lambda: external.overlaps(corpus, sides, kept, references, params.overlap_min_characters),
    ):
        kept[[place for place, several in found().items() if any(finding.rejects for finding in several)]] = False
    after = leakage(corpus, sides, kept, keys, references, params)
    assert counts(after) == {}
    assert after.external["f"]["train"] == Found(0, 0)
    assert after.external["f"]["test"].clips
    assert kept.mean() > 0.5


@pytest.mark.parametrize("faulty", [lambda n: n % 3, lambda n: int(n % 5 == 0) * 2])
def test_a_split_by_rows_instead_of_groups_is_found_out(faulty):
    rows = [index_row(n, group=f"g{n % 7}") for n in range(60)]
    assert counted(rows).groups == 0
    assert counted(rows, sides=[faulty(n) for n in range(60)]).groups == 7
