"""The audio store: what is written can be read by id, by another process, and by `datasets`."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from asr.corpus import store as store_module
from asr.corpus.store import ClipStore, ShardWriter
from asr.errors import UserError
from tests.factories import speech_like

CLIPS = {f"clip-{number:03d}": speech_like(0.05 + 0.01 * number, number) for number in range(40)}


def written(folder: Path, clips: dict[str, np.ndarray], **sizes: int) -> Path:
    folder.mkdir(exist_ok=True)
    with ShardWriter(folder, **sizes) as shards:
        for clip_id, pcm in clips.items():
            shards.add(clip_id, pcm)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_every_clip_comes_back_under_its_id(tmp_path):
    store = ClipStore(written(tmp_path, CLIPS))
    assert len(store) == len(CLIPS)
    assert list(store) == list(CLIPS)
    assert all(np.array_equal(store[clip_id], pcm) and clip_id in store for clip_id, pcm in CLIPS.items())
    assert store["clip-000"].dtype == np.int16
    assert "other" not in store


@settings(max_examples=25)
@given(st.lists(arrays(np.int16, st.integers(1, 60)), min_size=1, max_size=12), st.integers(1, 5))
def test_any_samples_survive_any_batch_size(tmp_path_factory, clips, batch_rows):
    folder = tmp_path_factory.mktemp("store")
    named = {f"{number}": pcm for number, pcm in enumerate(clips)}
    store = ClipStore(written(folder, named, batch_rows=batch_rows))
    assert {clip_id: store[clip_id].tolist() for clip_id in store} == {k: v.tolist() for k, v in named.items()}


def test_shards_stay_within_their_size_and_none_is_empty(tmp_path):
    limit = 100_000
    folder = written(tmp_path, CLIPS, shard_bytes=limit, batch_rows=2)
    shards = sorted(folder.iterdir())
    assert [path.name for path in shards] == [f"clips-00000-{number:02d}.arrow" for number in range(len(shards))]
    assert len(shards) > 5
    assert all(path.stat().st_size <= limit for path in shards)
    assert all(pa.ipc.open_file(path).num_record_batches > 0 for path in shards)
    assert len(ClipStore(folder)) == len(CLIPS)


def test_a_batch_is_closed_early_when_clips_are_long(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "BATCH_BYTES", 5_000)
    shard = written(tmp_path, CLIPS) / "clips-00000-00.arrow"
    sizes = [pa.ipc.open_file(shard).get_batch(n).nbytes for n in range(pa.ipc.open_file(shard).num_record_batches)]
    assert len(sizes) > 10
    assert max(sizes) < 5_000 + 2 * max(pcm.nbytes for pcm in CLIPS.values())


def test_equal_clips_give_equal_bytes(tmp_path):
    assert contents(written(tmp_path / "a", CLIPS, batch_rows=7)) == contents(
        written(tmp_path / "b", CLIPS, batch_rows=7)
    )


def test_no_clips_leave_no_file(tmp_path):
    assert contents(written(tmp_path, {})) == {}


def test_samples_are_stored_as_little_endian_pcm16(tmp_path):
    folder = written(tmp_path, {"a": np.array([1, -2], np.int16)})
    column = pa.ipc.open_file(folder / "clips-00000-00.arrow").read_all().column("pcm16")
    assert column[0].as_py() == bytes([1, 0, 0xFE, 0xFF])


def test_a_clip_is_a_read_only_view_of_the_mapped_file(tmp_path):
    folder = written(tmp_path, CLIPS)
    clip = ClipStore(folder)["clip-001"]
    with pytest.raises(ValueError, match="read-only"):
        clip[0] = 0
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("this system does not list a process's mapped files")
    line = next(line for line in maps.read_text().splitlines() if line.endswith("clips-00000-00.arrow"))
    start, end = (int(address, 16) for address in line.split()[0].split("-"))
    assert start <= clip.ctypes.data < end


def test_a_clip_outlives_its_store(tmp_path):
    clip = ClipStore(written(tmp_path, CLIPS))["clip-002"]
    assert np.array_equal(clip, CLIPS["clip-002"])


def test_datasets_reads_the_shards(tmp_path, monkeypatch):
    folder = written(tmp_path / "clips", CLIPS, shard_bytes=100_000, batch_rows=4)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from datasets import load_dataset

    files = sorted(str(path) for path in folder.glob("*.arrow"))
    rows = load_dataset("arrow", data_files=files, split="train", cache_dir=str(tmp_path / "cache"))
    assert rows.column_names == ["id", "pcm16"]
    assert {row["id"]: row["pcm16"] for row in rows} == {clip_id: pcm.tobytes() for clip_id, pcm in CLIPS.items()}


@pytest.mark.parametrize("make", [Path.exists, Path.mkdir], ids=["missing", "empty"])
def test_a_missing_or_empty_store_is_refused_with_the_remedy(tmp_path, make):
    make(tmp_path / "clips")
    with pytest.raises(UserError, match="dvc repro prepare"):
        ClipStore(tmp_path / "clips")


def test_an_unknown_id_is_named_with_the_remedy(tmp_path):
    with pytest.raises(UserError, match=r"no clip 'lost'.*run prepare again"):
        ClipStore(written(tmp_path, CLIPS))["lost"]


@pytest.mark.parametrize("keep", [0, 100, 5_000])
def test_a_shard_cut_short_is_refused_by_name(tmp_path, keep):
    shard = written(tmp_path, CLIPS) / "clips-00000-00.arrow"
    shard.write_bytes(shard.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"clips-00000-00\.arrow: not a readable shard"):
        ClipStore(tmp_path)


def test_a_shard_with_other_columns_is_refused(tmp_path):
    with pa.OSFile(str(tmp_path / "clips-00000-00.arrow"), "wb") as sink:
        pa.ipc.new_file(sink, pa.schema([("id", pa.string())])).close()
    with pytest.raises(UserError, match="columns"):
        ClipStore(tmp_path)


def test_the_store_needs_no_torch():
    check = "import sys, asr.corpus.store; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
