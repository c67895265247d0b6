"""Contract: what validate reports adds up, reads in order, and depends on the corpus alone."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.corpus.clips import SPLITS
from asr.corpus.index import IndexRow, index_of
from asr.corpus.ledger import Total
from asr.corpus.statistics import CHARACTERS, CHARACTERS_PER_SECOND, DURATIONS, SNR, group_rows, metrics, write_tables
from asr.corpus.tally import MOST, OTHERS, UNSTATED, by_column, parts, rejected
from asr.corpus.validate import Validated, validate
from asr.pcm import SAMPLE_RATE
from tests.index_rows import index_row, limits

BINNED = ("durations", "text_lengths", "characters_per_second", "snr", "groups")
TABLES = {*BINNED, "sources", "rejected", "warned"}
WORDS = [
    *("salam", "dünya", "kitab", "alma", "dəniz", "günəş", "şəhər", "ağac"),
    *("yol", "çay", "qapı", "pəncərə", "uşaq", "müəllim", "sabah", "axşam"),
]
SIXTY = [index_row(n, text=f"{WORDS[n % 16]} {WORDS[n // 16]} gəlir") for n in range(60)]
"""Sound clips that no rule speaks of."""


def validated(*more: IndexRow, **changes: Any) -> Validated:
    return validate(index_of([*SIXTY, *more]), limits(**changes), "az")


def silence(number: int, **changes: Any) -> IndexRow:
    return index_row(number, text="", rms_dbfs=-120.0, **changes)


def tables(folder: Path, corpus: Validated) -> dict[str, list[list[str]]]:
    """Rows under the header of every table."""
    write_tables(folder, corpus)
    lines = {path.stem: path.read_text(encoding="utf-8").splitlines()[1:] for path in folder.iterdir()}
    return {name: [line.split("\t") for line in rows] for name, rows in lines.items()}


MIXED = (
    index_row(100, duration=0.01),
    index_row(101, text="...", duration=1.5),
    index_row(102, code="audio.zero_bytes", message="the file is empty", duration=0.0, sha256=""),
    index_row(103, source="other", licence="", group="Aysel", text="  salam   axşam gəlir", duration=3.25, snr_db=3.0),
    silence(104, source="other", duration=2.5),
)


@pytest.fixture(scope="module")
def mixed() -> Validated:
    return validated(*MIXED)


rows = st.builds(
    lambda duration, text, source, group, licence: (duration, text, source, group, licence),
    st.integers(0, 12 * SAMPLE_RATE).map(lambda samples: samples / SAMPLE_RATE),
    st.sampled_from(["", "...", "salam", "kitab alma dəniz", "çox uzun " * 12]),
    st.sampled_from(["", "one", "two"]),
    st.sampled_from(["", "Aysel", "Orxan"]),
    st.sampled_from(["", "MIT"]),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(rows, max_size=12))
def test_clips_and_hours_add_up_in_every_way_they_are_divided(drawn: list[tuple[float, str, str, str, str]]) -> None:
    names = ("duration", "text", "source", "group", "licence")
    corpus = validated(*(index_row(100 + n, **dict(zip(names, row, strict=True))) for n, row in enumerate(drawn)))
    found, report = parts(corpus), metrics(corpus)
    whole, kept, lost = (found[name].total for name in ("in", "kept", "rejected"))
    assert whole == corpus.all_in == added(kept, lost)
    assert kept == added(*(found[name].total for name in SPLITS))
    assert lost == added(*rejected(corpus).values())
    for column in ("source", "licence"):
        shares = by_column(corpus, column).values()
        assert kept == added(*(share.kept for share in shares))
        assert lost == added(*(share.rejected for share in shares))
    assert report["clips_in"] == report["clips_kept"] + sum(report["rejected"].values()) == 60 + len(drawn)
    assert report["clips_kept"] == sum(split["clips"] for split in report["splits"].values())
    for part in report["reconciliation"].values():
        assert part["clips"] * part["mean_duration"] / 3600 == pytest.approx(part["hours"], abs=1e-9)


def added(*totals: Total) -> Total:
    return Total(sum(each.clips for each in totals), sum(each.samples for each in totals))


def test_a_length_that_its_samples_contradict_would_be_noticed(
    mixed: Validated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asr.corpus.tally.total", lambda durations: Total(len(durations), 7))
    with pytest.raises(AssertionError, match="in: Total"):
        parts(mixed)


def test_the_numbers_of_a_small_corpus_are_those_counted_by_hand(mixed: Validated) -> None:
    report = metrics(mixed)
    assert report["rejected"] == {"audio.zero_bytes": 1, "signal.too_short": 1, "text.empty": 1}
    assert report["rejected_share"] == 3 / 65
    assert report["repaired"] == {"text.spaces": 1}
    assert report["warned"] == {"manifest.licence": 1, "signal.low_snr": 1, "signal.negative_example": 1}
    assert report["negatives"] == 1
    assert report["hours_in"] == pytest.approx((60 * 2 + 0.01 + 1.5 + 3.25 + 2.5) / 3600)
    assert report["sources"]["other"] == {"clips": 2, "hours": pytest.approx(5.75 / 3600)}
    assert {name: part["clips"] for name, part in report["licences"].items()} == {"CC0-1.0": 61, UNSTATED: 1}
    assert report["groups"] == {
        "count": 1,
        "ungrouped_clips": 61,
        "largest": {"clips": 1, "hours": pytest.approx(3.25 / 3600)},
    }
    assert report["quantiles"]["duration"] == {"p1": 2.0, "p5": 2.0, "p50": 2.0, "p95": 2.0, "p99": 2.5}
    assert report["quantiles"]["words_per_second"]["p50"] == 1.5
    json.dumps(report, allow_nan=False)


def test_quantiles_are_of_clips_with_a_text_only() -> None:
    spoken, all_silent = validated(silence(100, duration=9.0, snr_db=0.0)), [silence(n) for n in range(20)]
    assert metrics(spoken)["quantiles"]["snr_db"]["p1"] == 30.0
    assert metrics(validate(index_of(all_silent), limits(), "az"))["quantiles"] == {}


def test_shared_transcripts_and_names_of_people_stay_out_of_the_metrics() -> None:
    shared = [
        index_row(100 + n, group="Aysel Quliyeva", split=name, text=f"{WORDS[n]} getdi")
        for n, name in enumerate(SPLITS)
    ]
    report = metrics(validated(*shared))
    assert report["leakage"]["groups"] == 1
    assert report["leakage"]["shared"]["groups"]["clips"] == 3
    assert report["leakage"]["shared"]["groups"]["examples"]
    assert "Aysel" not in json.dumps(report, ensure_ascii=False)


def test_many_sources_are_listed_to_a_bound_and_the_rest_added_up() -> None:
    corpus = validated(*(index_row(100 + n, source=f"set {n:03d}") for n in range(30)))
    found = by_column(corpus, "source")
    assert list(found)[:2] == ["test", "set 000"]
    assert (len(found), list(found)[-1]) == (MOST + 1, OTHERS)
    assert found[OTHERS].kept.clips == 31 - MOST


def test_all_tables_are_written_and_their_clips_are_those_of_the_metrics(tmp_path: Path, mixed: Validated) -> None:
    found, report = tables(tmp_path, mixed), metrics(mixed)
    assert set(found) == TABLES
    for name in ("durations", "text_lengths"):
        assert sum(int(row[1]) for row in found[name]) == report["clips_kept"]
    for name in ("characters_per_second", "snr"):
        assert sum(int(row[1]) for row in found[name]) == report["clips_kept"] - report["negatives"]
    for name in ("rejected", "warned"):
        assert {code: int(clips) for code, clips in found[name]} == report[name]
    assert sum(int(row[1]) + int(row[3]) for row in found["sources"]) == report["clips_in"]
    assert found["groups"] == [["00001", "1", "0.0009"]]


def test_names_of_groups_stay_out_of_all_tables(tmp_path: Path, mixed: Validated) -> None:
    write_tables(tmp_path, mixed)
    assert not [path for path in tmp_path.iterdir() if "Aysel" in path.read_text(encoding="utf-8")]


@settings(max_examples=50, deadline=None)
@given(st.sampled_from([DURATIONS, CHARACTERS, CHARACTERS_PER_SECOND, SNR]), st.lists(st.floats(0, 5000), max_size=30))
def test_the_order_of_labels_by_name_is_the_order_by_number(scale: Any, values: list[float]) -> None:
    found = list(scale.rows(np.array(values)))
    labels = [label for label, _ in found]
    assert labels == sorted(labels)
    assert [float(label.rstrip("+").split("-")[0]) for label in labels] == [n * scale.width for n in range(len(labels))]
    assert sum(count for _, count in found) == len(values)
    assert len(found) <= scale.last / scale.width + 1, "a long tail is one row"


@pytest.mark.parametrize(
    ("scale", "value", "label"),
    [
        (DURATIONS, 0.0, "00.0-00.5"),
        (DURATIONS, 0.5, "00.5-01.0"),
        (DURATIONS, 29.99, "29.5-30.0"),
        (DURATIONS, 30.0, "30.0+"),
        (DURATIONS, 3600.0, "30.0+"),
        (CHARACTERS, 9, "000-009"),
        (CHARACTERS, 10, "010-019"),
        (CHARACTERS, 109, "100-109"),
        (CHARACTERS, 299, "290-299"),
        (CHARACTERS, 300, "300+"),
        (CHARACTERS_PER_SECOND, 9.99, "09-10"),
        (CHARACTERS_PER_SECOND, 10.0, "10-11"),
        (SNR, -0.5, "00-05"),
        (SNR, 120.0, "60+"),
    ],
)
def test_a_value_falls_into_the_bin_of_its_label(scale: Any, value: float, label: str) -> None:
    *others, last = scale.rows(np.array([value], np.float64))
    assert last == (label, 1)
    assert not any(count for _, count in others)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 30_000), max_size=20))
def test_groups_of_every_size_are_counted_in_order(sizes: list[int]) -> None:
    found = group_rows([Total(size, size * SAMPLE_RATE) for size in sizes])
    labels = [label for label, *_ in found]
    assert labels == sorted(labels)
    assert sum(count for _, count, _ in found) == len(sizes)
    assert math.isclose(sum(hours for *_, hours in found), sum(sizes) / 3600, abs_tol=1e-3)


@pytest.mark.parametrize(
    ("size", "label"),
    [(1, "00001"), (2, "00002-00004"), (19, "00010-00019"), (9999, "05000-09999"), (10_000, "10000+")],
)
def test_a_group_is_counted_under_its_size(size: int, label: str) -> None:
    assert group_rows([Total(size, SAMPLE_RATE)])[-1][:2] == (label, 1)


def test_every_table_reads_in_the_order_of_its_numbers_by_name(tmp_path: Path, mixed: Validated) -> None:
    found = tables(tmp_path, mixed)
    for name in BINNED:
        labels = [row[0] for row in found[name]]
        assert labels == sorted(labels)


def test_equal_corpora_give_equal_bytes_whatever_the_order_of_their_rows(tmp_path: Path, mixed: Validated) -> None:
    turned = validate(index_of([*MIXED, *SIXTY][::-1]), limits(), "az")
    for name, corpus in (("one", mixed), ("two", turned)):
        write_tables(tmp_path / name, corpus)
    one, two = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one", "two"))
    assert one == two
    assert metrics(mixed) == metrics(turned)


def test_a_corpus_without_rejections_warnings_and_groups_has_tables_without_rows(tmp_path: Path) -> None:
    found = tables(tmp_path, validated())
    assert (found["rejected"], found["warned"], found["groups"]) == ([], [], [])
    assert metrics(validated())["groups"]["largest"] == {"clips": 0, "hours": 0.0}


def test_one_group_for_all_is_one_row(tmp_path: Path) -> None:
    clips = [replace(row, group="all", split=SPLITS[n % 3]) for n, row in enumerate(SIXTY)]
    found = tables(tmp_path, validate(index_of(clips), limits(), "az"))
    assert [row for row in found["groups"] if row[1] != "0"] == [["00050-00099", "1", "0.0333"]]


def test_a_source_cannot_break_a_table(tmp_path: Path) -> None:
    found = tables(tmp_path, validated(index_row(100, source="a\tb\nc")))
    assert sorted(row[0] for row in found["sources"]) == ["a b c", "test"]
