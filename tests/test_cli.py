"""Contract: the commands beside the pipeline do what their help says, and end a mistake in one line."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from asr.__main__ import main
from asr.audio import wav_bytes
from asr.decoding.generate import Hypothesis, Transcriber
from asr.models.build import save
from asr.pcm import SAMPLE_RATE, Pcm16
from asr.stage import EXIT_USER_ERROR, run
from tests.factories import speech_like
from tests.models import tiny_model, tone
from tests.pipeline import ROOT


@pytest.fixture
def model(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    folder = tmp_path / "model"
    folder.mkdir()
    save(tiny_model(), folder, {})
    return folder


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("sys.argv", ["asr", *map(str, arguments)])
    run(main)


def test_transcribe_prints_a_line_a_file_in_order(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, model: Path
) -> None:
    files = [tmp_path / "b.wav", tmp_path / "a.wav"]
    for path, seconds in zip(files, (1.5, 0.5), strict=True):
        path.write_bytes(wav_bytes(tone(seconds)))
    call(monkeypatch, "transcribe", *files, "--model", model)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[0] for line in lines] == [str(path) for path in files]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (b"", "the file is empty"),
        (b"<html>", "HTML"),
        (wav_bytes(tone(4.0))[:-1], "audio.truncated"),
        (wav_bytes(tone(0.0)), "audio.no_samples"),
    ],
    ids=["missing", "empty", "page", "cut", "header"],
)
def test_a_file_that_cannot_be_transcribed_is_named_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    model: Path,
    content: bytes | None,
    message: str,
) -> None:
    path = tmp_path / "x.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SystemExit) as stopped:
        call(monkeypatch, "transcribe", path, "--model", model)
    assert stopped.value.code == EXIT_USER_ERROR
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(error) == 1
    assert str(path) in error[0]
    assert message in error[0]


def test_a_folder_without_a_model_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit):
        call(monkeypatch, "transcribe", tmp_path / "x.wav", "--model", tmp_path)
    assert "experiment.json: missing" in capsys.readouterr().err


SAID = np.concatenate([np.zeros(8000, np.int16), speech_like(0.8), np.zeros(16000, np.int16), speech_like(0.6)])


def say_lengths(monkeypatch: pytest.MonkeyPatch) -> None:
    """A decoder that says how long each clip was."""

    def lengths(_: Transcriber, clips: list[Pcm16], title: str) -> list[Hypothesis]:
        return [Hypothesis(f"{len(clip)} samples of {title}", False) for clip in clips]

    monkeypatch.setattr(Transcriber, "transcribe", lengths)


def test_transcribe_takes_files_of_any_length_and_says_when_each_part_was_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, model: Path
) -> None:
    said = {
        "long.wav": np.concatenate([SAID, np.zeros(16000, np.int16)]),
        "short.wav": tone(0.5),
        "quiet.wav": np.zeros(80000, np.int16),
    }
    files = [tmp_path / name for name in said]
    for path, pcm in zip(files, said.values(), strict=True):
        path.write_bytes(wav_bytes(pcm))
    say_lengths(monkeypatch)
    call(monkeypatch, "transcribe", *files, "--model", model, "--times")
    shown = capsys.readouterr()
    lines = [line.split("\t") for line in shown.out.splitlines()]
    assert [line[0] for line in lines] == [str(files[0]), str(files[0]), str(files[1])]
    times = [tuple(map(float, line[1].split("-"))) for line in lines]
    assert times == [pytest.approx((0.4, 1.5), abs=0.06), pytest.approx((2.2, 3.1), abs=0.06), (0.0, 0.5)]
    texts = [f"{round((end - start) * SAMPLE_RATE)} samples of transcribe" for start, end in times]
    assert [line[2] for line in lines] == texts
    assert f"warning: {files[2]}: 5.00 s: stream.no_speech: only silence" in shown.err

    call(monkeypatch, "transcribe", *files, "--model", model)
    plain = capsys.readouterr().out.splitlines()
    assert plain == [f"{files[0]}\t{texts[0]} {texts[1]}", f"{files[1]}\t{texts[2]}", f"{files[2]}\t"]


def pipe(monkeypatch: pytest.MonkeyPatch, data: bytes, model: Path, *options: object) -> None:
    """Streams with a decoder that says how long the utterance was."""
    say_lengths(monkeypatch)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    call(monkeypatch, "stream", "--model", model, *options)


@pytest.mark.parametrize(
    ("data", "options"),
    [
        (SAID.tobytes(), []),
        ((SAID / 32768).astype("<f4").tobytes(), ["--format", "f32le"]),
        (SAID.repeat(2).tobytes(), ["--channels", "2"]),
        (SAID.repeat(3).tobytes(), ["--rate", "48000"]),
    ],
    ids=["plain", "floats", "stereo", "48 kHz"],
)
def test_stream_prints_times_and_text_of_every_utterance_and_of_the_last_at_the_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], model: Path, data: bytes, options: list[str]
) -> None:
    pipe(monkeypatch, data, model, *options)
    lines = capsys.readouterr().out.splitlines()
    times = [tuple(map(float, line.split("\t")[0].split("-"))) for line in lines]
    lengths = [f"{round((end - start) * SAMPLE_RATE)} samples of stream" for start, end in times]
    assert [line.split("\t")[1] for line in lines] == lengths
    assert times == [pytest.approx((0.4, 1.5), abs=0.06), pytest.approx((2.2, 2.9), abs=0.06)]


def test_stream_hears_at_most_what_its_model_takes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], model: Path
) -> None:
    pipe(monkeypatch, speech_like(7.0).tobytes(), model)
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) >= 3
    assert "stream.max_segment: speech without a pause for 3 s" in shown.err


def test_stream_says_on_standard_error_what_was_odd(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], model: Path
) -> None:
    pipe(monkeypatch, bytes(32001), model)
    shown = capsys.readouterr()
    assert shown.out == ""
    warnings = [line for line in shown.err.splitlines() if line.startswith("warning: 1.00 s: stream.")]
    assert [line.split(": ")[2] for line in warnings] == ["stream.partial_sample", "stream.no_speech"]


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (wav_bytes(tone(1.0)), [], "begins with b'RIFF': a file with a header, not raw samples"),
        (b"", ["--rate", "0"], "rate = 0: out of range"),
        (b"", ["--channels", "99"], "channels = 99: out of range"),
    ],
)
def test_stream_refuses_what_it_cannot_take_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    model: Path,
    data: bytes,
    options: list[str],
    message: str,
) -> None:
    with pytest.raises(SystemExit) as stopped:
        pipe(monkeypatch, data, model, *options)
    assert stopped.value.code == EXIT_USER_ERROR
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(error) == 1
    assert message in error[0]


def test_stream_asks_for_a_pipe_where_standard_input_is_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], model: Path
) -> None:
    class Terminal(io.BytesIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(Terminal()))
    with pytest.raises(SystemExit):
        call(monkeypatch, "stream", "--model", model)
    assert "standard input is a terminal: pipe raw samples in" in capsys.readouterr().err


def test_stream_without_a_model_names_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit):
        pipe(monkeypatch, b"", tmp_path / "none")
    assert "none/experiment.json: missing; run the stage that writes it" in capsys.readouterr().err


def test_the_commands_start_without_a_deep_learning_library() -> None:
    code = "import asr.__main__, sys; print(sorted({'torch', 'transformers', 'soundfile', 'soxr'} & set(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"


def test_check_accepts_the_committed_parameters(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    call(monkeypatch, "check")
    assert "all parameters are known, typed and in range" in capsys.readouterr().out


def test_check_refuses_a_bad_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "params.yaml"
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    path.write_text(text.replace("  dpi:", "  dip:"), encoding="utf-8")
    with pytest.raises(SystemExit):
        call(monkeypatch, "--params", path, "check")
    assert "plot.dip = 110: unknown key; did you mean 'dpi'?" in capsys.readouterr().err


def test_an_interrupted_stage_ends_as_shells_expect_and_without_a_traceback() -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as stopped:
        run(interrupted)
    assert stopped.value.code == 130
