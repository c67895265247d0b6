"""Prepare: nothing lost, ids stable, bytes the same whatever the number of processes."""

import dataclasses
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import starmap
from pathlib import Path

import numpy as np
import pytest
import yaml

from asr.corpus import prepare as prepare_module
from asr.corpus.clips import AudioRef, SourceClip
from asr.corpus.index import IndexRow, read_index
from asr.corpus.measure import measure
from asr.corpus.prepare import Summary, decode_clip, decoded, prepare
from asr.corpus.selection import Source, listed
from asr.corpus.store import ClipStore
from asr.errors import UserError
from asr.pcm import AudioError, Pcm16
from tests.factories import ToneAudio, data_params, encoded, speech_like

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class RefusedAudio:
    code: str

    def samples(self) -> Pcm16:
        raise AudioError(self.code, "found 3, wanted 4")


@dataclass(frozen=True)
class DeadlyAudio:
    """Ends the process that decodes it, as a crash inside the decoder does."""

    def samples(self) -> Pcm16:
        os._exit(1)


@dataclass(frozen=True)
class EmptyAudio:
    def samples(self) -> Pcm16:
        return np.zeros(0, np.int16)


@pytest.fixture(autouse=True)
def _any_clip_is_worth_sending(monkeypatch):
    """Two workers mean two processes, however quickly the small clips of these tests decode."""
    monkeypatch.setattr(prepare_module, "SHIPPING", 0.0)


def clip(name: str, audio: AudioRef) -> SourceClip:
    return SourceClip(name, f"text of {name}", audio, group=f"group of {name}", source="test", split="train")


def source_of(clips: Sequence[SourceClip]) -> Source:
    return listed(clips, limit=None, seed=1)


def run_prepare(folder: Path, clips: Sequence[SourceClip], workers: int = 1) -> tuple[Summary, list[IndexRow]]:
    summary = prepare(source_of(clips), folder / "clips", folder / "index.parquet", workers)
    return summary, list(read_index(folder / "index.parquet"))


def by_row(rows: list[IndexRow]) -> list[IndexRow]:
    return sorted(rows, key=lambda row: row.row)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def mixed_clips(count: int) -> list[SourceClip]:
    """Named and nameless clips, each seventh refused, each eleventh a copy of the first."""
    clips = []
    for number in range(count):
        audio: AudioRef = ToneAudio(100 + 10 * number)
        if number % 7 == 3:
            audio = RefusedAudio("audio.truncated")
        if number % 11 == 5:
            audio = ToneAudio(100)
        clips.append(clip("" if number % 3 == 0 else f"{number}.wav", audio))
    return clips


def test_a_decoded_clip_is_a_row_with_its_measurements_and_its_samples_in_the_store(tmp_path):
    audio = ToneAudio(440)
    summary, [row] = run_prepare(tmp_path, [clip("a.wav", audio)])
    found = measure(audio.samples())
    expected = dataclasses.asdict(found) | {
        "id": hashlib.sha256(b"a.wav").hexdigest()[:16],
        "row": 0,
        "name": "a.wav",
        "text": "text of a.wav",
        "group": "group of a.wav",
        "source": "test",
        "split": "train",
        "code": "",
        "message": "",
    }
    assert dataclasses.asdict(row) == expected
    store = ClipStore(tmp_path / "clips")
    assert list(store) == [row.id]
    assert np.array_equal(store[row.id], audio.samples())
    assert summary == Summary(clips=1, decoded=1, seconds=0.1, reasons=())


def test_a_clip_that_cannot_be_decoded_keeps_its_row_and_text_and_stores_nothing(tmp_path):
    clips = [clip("a.wav", RefusedAudio("audio.truncated")), clip("b.wav", ToneAudio(440)), clip("c.wav", EmptyAudio())]
    summary, rows = run_prepare(tmp_path, clips)
    refused, stored, empty = by_row(rows)
    assert (refused.code, refused.message, refused.text) == ("audio.truncated", "found 3, wanted 4", "text of a.wav")
    assert (refused.duration, refused.sha256, refused.peak, refused.rms_dbfs) == (0, "", 0, 0)
    assert empty.code == "audio.no_samples"
    assert list(ClipStore(tmp_path / "clips")) == [stored.id]
    assert summary.reasons == (("audio.no_samples", 1), ("audio.truncated", 1))


@pytest.mark.parametrize("workers", [1, 2])
def test_rows_in_are_rows_in_the_index_and_stored_plus_refused(tmp_path, workers):
    clips = mixed_clips(150)
    summary, rows = run_prepare(tmp_path, clips, workers)
    assert [(row.row, row.name, row.text) for row in by_row(rows)] == [
        (number, c.name, c.text) for number, c in enumerate(clips)
    ]
    store = ClipStore(tmp_path / "clips")
    assert set(store) == {row.id for row in rows if not row.code}
    assert all(hashlib.sha256(store[row.id]).hexdigest() == row.sha256 for row in rows if not row.code)
    assert summary.clips == 150 == summary.decoded + sum(count for _, count in summary.reasons)
    assert dict(summary.reasons) == Counter(row.code for row in rows if row.code)
    assert summary.seconds == pytest.approx(sum(row.duration for row in rows))


def test_the_bytes_do_not_depend_on_the_number_of_processes_or_on_the_run(tmp_path):
    clips = mixed_clips(150)
    for name, workers in (("one", 1), ("again", 1), ("two", 2)):
        run_prepare(tmp_path / name, clips, workers)
    assert len(contents(tmp_path / "one")) == 2
    assert contents(tmp_path / "one") == contents(tmp_path / "again") == contents(tmp_path / "two")


@pytest.mark.parametrize(("shipping", "pools"), [(0.0, [2]), (60.0, [])])
def test_other_processes_help_only_where_decoding_takes_longer_than_sending(monkeypatch, shipping, pools):
    asked = []

    def by_pool(rest, workers):
        asked.append(workers)
        return starmap(decode_clip, rest)

    monkeypatch.setattr(prepare_module, "SHIPPING", shipping)
    monkeypatch.setattr(prepare_module, "_by_pool", by_pool)
    clips = [clip(f"{number}", ToneAudio(100 + number)) for number in range(80)]
    assert len(list(decoded(enumerate(clips), workers=2))) == 80
    assert asked == pools


def test_results_keep_the_order_of_the_source_when_later_clips_finish_first():
    clips = [clip(f"{n}", ToneAudio(100 + n, seconds=2.0 if n % 16 == 0 else 0.01)) for n in range(100)]
    assert [row.row for row, _ in decoded(enumerate(clips), workers=2)] == list(range(100))


def test_processes_run_ahead_of_the_reader_by_a_bounded_number_of_clips():
    taken = 0

    def endless():
        nonlocal taken
        for number in range(100_000):
            taken += 1
            yield number, clip(f"{number}", ToneAudio(100, seconds=0.01))

    results = decoded(endless(), workers=2)
    for _ in range(10):
        next(results)
    results.close()
    assert taken <= prepare_module.PROBE + 2 * prepare_module.CHUNK


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
    assert len(ClipStore(tmp_path / "clips")) == 4


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
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("clips", "message"),
    [
        ([], r"0 of 0 clips could be decoded \(the source is empty\)"),
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


def test_a_dead_worker_is_an_error_and_not_a_hang(tmp_path):
    clips = [clip(f"{n}", DeadlyAudio() if n == 70 else ToneAudio(100)) for n in range(100)]
    with pytest.raises(UserError, match="process that decodes audio was killed"):
        run_prepare(tmp_path, clips, workers=2)
    assert contents(tmp_path) == {}


def test_an_error_of_the_code_is_not_mistaken_for_a_bad_clip():
    with pytest.raises(AttributeError):
        decode_clip(0, clip("a.wav", None))  # type: ignore[arg-type]  # meant


def children_of(process: int) -> list[str]:
    tasks = Path(f"/proc/{process}/task/{process}/children")
    return tasks.read_text().split() if tasks.exists() else []


def alive(process: str) -> bool:
    stat = Path(f"/proc/{process}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finding a process's children needs Linux's /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_leaves_no_process_behind(tmp_path, number):
    script = tmp_path / "endless.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\n"
        "from asr.corpus.clips import SourceClip\nfrom asr.corpus.prepare import prepare\n"
        "from asr.corpus.selection import Source\nfrom tests.factories import ToneAudio\n"
        "if __name__ == '__main__':\n"
        "    clips = ((n, SourceClip(str(n), '', ToneAudio(100, 10.0))) for n in range(10**9))\n"
        "    prepare(Source(clips, None), Path(sys.argv[1]) / 'clips', Path(sys.argv[1]) / 'index', workers=2)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with (tmp_path / "errors").open("w") as errors:
        command = [sys.executable, script, tmp_path]
        process = subprocess.Popen(command, env=environment, start_new_session=True, stderr=errors)
    while process.poll() is None and not list(tmp_path.glob(".clips.partial/*")):
        time.sleep(0.05)
    children = children_of(process.pid)
    assert len(children) >= 2
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as Ctrl-C does: every process of the group receives it
    else:
        process.kill()
    assert process.wait(timeout=20) != 0
    deadline = time.monotonic() + 5
    while any(alive(child) for child in children) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(alive(child) for child in children)
    if number == signal.SIGINT:
        assert sorted(path.name for path in tmp_path.iterdir()) == ["endless.py", "errors"]
        assert (tmp_path / "errors").read_text().count("Traceback") == 1


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
    rows = {row.name: row for row in read_index(tmp_path / "out" / "index.parquet")}
    assert np.array_equal(ClipStore(tmp_path / "out" / "clips")[rows["a.wav"].id], speech_like(1.0))
    assert rows["b.wav"].code == "audio.missing"


def test_a_mistake_ends_the_stage_with_one_line_and_status_2(tmp_path):
    done = stage(tmp_path, source="manifest", path=str(tmp_path / "none.csv"))
    assert done.returncode == 2
    assert done.stderr.startswith("error: data.path = ")
    assert done.stderr.count("\n") == 1
