"""Contract: a data set that `datasets` has opened, stored or streamed, gives its rows and loses none.

No network is used: the data sets are Parquet files that the tests make, opened by the library itself.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from asr.corpus.sources.hub import source_of
from asr.corpus.sources.manifest import Columns
from asr.corpus.sources.open import open_source
from asr.corpus.sources.selection import Source
from asr.errors import UserError
from asr.pcm import AudioError
from tests.factories import data_params, samples_of
from tests.test_parquet import SPEECH, WAVS, parquet


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    """The `datasets` library keeps its copies in this test's folder and stays off the network."""
    import datasets
    import huggingface_hub

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()


@pytest.fixture(params=[False, True], ids=["stored", "streamed"])
def streaming(request) -> bool:
    return bool(request.param)


def opened(files: Sequence[Path], streaming: bool, **changes: object) -> Source:
    from datasets import load_dataset

    data = data_params(source="hub", name="someone/corpus", revision="0" * 40, streaming=streaming, **changes)
    rows = load_dataset("parquet", data_files=[str(f) for f in files], split="train", streaming=streaming)
    columns = Columns(data.audio_column, data.text_column, data.group_column, data.split_column)
    return source_of(rows, columns, data, "someone/corpus")


def two_files(folder: Path) -> list[Path]:
    return [parquet(folder / "a.parquet", ["0", "1", "2"]), parquet(folder / "b.parquet", ["3", "4"], WAVS[3:])]


def test_rows_arrive_in_order_with_their_labels_and_samples(tmp_path, streaming):
    source = opened(two_files(tmp_path), streaming, group_column="audio_file")
    clips = [clip for _, clip in source.clips]
    assert [clip.name for clip in clips] == ["0", "1", "2", "3", "4"]
    assert [clip.group for clip in clips] == ["kurs-0", "kurs-0", "kurs-1", "kurs-0", "kurs-0"]
    assert {(clip.source, clip.split) for clip in clips} == {("someone/corpus", "")}
    assert all(np.array_equal(samples_of(clip.audio), pcm) for clip, pcm in zip(clips, SPEECH[:5], strict=True))
    assert source.total == (None if streaming else 5)


def test_a_stream_has_a_part_for_each_of_its_files_and_each_counts_its_own_rows(tmp_path):
    source = opened(two_files(tmp_path), streaming=True)
    assert [part.counted_from_here for part in source.parts] == [True, True]
    assert [[row for row, _ in part.clips()] for part in source.parts] == [[0, 1, 2], [0, 1]]


def test_a_row_without_bytes_has_no_machine_path(tmp_path, streaming):
    files = [parquet(tmp_path / "x.parquet", ["/home/someone/a.wav", "b.wav"], [None, WAVS[0]])]
    [(_, lost), (_, found)] = opened(files, streaming).clips
    with pytest.raises(AudioError, match=r"audio\.missing"):
        samples_of(lost.audio)
    assert lost.name == ""
    assert np.array_equal(samples_of(found.audio), SPEECH[0])


def test_max_clips_is_drawn_from_all_rows_but_a_stream_gives_its_first(tmp_path):
    drawn = opened(two_files(tmp_path), streaming=False, max_clips=3)
    rows = [row for row, _ in drawn.clips]
    assert drawn.total == 3 == len(rows)
    assert all(clip.name == str(row) for row, clip in drawn.clips)
    streamed = opened(two_files(tmp_path), streaming=True, max_clips=4)
    assert [clip.name for _, clip in streamed.clips] == ["0", "1", "2", "3"]
    assert "first 4 clips" in streamed.notes[0]


def test_repeated_names_give_way_to_hashes_of_the_samples(tmp_path):
    source = opened([parquet(tmp_path / "x.parquet", ["a", "b", "a", None])], streaming=False)
    assert source.notes == ("someone/corpus: audio names repeat, so ids are hashes of the samples",)
    assert [clip.name for _, clip in source.clips] == [""] * 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"text_column": "sentence"}, "no column 'sentence'; it has audio, audio_file, duration, text"),
        ({"group_column": "duration"}, r"row 0: 0\.1 is no text"),
        ({"audio_column": "duration"}, "duration|reading stopped"),
    ],
)
def test_a_column_that_does_not_fit_is_refused(tmp_path, streaming, changes, message):
    with pytest.raises(UserError, match=message):
        list(opened([parquet(tmp_path / "x.parquet", ["a", "b"])], streaming, **changes).clips)


def test_parts_can_be_sent_to_another_process_and_tell_their_state(tmp_path, streaming):
    from multiprocessing.reduction import ForkingPickler

    for part in opened(two_files(tmp_path), streaming).parts:
        again = ForkingPickler.loads(ForkingPickler.dumps(part))
        assert [clip.text for _, clip in again.clips()] == [clip.text for _, clip in part.clips()]
        assert again.state() == part.state()


def test_without_a_network_the_error_says_what_to_fetch_and_where_to_put_it(streaming):
    params = data_params(source="hub", name="LocalDoc/azerbaijani_asr", revision="0" * 40, streaming=streaming)
    with pytest.raises(UserError, match=r"LocalDoc/azerbaijani_asr.*hf download .*data\.path") as caught:
        open_source(params)
    assert "\n" not in str(caught.value)
