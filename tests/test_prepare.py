"""Prepare: nothing lost, ids stable, bytes the same whatever the number of processes."""

import dataclasses
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from asr.audio import decode
from asr.corpus.clips import AudioRef, SourceClip
from asr.corpus.index import Index, IndexRow, read_index
from asr.corpus.measure import NOTHING, measure
from asr.corpus.part import Job, decode_clip, decode_part
from asr.corpus.prepare import Summary, prepare
from asr.corpus.sources.rows import RowAudio
from asr.corpus.sources.selection import ListedPart, Source, listed
from asr.corpus.store import ClipStore
from asr.corpus.workers import Crew
from asr.errors import UserError
from asr.pcm import SAMPLE_RATE, AudioError, Decode, Sound
from tests.bad_decoders import dangerous
from tests.factories import ToneAudio, data_params, encoded, samples_of, speech_like, tone

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class RefusedAudio:
    code: str

    def sound(self, _: Decode) -> Sound:
        raise AudioError(self.code, "found 3, wanted 4")


@dataclass(frozen=True)
class DeadlyAudio:
    """Ends the process that asks for its samples, whatever the decoder."""

    def sound(self, _: Decode) -> Sound:
        os._exit(1)


@dataclass(frozen=True)
class EmptyAudio:
    def sound(self, _: Decode) -> Sound:
        return Sound(np.zeros(0, np.int16), "synthesis", SAMPLE_RATE, 1)


@dataclass(frozen=True)
class CountedPart:
    """Clips whose rows are known only when the parts before have been read, as in a stream."""

    members: tuple[SourceClip, ...]
    counted_from_here: bool = True

    def clips(self) -> Iterator[tuple[int, SourceClip]]:
        return enumerate(self.members)

    def state(self) -> str:
        return str(self.members)


def clip(name: str, audio: AudioRef) -> SourceClip:
    return SourceClip(name, f"text of {name}", audio, group=f"group of {name}", source="test", split="train")


def source_of(clips: Sequence[SourceClip]) -> Source:
    return listed(clips, limit=None, seed=1)


def in_parts(clips: Sequence[SourceClip], size: int) -> Source:
    numbered = list(enumerate(clips))
    parts = [ListedPart(tuple(numbered[start : start + size])) for start in range(0, len(clips), size)]
    return Source(parts, len(clips))


def rows_of(index: Index) -> list[IndexRow]:
    return [index.row(place) for place in range(len(index))]


def run_prepare(
    folder: Path, clips: Sequence[SourceClip] | Source, crew: Crew | None = None, key: str = ""
) -> tuple[Summary, list[IndexRow]]:
    source = clips if isinstance(clips, Source) else source_of(clips)
    with crew or Crew(1) as workers:
        summary = prepare(source, folder / "clips", folder / "index.parquet", workers, "CC0-1.0", key)
    return summary, rows_of(read_index(folder / "index.parquet"))


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


# Going on after a kill


def jobs_in(folder: Path, source: Source) -> list[Job]:
    return [Job(n, part, folder / ".clips.partial", "CC0-1.0") for n, part in enumerate(source.parts)]


def test_parts_that_a_killed_run_finished_are_not_done_again_and_the_bytes_are_the_same(tmp_path, capsys):
    source = in_parts(mixed_clips(60), 20)
    run_prepare(tmp_path / "whole", source)
    killed = jobs_in(tmp_path / "killed", source)
    (tmp_path / "killed" / ".clips.partial" / "clips").mkdir(parents=True)
    (tmp_path / "killed" / ".clips.partial" / "key").write_text("k")
    for job in killed[:2]:
        decode_part(job, decode, lambda: None)
    (killed[2].shards / "clips-00002-00.arrow").write_bytes(b"half a shard")
    seen = killed[0].marker.stat().st_mtime_ns
    run_prepare(tmp_path / "killed", source, key="k")
    assert "2 of 3 parts are there" in capsys.readouterr().out
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    assert seen  # the folder of parts is gone, and with it the marker
    assert not killed[0].folder.exists()


@pytest.mark.parametrize("change", ["key", "content", "lost shard", "cut shard", "no marker"])
def test_a_part_is_done_again_when_anything_about_it_differs(tmp_path, change, capsys):
    clips = mixed_clips(40)
    source = in_parts(clips, 20)
    folder = tmp_path / ".clips.partial"
    (folder / "clips").mkdir(parents=True)
    (folder / "key").write_text("other" if change == "key" else "k")
    job = jobs_in(tmp_path, source)[0]
    decode_part(job, decode, lambda: None)
    shard = job.shards / "clips-00000-00.arrow"
    if change == "content":
        source = in_parts([replace(clips[0], text="new"), *clips[1:]], 20)
    elif change == "lost shard":
        shard.unlink()
    elif change == "cut shard":
        shard.write_bytes(shard.read_bytes()[:-8])
    elif change == "no marker":
        job.marker.unlink()
    run_prepare(tmp_path, source, key="k")
    assert "parts are there" not in capsys.readouterr().out
    run_prepare(tmp_path / "fresh", source)
    assert contents(tmp_path / "clips") == contents(tmp_path / "fresh" / "clips")


@pytest.mark.parametrize("parts_done", [0, 2])
def test_a_run_killed_in_its_midst_ends_in_the_bytes_of_one_that_was_not(tmp_path, parts_done):
    script = tmp_path / "run.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\n"
        "from asr.corpus.clips import SourceClip\nfrom asr.corpus.prepare import prepare\n"
        "from asr.corpus.sources.selection import listed\nfrom asr.corpus.workers import Crew\n"
        "from tests.factories import ToneAudio\n"
        "if __name__ == '__main__':\n"
        "    clips = [SourceClip(f'{n}.wav', '', ToneAudio(50 + n, 0.5)) for n in range(1500)]\n"
        "    folder = Path(sys.argv[1])\n"
        "    with Crew(2) as crew:\n"
        "        prepare(listed(clips, None, 1), folder / 'clips', folder / 'index', crew)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, script]
    subprocess.run([*command, tmp_path / "whole"], env=environment, check=True, capture_output=True)
    killed = tmp_path / "killed"
    process = subprocess.Popen([*command, killed], env=environment, stderr=subprocess.DEVNULL)
    while process.poll() is None and len(list(killed.glob(".clips.partial/part-*.json"))) < parts_done:
        time.sleep(0.001)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    done = subprocess.run([*command, killed], env=environment, check=True, capture_output=True, text=True)
    assert ("parts are there" in done.stdout) >= (parts_done > 0)
    assert contents(killed) == contents(tmp_path / "whole")


def test_a_changed_audio_file_is_noticed(tmp_path):
    from asr.corpus.sources.manifest import FileAudio

    (tmp_path / "a.wav").write_bytes(encoded(speech_like(0.2, 1)))
    part = ListedPart(((0, clip("a.wav", FileAudio(tmp_path, "a.wav"))),))
    before = part.state()
    assert part.state() == before
    (tmp_path / "a.wav").write_bytes(encoded(speech_like(0.3, 2)))
    assert part.state() != before


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
        "from asr.corpus.sources.selection import listed\nfrom asr.corpus.workers import Crew\n"
        "from tests.factories import ToneAudio\n"
        "if __name__ == '__main__':\n"
        "    clips = [SourceClip(str(n), '', ToneAudio(100, 10.0)) for n in range(20_000)]\n"
        "    folder = Path(sys.argv[1])\n"
        "    with Crew(2) as crew:\n"
        "        prepare(listed(clips, None, 1), folder / 'clips', folder / 'index', crew)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with (tmp_path / "errors").open("w") as errors:
        command = [sys.executable, script, tmp_path]
        process = subprocess.Popen(command, env=environment, start_new_session=True, stderr=errors)
    while process.poll() is None and not list(tmp_path.glob(".clips.partial/clips/*")):
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
        assert sorted(path.name for path in tmp_path.iterdir()) == [".clips.partial", "endless.py", "errors"]
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
    rows = {row.name: row for row in rows_of(read_index(tmp_path / "out" / "index.parquet"))}
    assert np.array_equal(ClipStore(tmp_path / "out" / "clips")[rows["a.wav"].id], speech_like(1.0))
    assert rows["b.wav"].code == "audio.missing"


def test_a_mistake_ends_the_stage_with_one_line_and_status_2(tmp_path):
    done = stage(tmp_path, source="manifest", path=str(tmp_path / "none.csv"))
    assert done.returncode == 2
    assert done.stderr.startswith("error: data.path = ")
    assert done.stderr.count("\n") == 1
