"""Contract: Parquet files on this machine, as the Hugging Face Hub serves them, give their rows and lose none."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from asr.corpus.sources.open import open_source
from asr.corpus.sources.selection import Source
from asr.errors import UserError
from asr.pcm import AudioError
from tests.factories import data_params, encoded, samples_of, speech_like

AUDIO = pa.struct({"bytes": pa.binary(), "path": pa.string()})
SPEECH = [speech_like(0.1, number) for number in range(6)]
WAVS = [encoded(pcm) for pcm in SPEECH]


def parquet(path: Path, names: Sequence[str | None], wavs: Sequence[bytes | None] = WAVS, **columns: list) -> Path:
    """A file with the columns of LocalDoc/azerbaijani_asr, two rows in a row group."""
    audio = [{"bytes": data, "path": name} for name, data in zip(names, wavs[: len(names)], strict=True)]
    table = {
        "audio": pa.array(audio, AUDIO),
        "text": [f"cümlə {number}" for number in range(len(names))],
        "duration": [0.1] * len(names),
        "audio_file": [f"kurs-{number // 2}" for number in range(len(names))],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(table | columns), path, row_group_size=2)
    return path


def opened(path: Path, **changes: object) -> Source:
    return open_source(data_params(source="hub", path=str(path), **changes))


def names_of(source: Source) -> list[str]:
    return [clip.name for _, clip in source.clips]


def test_rows_arrive_in_order_with_their_labels_and_samples(tmp_path):
    path = parquet(tmp_path / "data.parquet", [f"{n}.wav" for n in range(6)])
    source = opened(path, group_column="audio_file")
    assert source.total == 6
    assert source.notes == ()
    rows, clips = zip(*source.clips, strict=True)
    assert rows == tuple(range(6))
    assert [clip.name for clip in clips] == [f"{n}.wav" for n in range(6)]
    assert [clip.text for clip in clips] == [f"cümlə {n}" for n in range(6)]
    assert [clip.group for clip in clips] == ["kurs-0", "kurs-0", "kurs-1", "kurs-1", "kurs-2", "kurs-2"]
    assert {(clip.source, clip.split) for clip in clips} == {("parquet", "")}
    assert all(np.array_equal(samples_of(clip.audio), pcm) for clip, pcm in zip(clips, SPEECH, strict=True))


def test_a_folder_of_parquet_is_read_in_the_order_of_its_names(tmp_path):
    parquet(tmp_path / "d" / "data" / "train-00001.parquet", ["c", "d"])
    parquet(tmp_path / "d" / "data" / "train-00000.parquet", ["a", "b"])
    (tmp_path / "d" / "README.md").write_text("not data")
    source = opened(tmp_path / "d")
    assert source.total == 4
    assert names_of(source) == ["a", "b", "c", "d"]


def test_a_row_without_bytes_is_a_row_with_a_reason_and_no_machine_path(tmp_path):
    path = parquet(tmp_path / "x.parquet", ["/home/someone/a.wav", "b.wav"], [None, WAVS[0]])
    [(_, lost), (_, found)] = opened(path).clips
    with pytest.raises(AudioError) as caught:
        samples_of(lost.audio)
    assert (lost.name, caught.value.code) == ("", "audio.missing")
    assert np.array_equal(samples_of(found.audio), SPEECH[0])


def test_a_broken_row_does_not_stop_the_others(tmp_path):
    path = parquet(tmp_path / "x.parquet", ["a", "b", "c"], [WAVS[0], b"<html>", WAVS[2]])
    [_, (_, broken), (_, last)] = opened(path).clips
    with pytest.raises(AudioError, match=r"audio\.not_audio"):
        samples_of(broken.audio)
    assert np.array_equal(samples_of(last.audio), SPEECH[2])


def test_null_audio_text_and_group_become_empty(tmp_path):
    path = parquet(
        tmp_path / "x.parquet", ["a"], text=pa.array([None], pa.string()), speaker=pa.array([None], pa.int64())
    )
    [(_, clip)] = opened(path, group_column="speaker").clips
    assert (clip.text, clip.group) == ("", "")
    path = parquet(tmp_path / "y.parquet", ["a"], audio=pa.array([None], AUDIO))
    [(_, clip)] = opened(path).clips
    with pytest.raises(AudioError, match=r"audio\.missing"):
        samples_of(clip.audio)


def test_speaker_numbers_become_text_and_splits_are_checked(tmp_path):
    path = parquet(tmp_path / "x.parquet", ["a", "b"], speaker=[7, 12], part=["train", "test"])
    clips = [clip for _, clip in opened(path, group_column="speaker", split_column="part").clips]
    assert [(clip.group, clip.split) for clip in clips] == [("7", "train"), ("12", "test")]
    path = parquet(tmp_path / "y.parquet", ["a", "b"], part=["train", "rest"])
    with pytest.raises(UserError, match=r"parquet row 1: part = 'rest'"):
        list(opened(path, split_column="part").clips)


def test_audio_bytes_may_stand_alone_in_their_column(tmp_path):
    path = parquet(tmp_path / "x.parquet", ["a", "b"], audio=pa.array(WAVS[:2], pa.binary()))
    clips = [clip for _, clip in opened(path).clips]
    assert [clip.name for clip in clips] == ["", ""]
    assert np.array_equal(samples_of(clips[1].audio), SPEECH[1])


def test_repeated_names_give_way_to_hashes_of_the_samples(tmp_path):
    source = opened(parquet(tmp_path / "x.parquet", ["a", "b", "a", None]))
    assert source.notes == ("parquet: audio names repeat, so ids are hashes of the samples",)
    assert names_of(source) == [""] * 4


def test_clips_without_names_are_no_repetition(tmp_path):
    source = opened(parquet(tmp_path / "x.parquet", [None, None, "", "a"]))
    assert source.notes == ()
    assert names_of(source) == ["", "", "", "a"]


def test_max_clips_is_drawn_from_all_rows(tmp_path):
    path = parquet(tmp_path / "x.parquet", [f"{n}.wav" for n in range(6)])
    drawn = opened(path, max_clips=3)
    assert (drawn.total, drawn.notes) == (3, ())
    clips = list(drawn.clips)
    assert [clip.name for _, clip in clips] == [f"{row}.wav" for row, _ in clips]
    assert [row for row, _ in clips] != [0, 1, 2]
    assert all(np.array_equal(samples_of(clip.audio), SPEECH[row]) for row, clip in clips)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"text_column": "sentence"}, "no column 'sentence'; it has audio, audio_file, duration, text"),
        ({"audio_column": "wav"}, "no column 'wav'"),
        ({"group_column": "speaker"}, "no column 'speaker'"),
        ({"group_column": "duration"}, r"row 0: 0\.1 is no text"),
        ({"audio_column": "duration"}, "duration|reading stopped"),
    ],
)
def test_a_column_that_does_not_fit_is_refused(tmp_path, changes, message):
    path = parquet(tmp_path / "x.parquet", ["a", "b"])
    with pytest.raises(UserError, match=message):
        list(opened(path, **changes).clips)


def test_a_damaged_file_is_refused_by_name(tmp_path):
    parquet(tmp_path / "d" / "a.parquet", ["a", "b"])
    whole = parquet(tmp_path / "d" / "b.parquet", ["c", "d"])
    whole.write_bytes(whole.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"b\.parquet: not readable as Parquet.*fetch the file again"):
        opened(tmp_path / "d")


def test_a_damaged_page_with_a_checksum_stops_with_one_line(tmp_path):
    path = tmp_path / "a.parquet"
    table = pa.table({"audio": pa.array(WAVS[:4], pa.binary()), "text": list("abcd")})
    pq.write_table(table, path, write_page_checksum=True, compression="none")
    data = bytearray(path.read_bytes())
    data[2000] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"a\.parquet: reading stopped .*fetch the file again") as caught:
        list(opened(path).clips)
    assert "\n" not in str(caught.value)


def test_a_folder_without_parquet_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"no \*\.parquet file"):
        opened(tmp_path)


@pytest.mark.parametrize(("rows_in_group", "parts"), [(100, 4), (7, 3), (600, 3)])
def test_parts_are_of_even_size_and_together_hold_every_row_once(tmp_path, rows_in_group, parts):
    table = pa.table({"audio": pa.array(WAVS[:1] * 700, pa.binary()), "text": [str(n) for n in range(700)]})
    pq.write_table(table, tmp_path / "x.parquet", row_group_size=rows_in_group)
    source = opened(tmp_path / "x.parquet")
    assert [row for row, _ in source.clips] == list(range(700))
    assert [clip.text for _, clip in source.clips] == [str(n) for n in range(700)]
    sizes = [len(list(part.clips())) for part in source.parts]
    assert max(sizes) <= 2 * 256
    assert len(sizes) in (parts - 1, parts)


def test_a_part_knows_when_its_file_has_changed(tmp_path):
    path = parquet(tmp_path / "x.parquet", ["a", "b"])
    [part] = opened(path).parts
    before = part.state()
    assert opened(path).parts[0].state() == before
    parquet(path, ["a", "b", "c"])
    assert part.state() != before
