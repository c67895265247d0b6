"""Prepare: nothing lost, ids stable, bytes the same whatever the number of processes."""

import dataclasses
import hashlib
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from asr.audio import decode
from asr.corpus.index import read_index
from asr.corpus.measure import NOTHING, measure
from asr.corpus.part import decode_clip
from asr.corpus.prepare import Summary
from asr.corpus.sources.rows import RowAudio
from asr.corpus.sources.selection import Source
from asr.corpus.store import ClipStore
from asr.corpus.workers import Crew
from asr.errors import UserError
from tests.bad_decoders import dangerous
from tests.factories import ToneAudio, data_params, encoded, samples_of, speech_like, tone
from tests.preparing import (
    CountedPart,
    DeadlyAudio,
    EmptyAudio,
    RefusedAudio,
    by_row,
    clip,
    contents,
    in_parts,
    mixed_clips,
    rows_of,
    run_prepare,
)

ROOT = Path(__file__).resolve().parent.parent


def test_a_decoded_clip_is_a_row_with_its_measurements_and_its_samples_in_the_store(tmp_path):
    audio = ToneAudio(440)
    described = replace(clip("a.wav", audio), declared=0.5, notes=("text.bom",))
    summary, [row] = run_prepare(tmp_path, [described])
    expected = vars(measure(samples_of(audio))) | {
        "id": hashlib.sha256(b"a.wav").hexdigest()[:16],
        "row": 0,
        "name": "a.wav",
        "text": "text of a.wav",
        "group": "group of a.wav",
        "source": "test",
        "split": "train",
        "licence": "CC0-1.0",
        "declared": 0.5,
        "encoding": "synthesis",
        "rate": 16_000,
        "channels": 1,
        "channel_correlation": 1.0,
        "channel_gap_db": 0.0,
        "speech_share": None,
        "notes": "text.bom",
        "code": "",
        "message": "",
    }
    assert dataclasses.asdict(row) == expected
    store = ClipStore(tmp_path / "clips")
    assert list(store) == [row.id]
    assert np.array_equal(store[row.id], samples_of(audio))
    assert summary == Summary(clips=1, decoded=1, seconds=0.1, reasons=())


def test_a_clip_that_cannot_be_decoded_keeps_its_row_and_text_and_stores_nothing(tmp_path):
    clips = [clip("a.wav", RefusedAudio("audio.truncated")), clip("b.wav", ToneAudio(440)), clip("c.wav", EmptyAudio())]
    summary, rows = run_prepare(tmp_path, clips)
    refused, stored, empty = by_row(rows)
    assert (refused.code, refused.message, refused.text) == ("audio.truncated", "found 3, wanted 4", "text of a.wav")
    assert {name: getattr(refused, name) for name in vars(NOTHING)} == vars(NOTHING)
    assert (refused.encoding, refused.rate, refused.channels) == ("", 0, 0)
    assert empty.code == "audio.no_samples"
    assert list(ClipStore(tmp_path / "clips")) == [stored.id]
    assert summary.reasons == (("audio.no_samples", 1), ("audio.truncated", 1))


@pytest.mark.parametrize("workers", [1, 2])
def test_rows_in_are_rows_in_the_index_and_stored_plus_refused(tmp_path, workers):
    clips = mixed_clips(150)
    summary, rows = run_prepare(tmp_path, in_parts(clips, 40), Crew(workers))
    assert [(row.row, row.name, row.text) for row in by_row(rows)] == [
        (number, c.name, c.text) for number, c in enumerate(clips)
    ]
    store = ClipStore(tmp_path / "clips")
    assert all((row.id in store) == (not row.code) for row in rows)
    assert all(hashlib.sha256(store[row.id]).hexdigest() == row.sha256 for row in rows if not row.code)
    assert summary.clips == 150 == summary.decoded + sum(count for _, count in summary.reasons)
    assert dict(summary.reasons) == Counter(row.code for row in rows if row.code)
    assert summary.seconds == pytest.approx(sum(row.duration for row in rows))


def test_the_bytes_do_not_depend_on_the_number_of_processes_or_on_the_run(tmp_path):
    source = in_parts(mixed_clips(150), 40)
    for name, workers in (("one", 1), ("again", 1), ("two", 2)):
        run_prepare(tmp_path / name, source, Crew(workers))
    assert len(contents(tmp_path / "one")) == 5
    assert contents(tmp_path / "one") == contents(tmp_path / "again") == contents(tmp_path / "two")


def test_rows_of_a_stream_are_counted_through_its_parts(tmp_path):
    clips = [clip(name, ToneAudio(100 + 10 * n)) for n, name in enumerate(("a", "b", "", "d"))]
    refused = clip("", RefusedAudio("audio.truncated"))
    source = Source([CountedPart((*clips[:3], refused)), CountedPart((clips[3], refused))], None)
    _, rows = run_prepare(tmp_path, source)
    assert [(row.row, row.name) for row in by_row(rows)] == [(0, "a"), (1, "b"), (2, ""), (3, ""), (4, "d"), (5, "")]
    assert len({row.id for row in rows}) == 6


def test_a_row_that_its_source_calls_unusable_is_not_opened(tmp_path):
    bad = replace(clip("b.wav", RefusedAudio("audio.missing")), fault=("manifest.bad_number", "duration = -1"))
    _, rows = run_prepare(tmp_path, [clip("a.wav", ToneAudio(100)), bad])
    assert [(row.code, row.message) for row in by_row(rows)] == [("", ""), ("manifest.bad_number", "duration = -1")]


def test_a_constant_offset_is_removed_and_the_measured_one_kept(tmp_path):
    wave = tone(300, 1.0, amplitude=0.2) + 0.05
    data = encoded(wave)
    _, [row] = run_prepare(tmp_path, [clip("a.wav", RowAudio(data))])
    stored = ClipStore(tmp_path / "clips")[row.id]
    assert row.dc_offset == pytest.approx(0.05, abs=1e-3)
    assert "signal.dc_offset" in row.notes.split()
    assert abs(float(stored.mean())) / 32768 < 1e-3
    assert np.abs(stored / 32768 - (wave - 0.05))[1600:-1600].max() < 0.01
    assert row.sha256 == hashlib.sha256(stored).hexdigest()


def test_a_plain_clip_is_stored_bit_for_bit(tmp_path):
    _, [row] = run_prepare(tmp_path, [clip("a.wav", RowAudio(encoded(speech_like(0.5))))])
    assert np.array_equal(ClipStore(tmp_path / "clips")[row.id], speech_like(0.5))
    assert row.notes == ""


def test_ids_do_not_depend_on_the_order_of_the_source(tmp_path):
    clips = [clip("a.wav", ToneAudio(100)), clip("b.wav", ToneAudio(200)), clip("", ToneAudio(300))]
    _, rows = run_prepare(tmp_path / "a", clips)
    _, back = run_prepare(tmp_path / "b", clips[::-1])
    assert {row.id: row.sha256 for row in rows} == {row.id: row.sha256 for row in back}


def test_a_nameless_clip_has_the_hash_of_its_samples_and_its_copies_are_numbered(tmp_path):
    clips = [clip("", ToneAudio(100)), clip("", ToneAudio(200)), clip("", ToneAudio(100)), clip("", ToneAudio(100))]
    _, rows = run_prepare(tmp_path, clips)
    first, other, second, third = by_row(rows)
    assert first.id == first.sha256[:16]
    assert other.id == other.sha256[:16]
    assert (second.id, third.id) == (f"{first.id}-1", f"{first.id}-2")
    store = ClipStore(tmp_path / "clips")
    assert all(hashlib.sha256(store[row.id]).hexdigest() == row.sha256 for row in rows)


def test_nameless_clips_that_cannot_be_decoded_have_ids_of_their_own(tmp_path):
    refused = RefusedAudio("audio.truncated")
    _, rows = run_prepare(tmp_path, [clip("", refused), clip("", ToneAudio(100)), clip("", refused)])
    assert len({row.id for row in rows}) == 3
    assert by_row(rows)[2].id == hashlib.sha256(b"row 2").hexdigest()[:16]


def test_two_clips_with_one_name_stop_prepare_and_both_rows_are_named(tmp_path):
    clips = [clip("a.wav", ToneAudio(100)), clip("b.wav", ToneAudio(200)), clip("a.wav", ToneAudio(300))]
    with pytest.raises(UserError, match=r"manifest\.duplicate_id: rows 0 and 2 .* 'a\.wav'"):
        run_prepare(tmp_path, clips)


def test_a_failure_leaves_the_earlier_outputs_as_they_were(tmp_path):
    run_prepare(tmp_path, [clip("a.wav", ToneAudio(100))])
    before = contents(tmp_path)
    with pytest.raises(UserError):
        run_prepare(tmp_path, [clip("b.wav", ToneAudio(100)), clip("b.wav", ToneAudio(100))])
    assert {name: data for name, data in contents(tmp_path).items() if ".partial" not in name} == before


@pytest.mark.parametrize(
    ("clips", "message"),
    [
        ([], "manifest.empty: 0 of 0 clips could be decoded"),
        (
            [clip(f"{n}", RefusedAudio("audio.missing" if n else "path.unsafe")) for n in range(3)],
            r"0 of 3 clips could be decoded \(audio\.missing 2, path\.unsafe 1, first '0': found 3, wanted 4\)",
        ),
    ],
)
def test_a_source_without_one_good_clip_stops_with_the_reasons(tmp_path, clips, message):
    with pytest.raises(UserError, match=message):
        run_prepare(tmp_path, clips)
    assert not (tmp_path / "clips").exists()


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (b"CRASH", "audio.decode_crash"),
        (b"RAISE", "audio.decode_crash"),
        (b"HANG", "audio.decode_timeout"),
    ],
)
def test_a_file_that_kills_or_hangs_its_worker_costs_its_own_row_alone(tmp_path, bad, code):
    flac = [encoded(speech_like(0.2, n), kind="FLAC") for n in range(12)]
    files = [*flac[:5], bad, *flac[5:]]
    clips = [clip(f"{n}.flac", RowAudio(data, f"{n}.flac")) for n, data in enumerate(files)]
    crew = Crew(2, seconds=1.0, decoder=dangerous)
    _, rows = run_prepare(tmp_path / "bad", in_parts(clips, 7), crew)
    assert [(row.row, row.code) for row in rows if row.code] == [(5, code)]
    store = ClipStore(tmp_path / "bad" / "clips")
    assert all(np.array_equal(store[row.id], decode(files[row.row], "").pcm) for row in rows if not row.code)


def test_a_worker_that_dies_even_when_it_is_careful_stops_prepare_with_one_line(tmp_path):
    clips = [clip("a", ToneAudio(100)), clip("b", DeadlyAudio())]
    with pytest.raises(UserError, match=r"ended twice \(status 1\) in part 0 of the source") as caught:
        run_prepare(tmp_path, clips)
    assert "\n" not in str(caught.value)


def test_an_error_of_the_code_is_not_mistaken_for_a_bad_clip():
    with pytest.raises(AttributeError):
        decode_clip(0, clip("a.wav", None), "", decode)  # type: ignore[arg-type]  # meant


# The stage


def stage(folder: Path, **data: object) -> subprocess.CompletedProcess[str]:
    """Runs `stages.prepare` on a parameter file whose other sections are those of the repository."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["data"] = dataclasses.asdict(data_params(**data))
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    outputs = ["--clips", folder / "out" / "clips", "--index", folder / "out" / "index.parquet"]
    command = [sys.executable, "-m", "stages.prepare", "--params", folder / "params.yaml", *outputs]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_stage_prepares_a_folder_and_says_what_became_of_it(tmp_path):
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "metadata.csv").write_text("file_name,text\na.wav,bir\nb.wav,iki\n")
    (corpus / "a.wav").write_bytes(encoded(speech_like(1.0)))
    (corpus / "c.wav").write_bytes(encoded(speech_like(1.0)))
    done = stage(tmp_path, source="folder", path=str(corpus))
    assert done.returncode == 0
    assert done.stdout == "prepare: 2 clips: 1 decoded (0.00 h), audio.missing 1\n"
    assert "note: 1 audio files stand in no metadata file" in done.stderr
    rows = {row.name: row for row in rows_of(read_index(tmp_path / "out" / "index.parquet"))}
    assert np.array_equal(ClipStore(tmp_path / "out" / "clips")[rows["a.wav"].id], speech_like(1.0))
    assert rows["b.wav"].code == "audio.missing"


def test_a_mistake_ends_the_stage_with_one_line_and_status_2(tmp_path):
    done = stage(tmp_path, source="manifest", path=str(tmp_path / "none.csv"))
    assert done.returncode == 2
    assert done.stderr.startswith("error: data.path = ")
    assert done.stderr.count("\n") == 1
