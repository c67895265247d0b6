"""Parquet corpora as the Hugging Face Hub serves them, read from files that the tests make."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from asr.corpus.selection import Source
from asr.corpus.sources import open_source
from asr.errors import UserError
from asr.pcm import AudioError
from tests.factories import data_params, encoded, speech_like

AUDIO = pa.struct({"bytes": pa.binary(), "path": pa.string()})
SPEECH = [speech_like(0.1, number) for number in range(6)]
WAVS = [encoded(pcm) for pcm in SPEECH]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    """The `datasets` library keeps its copies in this test's folder and stays off the network."""
    import datasets
    import huggingface_hub

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()


@pytest.fixture(params=[False, True], ids=["cached", "streamed"])
def streaming(request) -> bool:
    return bool(request.param)


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


def opened(path: Path, streaming: bool, **changes: object) -> Source:
    return open_source(data_params(source="hub", path=str(path), streaming=streaming, **changes))


def names_of(source: Source) -> list[str]:
    return [clip.name for _, clip in source.clips]


def test_rows_arrive_in_order_with_their_labels_and_samples(tmp_path, streaming):
    path = parquet(tmp_path / "data.parquet", [f"{n}.wav" for n in range(6)])
    source = opened(path, streaming, group_column="audio_file")
    assert source.total == 6
    assert source.notes == ()
    rows, clips = zip(*source.clips, strict=True)
    assert rows == tuple(range(6))
    assert [clip.name for clip in clips] == [f"{n}.wav" for n in range(6)]
    assert [clip.text for clip in clips] == [f"cümlə {n}" for n in range(6)]
    assert [clip.group for clip in clips] == ["kurs-0", "kurs-0", "kurs-1", "kurs-1", "kurs-2", "kurs-2"]
    assert {(clip.source, clip.split) for clip in clips} == {("parquet", "")}
    assert all(np.array_equal(clip.audio.samples(), pcm) for clip, pcm in zip(clips, SPEECH, strict=True))


def test_a_folder_of_parquet_is_read_in_the_order_of_its_names(tmp_path, streaming):
    parquet(tmp_path / "d" / "data" / "train-00001.parquet", ["c", "d"])
    parquet(tmp_path / "d" / "data" / "train-00000.parquet", ["a", "b"])
    (tmp_path / "d" / "README.md").write_text("not data")
    source = opened(tmp_path / "d", streaming)
    assert source.total == 4
    assert names_of(source) == ["a", "b", "c", "d"]


def test_a_row_without_bytes_is_a_row_with_a_reason_and_no_machine_path(tmp_path, streaming):
    path = parquet(tmp_path / "x.parquet", ["/home/someone/a.wav", "b.wav"], [None, WAVS[0]])
    [(_, lost), (_, found)] = opened(path, streaming).clips
    with pytest.raises(AudioError) as caught:
        lost.audio.samples()
    assert (lost.name, caught.value.code) == ("", "audio.missing")
    assert np.array_equal(found.audio.samples(), SPEECH[0])


def test_a_broken_row_does_not_stop_the_others(tmp_path, streaming):
    path = parquet(tmp_path / "x.parquet", ["a", "b", "c"], [WAVS[0], b"<html>", WAVS[2]])
    [_, (_, broken), (_, last)] = opened(path, streaming).clips
    with pytest.raises(AudioError, match=r"audio\.not_audio"):
        broken.audio.samples()
    assert np.array_equal(last.audio.samples(), SPEECH[2])


def test_null_audio_text_and_group_become_empty(tmp_path, streaming):
    path = parquet(
        tmp_path / "x.parquet", ["a"], text=pa.array([None], pa.string()), speaker=pa.array([None], pa.int64())
    )
    [(_, clip)] = opened(path, streaming, group_column="speaker").clips
    assert (clip.text, clip.group) == ("", "")
    path = parquet(tmp_path / "y.parquet", ["a"], audio=pa.array([None], AUDIO))
    [(_, clip)] = opened(path, streaming).clips
    with pytest.raises(AudioError, match=r"audio\.missing"):
        clip.audio.samples()


def test_speaker_numbers_become_text_and_splits_are_checked(tmp_path, streaming):
    path = parquet(tmp_path / "x.parquet", ["a", "b"], speaker=[7, 12], part=["train", "test"])
    clips = [clip for _, clip in opened(path, streaming, group_column="speaker", split_column="part").clips]
    assert [(clip.group, clip.split) for clip in clips] == [("7", "train"), ("12", "test")]
    path = parquet(tmp_path / "y.parquet", ["a", "b"], part=["train", "dev"])
    with pytest.raises(UserError, match=r"parquet row 1: part = 'dev'; allowed are train, validation, test"):
        list(opened(path, streaming, split_column="part").clips)


def test_audio_bytes_may_stand_alone_in_their_column(tmp_path, streaming):
    path = parquet(tmp_path / "x.parquet", ["a", "b"], audio=pa.array(WAVS[:2], pa.binary()))
    clips = [clip for _, clip in opened(path, streaming).clips]
    assert [clip.name for clip in clips] == ["", ""]
    assert np.array_equal(clips[1].audio.samples(), SPEECH[1])


def test_repeated_names_give_way_to_hashes_of_the_samples(tmp_path):
    source = opened(parquet(tmp_path / "x.parquet", ["a", "b", "a", None]), streaming=False)
    assert source.notes == ("parquet: audio names repeat, so ids are hashes of the samples",)
    assert names_of(source) == [""] * 4


def test_clips_without_names_are_no_repetition(tmp_path, streaming):
    source = opened(parquet(tmp_path / "x.parquet", [None, None, "", "a"]), streaming)
    assert source.notes == ()
    assert names_of(source) == ["", "", "", "a"]


def test_max_clips_is_drawn_from_all_rows_but_a_stream_gives_its_first(tmp_path):
    path = parquet(tmp_path / "x.parquet", [f"{n}.wav" for n in range(6)])
    drawn = opened(path, streaming=False, max_clips=3)
    assert (drawn.total, drawn.notes) == (3, ())
    clips = list(drawn.clips)
    assert [clip.name for _, clip in clips] == [f"{row}.wav" for row, _ in clips]
    assert [row for row, _ in clips] != [0, 1, 2]
    assert all(np.array_equal(clip.audio.samples(), SPEECH[row]) for row, clip in clips)

    streamed = opened(path, streaming=True, max_clips=3)
    assert streamed.total == 3
    assert [row for row, _ in streamed.clips] == [0, 1, 2]
    assert "first 3 clips" in streamed.notes[0]


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
def test_a_column_that_does_not_fit_is_refused(tmp_path, streaming, changes, message):
    path = parquet(tmp_path / "x.parquet", ["a", "b"])
    with pytest.raises(UserError, match=message):
        list(opened(path, streaming, **changes).clips)


def test_a_damaged_file_is_refused_by_name(tmp_path, streaming):
    parquet(tmp_path / "d" / "a.parquet", ["a", "b"])
    whole = parquet(tmp_path / "d" / "b.parquet", ["c", "d"])
    whole.write_bytes(whole.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"b\.parquet: not readable as Parquet.*fetch the file again"):
        opened(tmp_path / "d", streaming)


def test_a_file_damaged_in_its_middle_stops_with_one_line(tmp_path, streaming):
    path = parquet(tmp_path / "a.parquet", ["a", "b", "c", "d"])
    data = path.read_bytes()
    path.write_bytes(data[:200] + bytes(len(data) // 2) + data[200 + len(data) // 2 :])
    with pytest.raises(UserError) as caught:
        list(opened(path, streaming).clips)
    assert "\n" not in str(caught.value)


def test_a_folder_without_parquet_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"no \*\.parquet file"):
        opened(tmp_path, streaming=False)


def test_without_a_network_the_error_says_what_to_fetch_and_where_to_put_it(streaming):
    params = data_params(source="hub", name="LocalDoc/azerbaijani_asr", revision="0" * 40, streaming=streaming)
    with pytest.raises(UserError, match=r"LocalDoc/azerbaijani_asr.*hf download .*data\.path") as caught:
        open_source(params)
    assert "\n" not in str(caught.value)
