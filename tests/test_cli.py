"""Contract: the commands beside the pipeline do what their help says, and end a mistake in one line."""

from pathlib import Path

import pytest
import torch

from asr.__main__ import main
from asr.audio import wav_bytes
from asr.models.build import save
from asr.stage import EXIT_USER_ERROR, run
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
    [(None, "no such file"), (b"<html>", "HTML"), (wav_bytes(tone(4.0)), "4.0 s, but this model takes 3 s at most")],
    ids=["missing", "page", "long"],
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
