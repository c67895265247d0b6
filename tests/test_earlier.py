"""Contract: clips of an earlier release keep their side, and new clips give way where the two would mix."""

import json
import shutil
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from asr.corpus import splits
from asr.corpus.clips import SPLITS
from asr.corpus.findings import corpus_of
from asr.corpus.index import IndexRow, as_table, index_of, write_index
from asr.corpus.splitting.earlier import Followed, Record, earlier_sides, followed, read_earlier
from asr.corpus.splitting.groups import group_keys
from asr.corpus.validate import Validated, validate
from asr.errors import UserError
from asr.files import read_json
from asr.knobs import read_yaml
from stages import validate as stage
from tests.index_rows import LIMITS, index_row, limits
from tests.pipeline import ROOT

TRAIN, VALIDATION, TEST = range(3)
LONG = "Bu cümlə kifayət qədər uzundur."
NEAR = LONG.replace("cümlə", "cumlə")
PRINT, NEAR_PRINT = "0123456789abcdef" * 2, "f123456789abcdef" * 2
BLOCKS = limits(block_clips=3)
WORDS = ["dəniz", "meşə", "bazar", "məktəb", "dağ", "çay", "yol", "bağ", "şəhər", "kənd"]


def validated(rows: list[IndexRow], record: Record, params=BLOCKS) -> Validated:
    return validate(index_of(rows), params, "az", record=record)


def record_of(found: Validated) -> dict[str, int]:
    """What a release leaves for the next one."""
    return {clip.id: side for side, name in enumerate(SPLITS) for clip in found.splits[name]}


def spaced(count: int) -> list[IndexRow]:
    """An ungrouped source with room for other rows between any two."""
    return [
        index_row(n, row=n * 100, text=f"{WORDS[n % 10]} {WORDS[n // 10 % 10]} üçün {n * 7919}") for n in range(count)
    ]


# Any corpus, any insertions.

TEXTS = st.sampled_from([LONG, NEAR, "Bəli.", "", "Bu başqa bir uzun cümlədir.", "Bu başqa bir uzun cumlədir."])
OWN = st.integers(0, 10**6).map(lambda n: f"{n} nömrəli cümlə budur")
SOUNDS = st.sampled_from(["", "", PRINT, NEAR_PRINT])
PLANS = st.lists(st.tuples(st.integers(0, 4000), TEXTS | OWN, SOUNDS, st.sampled_from("ab")), max_size=25)


def planted(plan, first: int) -> list[IndexRow]:
    return [
        index_row(first + n, row=row, text=text, fingerprint=sound, source=source)
        for n, (row, text, sound, source) in enumerate(plan)
    ]


@settings(deadline=None, max_examples=40)
@given(PLANS, PLANS, st.sampled_from([None, 1, 3, 8]), st.sampled_from([None, 3]), st.randoms(use_true_random=False))
def test_whatever_is_inserted_all_clips_of_the_record_keep_their_side_and_nothing_leaks(old, new, then, now, chance):
    first = validated([*spaced(40), *planted(old, 1000)], {}, limits(block_clips=then))
    record = record_of(first)
    rows = [*spaced(40), *planted(old, 1000), *planted(new, 2000)]
    second = validated(chance.sample(rows, len(rows)), record, limits(block_clips=now))
    after = record_of(second)
    assert {id: after.get(id) for id in record} == record
    assert second.earlier == Followed(kept=len(record), rejected=0, gone=0, overruled=0)
    shared = {name for name in second.leakage.shared if name != "short_texts"}
    assert shared == set()


@settings(deadline=None, max_examples=20)
@given(st.permutations(range(40)), st.sets(st.integers(0, 39), max_size=15), PLANS)
def test_rows_may_change_their_order_and_go_as_well(order, gone, new):
    record = record_of(validated(spaced(40), {}))
    moved = [replace(row, row=order[n] * 100) for n, row in enumerate(spaced(40)) if n not in gone]
    assume({"train", "test"} <= {SPLITS[record[row.id]] for row in moved})
    found = validated([*moved, *planted(new, 1000)], record)
    assert found.earlier == Followed(40 - len(gone), 0, len(gone), 0)
    assert found.leakage.groups == found.leakage.texts == 0


@settings(deadline=None, max_examples=20)
@given(st.lists(st.sampled_from(["", "Aysel", "Elçin", "Nigar"]), min_size=60, max_size=60))
def test_speakers_may_become_known_and_new_clips_of_those_on_two_sides_leave(names):
    record = record_of(validated(spaced(40), {}))
    found = validated([replace(row, group=name) for row, name in zip(spaced(60), names, strict=True)], record)
    assert found.earlier == Followed(40, 0, 0, 0)
    held = {(name, record[f"id{n:06d}"]) for n, name in enumerate(names[:40])}
    torn = {name for name in names if name and sum(group == name for group, _ in held) > 1}
    assert {row.id for row in found.rejections} == {f"id{n:06d}" for n in range(40, 60) if names[n] in torn}
    assert found.leakage.groups == len(torn)


def test_a_release_with_its_own_record_is_the_same_release():
    rows = [*spaced(60), *planted([(150, LONG, PRINT, "test"), (2050, NEAR, NEAR_PRINT, "test")] * 3, 1000)]
    first = validated(rows, {})
    second = validated(rows, record_of(first))
    assert (first.splits, first.rejections, first.leakage) == (second.splits, second.rejections, second.leakage)
    assert first.earlier is None


def moved_by_insertions(with_record: bool) -> int:
    """How many clips leave their side as one clip comes in, summed over many such clips."""
    old = spaced(60)
    first = record_of(validated(old, {}))
    moved = 0
    for n in range(30):
        second = record_of(validated([*old, index_row(5000 + n, row=n * 150 + 50)], first if with_record else {}))
        moved += sum(second[id] != side for id, side in first.items())
    return moved


def test_without_the_record_a_clip_inserted_into_a_block_moves_others():
    assert moved_by_insertions(with_record=True) == 0
    assert moved_by_insertions(with_record=False) > 3


# Which side new clips take.


def sides(rows: list[IndexRow], record: Record, params=LIMITS) -> dict[str, str]:
    corpus = corpus_of(index_of(rows), "az")
    earlier = earlier_sides(corpus, record)
    keys, _ = group_keys(corpus, params.block_clips, earlier)
    placed = splits.assign(corpus, keys, params, earlier)
    return {id: SPLITS[side] for id, side in zip(corpus.index.texts["id"], placed.tolist(), strict=True)}


@pytest.mark.parametrize("side", range(3))
@pytest.mark.parametrize(
    ("columns", "params"),
    [({"group": "Aysel"}, LIMITS), ({"text": LONG}, LIMITS), ({}, limits(block_clips=1000))],
    ids=["group", "text", "block"],
)
def test_new_clips_go_where_the_earlier_clips_of_their_group_are(side, columns, params):
    rows = [index_row(n, **columns) for n in range(4)]
    assert set(sides(rows, {"id000001": side}, params).values()) == {SPLITS[side]}


def test_groups_without_earlier_clips_are_split_by_hash_as_ever():
    rows = [index_row(n, group=f"g{n}") for n in range(30)]
    assert {**sides(rows, {"id000000": TEST}), "id000000": ""} == {**sides(rows, {}), "id000000": ""}


def test_the_earlier_side_goes_before_the_one_that_the_source_states_and_this_before_that_of_the_group():
    rows = [index_row(0, split="train", group="g"), index_row(1, split="train", group="g"), index_row(2, group="g")]
    assert list(sides(rows, {"id000000": TEST}).values()) == ["test", "train", "test"]


# Who gives way.


def codes(rows: list[IndexRow], record: Record, params=LIMITS) -> dict[str, list[str]]:
    """Codes by id of the clips with a finding."""
    corpus = corpus_of(index_of(rows), "az")
    earlier, kept = earlier_sides(corpus, record), np.ones(len(rows), np.bool_)
    keys, _ = group_keys(corpus, params.block_clips, earlier)
    placed = splits.assign(corpus, keys, params, earlier)
    found = splits.bridges(corpus, keys, kept, earlier)
    kept[list(found)] = False
    found |= splits.overlaps(corpus, placed, kept, params, earlier)
    return {corpus.index.texts["id"][place]: [each.code for each in several] for place, several in found.items()}


@pytest.mark.parametrize(
    ("code", "first", "other"),
    [
        ("split.text_overlap", {"text": LONG}, {"text": LONG}),
        ("split.near_text_overlap", {"text": LONG}, {"text": NEAR}),
        ("split.near_audio_overlap", {"fingerprint": PRINT}, {"fingerprint": NEAR_PRINT}),
    ],
)
@pytest.mark.parametrize("earlier", SPLITS)
@pytest.mark.parametrize("new", SPLITS)
def test_of_an_earlier_and_a_new_clip_the_new_one_leaves_whichever_split_it_is_in(code, first, other, earlier, new):
    rows = [index_row(0, **first), index_row(1, split=new, **other)]
    wanted = code if SPLITS.index(new) < SPLITS.index(earlier) else "split.earlier_overlap"
    assert codes(rows, {"id000000": SPLITS.index(earlier)}) == ({} if new == earlier else {"id000001": [wanted]})


def test_earlier_clips_whose_texts_have_become_equal_are_judged_as_ever_and_then_guard_nothing():
    rows = [index_row(n, text=LONG, split=name) for n, name in enumerate(["train", "test", "test"])]
    assert codes(rows, {"id000000": TRAIN, "id000001": TEST}) == {"id000000": ["split.text_overlap"]}


def test_a_message_says_which_clip_of_the_earlier_release_is_meant():
    corpus = corpus_of(index_of([index_row(0, text=LONG), index_row(1, text=NEAR)]), "az")
    placed, kept = np.array([TRAIN, TEST], np.int8), np.ones(2, np.bool_)
    (finding,) = splits.overlaps(corpus, placed, kept, LIMITS, np.array([TRAIN, -1], np.int8))[1]
    assert finding.message == (
        "the text of this test clip differs in 1 of 30 characters from that of clip id000000 of train "
        "in an earlier release"
    )
    assert (finding.value, finding.limit) == (1 / 30, 0.1)


def test_a_new_clip_of_a_group_on_two_earlier_sides_leaves_unless_the_source_states_its_split():
    rows = [index_row(n, group="Aysel") for n in range(3)] + [index_row(3, group="Aysel", split="train")]
    assert codes(rows, {"id000000": TRAIN, "id000001": TEST}) == {
        "id000000": ["split.group_overlap"],
        "id000002": ["split.bridges_earlier"],
        "id000003": ["split.group_overlap"],
    }


@pytest.mark.parametrize("columns", [{"sha256": "same"}, {"fingerprint": PRINT}])
def test_of_copies_the_earlier_clip_stays_whatever_its_row(columns):
    old = [*spaced(60), index_row(100, row=9900, text=LONG, **columns)]
    rows = [*old, index_row(101, row=3, text=LONG, **columns)]
    assert [row.id for row in validated(rows, {}).rejections] == ["id000100"]
    assert [row.id for row in validated(rows, record_of(validated(old, {}))).rejections] == ["id000101"]


# The account.


def test_the_account_adds_up_to_the_record():
    rows = spaced(60)
    record = {**record_of(validated(rows, {})), "gone1": TRAIN, "gone2": TEST}
    mended = [replace(rows[0], text="..."), replace(rows[1], split="validation"), *rows[2:]]
    record["id000001"] = TRAIN
    assert validated(mended, record).earlier == Followed(kept=59, rejected=1, gone=2, overruled=1)


def test_a_clip_on_another_side_would_be_noticed():
    found = validated(spaced(60), {})
    record = record_of(found)
    followed(found.corpus, record, found.splits)
    moved = next(id for id, side in record.items() if side == TRAIN)
    with pytest.raises(AssertionError, match=rf"split.unstable: 1 .* {moved}"):
        followed(found.corpus, {**record, moved: TEST}, found.splits)


def lines(*ids: str) -> str:
    """A split file with these clips."""
    return "".join(json.dumps({"id": id, "text": "a\u2028b", "duration": 1.5}, ensure_ascii=False) + "\n" for id in ids)


def written(folder: Path, **files: str | bytes | None) -> Path:
    """A record of three clips, with some files changed, or absent where None."""
    content = {"train": lines("a"), "validation": lines("b"), "test": lines("c")} | files
    for name, text in content.items():
        if text is not None:
            (folder / f"{name}.jsonl").write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def test_a_record_is_the_side_of_every_clip(tmp_path):
    (tmp_path / "README.md").write_text("What this is for.", encoding="utf-8")
    (tmp_path / "rejected.jsonl").write_text("{not read", encoding="utf-8")
    assert read_earlier(written(tmp_path, train=lines("a", "ə"))) == {"a": 0, "ə": 0, "b": 1, "c": 2}
    blank = f"\n{lines('a')}\r\n\n{lines('d').strip()}"
    assert read_earlier(written(tmp_path, train=blank, validation="")) == {"a": 0, "d": 0, "c": 2}


def test_no_folder_an_empty_path_or_a_note_alone_is_no_record(tmp_path, monkeypatch):
    monkeypatch.chdir(written(tmp_path))
    (tmp_path / "empty").mkdir()
    shutil.copy(ROOT / "data/earlier/README.md", tmp_path / "empty")
    assert read_earlier(Path("none")) == read_earlier(Path()) == read_earlier(tmp_path / "empty") == {}


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("train", None, r"missing; a record has the files train\.jsonl, validation\.jsonl, test\.jsonl"),
        ("train", "", "empty; copy the file"),
        ("test", "", "empty; copy the file"),
        ("test", lines("c") + lines("d")[:-9], ":2: not JSON"),
        ("test", lines("c") + "\0\0\0\n", ":2: not JSON"),
        ("test", lines("c") + lines("c d").replace(" ", "\n"), ":2: not JSON"),
        ("test", b'{"id": "\xff"}\n', ":1: not JSON in UTF-8"),
        ("test", lines("c") + '"d"\n', ":2: str where an object"),
        ("test", lines("c") + '{"id": "d", "code": "x"}', ":2: 'code' is no column of a split file"),
        ("test", '{"text": "a"}', ":1: the id is null"),
        ("test", '{"id": 7}', ":1: the id is 7"),
        ("test", '{"id": ""}', ':1: the id is ""'),
        ("test", lines("c", "d", "c"), r":3: the clip 'c' stands in test\.jsonl already; copy all three files"),
        ("test", lines("c", "a"), r":2: the clip 'a' stands in train\.jsonl already"),
    ],
)
def test_a_record_that_is_not_whole_is_refused_with_file_line_and_remedy(tmp_path, name, content, problem):
    with pytest.raises(UserError, match=problem) as caught:
        read_earlier(written(tmp_path, **{name: content}))
    assert str(tmp_path / f"{name}.jsonl") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_record_in_a_folder_below_or_a_file_in_place_of_the_folder_is_no_silent_nothing(tmp_path):
    (tmp_path / "splits").mkdir()
    written(tmp_path / "splits")
    with pytest.raises(UserError, match=r"train\.jsonl: missing"):
        read_earlier(tmp_path)
    with pytest.raises(UserError, match="is a file"):
        read_earlier(tmp_path / "splits" / "train.jsonl")


def run_stage(folder: Path, out: str, rows: list[IndexRow], monkeypatch) -> Path:
    write_index(folder / "index.parquet", as_table(rows))
    content = read_yaml(ROOT / "presets" / "sample.yaml") | {"validate": asdict(BLOCKS)}
    (folder / "params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    inputs = {"index": "index.parquet", "params": "params.yaml", "external": "external", "earlier": "earlier"}
    outputs = {"splits": f"{out}/splits", "metrics": f"{out}/validate.json", "plots": f"{out}/plots"}
    words = [word for name, path in (inputs | outputs).items() for word in (f"--{name}", str(folder / path))]
    monkeypatch.setattr(sys, "argv", ["validate", *words])
    stage.main()
    return folder / out


def test_the_stage_follows_the_split_files_that_were_copied_and_says_what_became_of_them(tmp_path, monkeypatch, capsys):
    first = run_stage(tmp_path, "first", spaced(60), monkeypatch)
    assert "earlier" not in read_json(first / "validate.json")
    assert "earlier" not in capsys.readouterr().out
    (tmp_path / "earlier").mkdir()
    for name in SPLITS:
        shutil.copy(first / "splits" / f"{name}.jsonl", tmp_path / "earlier")
    more = [index_row(5000 + n, row=n * 150 + 50) for n in range(40)]
    second = run_stage(tmp_path, "second", [*spaced(60)[1:], *more], monkeypatch)
    before, after = (read_json(folder / "validate.json") for folder in (first, second))
    assert after["earlier"] == {"kept": 59, "rejected": 0, "gone": 1, "overruled": 0}
    assert after["provenance"]["data"] != before["provenance"]["data"]
    assert "earlier release: 59 clips keep their side; 0 are rejected and 1 gone" in capsys.readouterr().out
    was, now = read_earlier(tmp_path / "earlier"), read_earlier(second / "splits")
    assert {id: now[id] for id in was if id != "id000000"} == {id: was[id] for id in was if id != "id000000"}
