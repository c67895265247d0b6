"""Contract: a prepare that was killed goes on where it was, ends in the same bytes, and leaves no process behind."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from asr.audio import decode
from asr.corpus.part import Job, decode_part
from asr.corpus.sources.selection import ListedPart, Source
from tests.factories import encoded, speech_like
from tests.preparing import clip, contents, in_parts, mixed_clips, run_prepare

ROOT = Path(__file__).resolve().parent.parent


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
    run_prepare(tmp_path / "killed", source, key="k")
    assert "2 of 3 parts are there" in capsys.readouterr().out
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
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
