"""Contract: DVC reruns what changed and nothing else, and the same inputs give the same bytes."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from dvc.repo import Repo

from tests.pipeline import commit, copy_repository, dvc, run, snapshot, stages_run


@contextmanager
def edited(repository: Path, name: str, pattern: str, replacement: str) -> Iterator[None]:
    """Changes one file for the length of the block."""
    path = repository / name
    before = path.read_text(encoding="utf-8")
    after, count = re.subn(pattern, replacement, before, count=1, flags=re.M)
    assert count == 1, f"{name} has nothing like {pattern}"
    path.write_text(after, encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(before, encoding="utf-8")


def changed_stages(repository: Path) -> set[str]:
    """Stages whose own code, parameters or data are not those of the lock."""
    with Repo(str(repository)) as repo:
        return {name.rsplit(":")[-1] for name in repo.status()}  # elsewhere DVC puts a path before the name


def test_a_second_repro_runs_nothing_and_leaves_git_clean(smoke_repository: Path) -> None:
    output = dvc(smoke_repository, "repro").stdout
    assert stages_run(output) == []
    assert run(smoke_repository, "git", "status", "--porcelain").stdout == ""


TABLE = [
    ("params.yaml", r"^  seed: 1 # of the sample", "  seed: 2 # of the sample", ("prepare", "plot")),
    ("params.yaml", r"min_duration: \S+", "min_duration: 0.2", ("validate", "plot")),
    ("params.yaml", r"tail: \S+", "tail: 0.2", ("train", "plot")),
    ("params.yaml", r"d_model: \S+", "d_model: 64", ("train", "plot")),
    ("params.yaml", r"learning_rate: \S+", "learning_rate: 1.0e-3", ("train", "plot")),
    ("params.yaml", r"beams: \S+", "beams: 2", ("evaluate", "plot")),
    ("params.yaml", r"dpi: \S+", "dpi: 50", ("plot",)),
    ("asr/corpus/sample/speech.py", r"\Z", "# more\n", ("prepare",)),
    ("asr/corpus/rules.py", r"\Z", "# more\n", ("validate",)),
    ("asr/training/loop.py", r"\Z", "# more\n", ("train",)),
    ("asr/decoding/generate.py", r"\Z", "# more\n", ("train", "evaluate")),
    ("asr/decoding/predict.py", r"\Z", "# more\n", ("evaluate",)),
    ("asr/scoring/intervals.py", r"\Z", "# more\n", ("evaluate",)),
    ("asr/reporting/figures.py", r"\Z", "# more\n", ("plot",)),
    ("asr/text.py", r"\Z", "# more\n", ("prepare", "validate", "train", "evaluate", "plot")),
    ("asr/files.py", r"\Z", "# more\n", ("prepare", "validate", "train", "evaluate", "plot")),
    ("stages/evaluate.py", r"\Z", "# more\n", ("evaluate",)),
    ("README.md", r"\Z", "more\n", ()),
    ("asr/__main__.py", r"\Z", "# more\n", ()),
]


@pytest.mark.parametrize(("name", "pattern", "replacement", "stages"), TABLE, ids=lambda value: str(value)[:30])
def test_a_change_reaches_exactly_the_stages_that_use_it(
    smoke_repository: Path, name: str, pattern: str, replacement: str, stages: tuple[str, ...]
) -> None:
    with edited(smoke_repository, name, pattern, replacement):
        assert changed_stages(smoke_repository) == set(stages)
    assert changed_stages(smoke_repository) == set()


def test_a_changed_plot_setting_runs_plot_alone(smoke_repository: Path) -> None:
    with edited(smoke_repository, "params.yaml", r"dpi: \S+", "dpi: 50"):
        assert stages_run(dvc(smoke_repository, "repro").stdout) == ["plot"]
    dvc(smoke_repository, "repro")


def test_a_changed_threshold_runs_validate_and_not_prepare(smoke_repository: Path) -> None:
    with edited(smoke_repository, "params.yaml", r"max_duration: \S+", "max_duration: 9.0"):
        stages = stages_run(dvc(smoke_repository, "repro").stdout)
    assert stages[0] == "validate"
    assert "prepare" not in stages
    dvc(smoke_repository, "repro")


def test_an_experiment_with_another_batch_size_trains_and_prepares_nothing(
    smoke_repository: Path, tmp_path: Path
) -> None:
    output = dvc(smoke_repository, "exp", "run", "--name", "sixteen", "-S", "train.batch_size=16").stdout
    batch_size = json.loads((smoke_repository / "models/asr/experiment.json").read_text())["params"]["train"][
        "batch_size"
    ]
    difference = dvc(smoke_repository, "metrics", "diff", "--all", "HEAD", "sixteen").stdout
    page = dvc(smoke_repository, "plots", "diff", "HEAD", "sixteen", "--out", str(tmp_path / "page")).stdout
    run(smoke_repository, "git", "checkout", "--quiet", ".")
    dvc(smoke_repository, "checkout")

    assert stages_run(output) == ["train", "evaluate", "plot"]
    assert batch_size == 16
    assert "sixteen" in dvc(smoke_repository, "exp", "show", "--csv").stdout
    assert re.search(r"metrics/evaluate\.json\s+test\.wer\s", difference)
    assert "file://" in page
    html = (tmp_path / "page" / "index.html").read_text(encoding="utf-8")
    for title in ("Training loss", "Learning rate", "Gradient norm before clipping", "Validation WER", "Test WER by"):
        assert title in html
    assert '"rev": "sixteen"' in html


def test_a_temporary_experiment_uses_the_code_of_its_own_copy(smoke_repository: Path) -> None:
    """DVC runs `--temp` experiments elsewhere: code and data must come from there, not from the workspace."""
    marker = 'print("marked copy")\n'
    with edited(smoke_repository, "asr/reporting/summary.py", r"\Z", marker):
        output = dvc(smoke_repository, "exp", "run", "--temp", "-S", "plot.dpi=40").stdout
    assert stages_run(output) == ["plot"]
    assert "marked copy" in output
    assert changed_stages(smoke_repository) == set()


def test_a_second_clone_in_another_folder_gives_the_same_bytes(
    smoke_repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Another folder, time zone, language, hash seed and file mask, and an empty cache."""
    folder = tmp_path_factory.mktemp("elsewhere") / "deeper"
    folder.mkdir()
    copy_repository(folder)
    surroundings = {"TZ": "Asia/Baku", "LC_ALL": "C", "PYTHONHASHSEED": "7", "HOME": str(folder.parent)}
    run(folder, "sh", "-c", "umask 077 && dvc repro", **surroundings)
    parts = ("dvc.lock", "metrics", "plots", "models", "data")
    assert (folder / "dvc.lock").read_bytes() == (smoke_repository / "dvc.lock").read_bytes()
    assert snapshot(folder, *parts) == snapshot(smoke_repository, *parts)


STAGES = ["prepare", "validate", "train", "evaluate", "plot"]


@pytest.mark.parametrize("stage", STAGES)
def test_a_bad_parameter_ends_every_stage_in_one_line_and_touches_no_result(smoke_repository: Path, stage: str) -> None:
    parts = ("data", "models", "metrics", "plots")
    before = snapshot(smoke_repository, *parts)
    with edited(smoke_repository, "params.yaml", r"learning_rate: \S+", "learning_rate: 1e-5"):
        done = run(smoke_repository, "python", "-m", f"stages.{stage}", check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: params.yaml: config.type: train.learning_rate = '1e-5'")
    assert len(done.stderr.splitlines()) == 1
    assert snapshot(smoke_repository, *parts) == before


@pytest.mark.parametrize(
    ("stage", "missing", "message"),
    [
        ("validate", "data/index.parquet", "dvc repro prepare"),
        ("train", "data/splits", "run the stage that writes it"),
        ("train", "data/clips", "prepare"),
        ("evaluate", "models/asr", "run the stage that writes it"),
        ("plot", "metrics/evaluate.json", "run the stage that writes it"),
    ],
)
def test_missing_data_end_in_one_line_and_touch_no_result(
    smoke_repository: Path, stage: str, missing: str, message: str
) -> None:
    path, aside = smoke_repository / missing, smoke_repository / "aside"
    parts = ("metrics", "plots", "data/predictions", "models")
    path.rename(aside)
    try:
        before = snapshot(smoke_repository, *parts)
        done = run(smoke_repository, "python", "-m", f"stages.{stage}", check=False)
        assert snapshot(smoke_repository, *parts) == before
    finally:
        aside.rename(path)
    assert done.returncode == 2, done.stderr
    line = done.stderr.splitlines()[-1]
    assert line.startswith("error: ")
    assert missing.split("/")[0] in line
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_under_dvc_a_mistake_says_how_to_bring_the_results_back(smoke_repository: Path) -> None:
    with edited(smoke_repository, "params.yaml", r"learning_rate: \S+", "learning_rate: -1.0"):
        done = dvc(smoke_repository, "repro", check=False)
    assert done.returncode != 0
    assert "train.learning_rate = -1.0: out of range" in done.stderr
    assert "git restore metrics plots && dvc checkout" in done.stderr
    run(smoke_repository, "git", "restore", "metrics", "plots")
    dvc(smoke_repository, "checkout")
    assert changed_stages(smoke_repository) == set()


def test_results_of_a_commit_are_recognised_and_other_ones_explained(smoke_repository: Path) -> None:
    def verify() -> str:
        return run(smoke_repository, "python", "-m", "asr", "verify").stdout

    assert "Same bytes as the committed results" in verify()
    with edited(smoke_repository, "metrics/evaluate.json", r'"device": "cpu-[^"]*"', '"device": "cpu-other"'):
        assert "Same code and parameters, other bits: test WER" in verify()
    with edited(smoke_repository, "metrics/evaluate.json", r'"params": "\w+"', '"params": "0"'):
        assert "Other params than committed" in verify()
    commit(smoke_repository, "unchanged")
