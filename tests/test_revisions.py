"""Contract: predictions are read from any revision, experiment or path, and reading changes nothing."""

import json
import shutil
from pathlib import Path

import pytest

from asr.__main__ import main
from asr.comparing.revisions import read_systems
from asr.comparing.systems import Normalizer
from asr.errors import UserError
from asr.stage import EXIT_USER_ERROR, run
from tests.pipeline import ROOT, commit, dvc, snapshot
from tests.pipeline import run as command

STAGE = """\
stages:
  evaluate:
    cmd: cp -r made/predictions data/predictions && cp made/evaluate.json metrics/evaluate.json
    deps: [made]
    outs: [data/predictions]
    metrics:
      - metrics/evaluate.json: {cache: false}
"""


def write(folder: Path, word: str, split: str = "test") -> Path:
    """Predictions of two clips, the second of them as `word`."""
    rows = [
        {"id": "a", "reference": "Bu gün", "hypothesis": "bu gün", "group": "v", "duration": 1.0, "capped": False},
        {"id": "b", "reference": "sabah", "hypothesis": word, "group": "w", "duration": 2.5, "capped": False},
    ]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{split}.jsonl"
    path.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows), encoding="utf-8")
    return path


def write_metrics(path: Path, **changes: str) -> None:
    here = Normalizer.here("az", "keep")
    block = {"language": "az", "version": here.version, "hash": here.hash, **changes}
    path.write_text(json.dumps({split: {"normalizer": block} for split in ("test", "validation")}), encoding="utf-8")


def make(root: Path, word: str) -> None:
    """What the stage of the repository then takes for its result."""
    write(root / "made/predictions", word)
    write(root / "made/predictions", f"{word}ki", "validation")
    write_metrics(root / "made/evaluate.json")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with two releases, an experiment, and another result in the workspace."""
    root = tmp_path_factory.mktemp("made")
    command(root, "git", "init", "--quiet", "--initial-branch=main")
    command(root, "git", "config", "user.name", "test")
    command(root, "git", "config", "user.email", "test@localhost")
    dvc(root, "init", "--quiet")
    (root / "dvc.yaml").write_text(STAGE, encoding="utf-8")
    shutil.copyfile(ROOT / "params.yaml", root / "params.yaml")
    for folder in ("data", "metrics"):
        (root / folder).mkdir()
    commit(root, "before any result")
    command(root, "git", "tag", "empty")
    for word in ("one", "two"):
        make(root, word)
        dvc(root, "repro", "--quiet")
        commit(root, word)
        command(root, "git", "tag", "--annotate", "--message", word, f"release-{word}")
    make(root, "three")
    dvc(root, "exp", "run", "--name", "louder")
    make(root, "four")
    dvc(root, "repro", "--quiet")
    write(root / "elsewhere", "five")
    return root


@pytest.fixture
def repository(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy that a test may break, as the current folder."""
    root = tmp_path / "repository"
    shutil.copytree(made, root, symlinks=True)
    monkeypatch.chdir(root)
    return root


def second_word(name: str, split: str = "test") -> str:
    system, _ = read_systems((name, "workspace"), split, Path("params.yaml"))
    assert system.name == name
    return system.pairs[1].hypothesis


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("release-one", "one"),
        ("HEAD~1", "one"),
        ("main", "two"),
        ("refs/heads/main", "two"),
        ("louder", "three"),
        ("workspace", "four"),
        ("elsewhere/test.jsonl", "five"),
        ("elsewhere", "five"),
    ],
)
def test_every_way_of_naming_predictions_finds_them(
    made: Path, monkeypatch: pytest.MonkeyPatch, name: str, word: str
) -> None:
    monkeypatch.chdir(made)
    assert second_word(name) == word


def test_a_short_commit_names_its_predictions_and_the_split_is_the_one_asked_for(repository: Path) -> None:
    short = command(repository, "git", "rev-parse", "--short", "release-one").stdout.strip()
    assert second_word(short, "validation") == "oneki"


def test_reading_changes_nothing_in_the_workspace_and_in_git(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made)
    before = snapshot(made, "data", "metrics", "made", ".dvc/cache", ".git/refs"), (made / ".git/HEAD").read_bytes()
    status = command(made, "git", "status", "--porcelain").stdout
    read_systems(("louder", "release-one"), "test", Path("params.yaml"))
    after = snapshot(made, "data", "metrics", "made", ".dvc/cache", ".git/refs"), (made / ".git/HEAD").read_bytes()
    assert after == before
    assert command(made, "git", "status", "--porcelain").stdout == status


@pytest.mark.parametrize("lost", [".dvc/cache", ".dvc/cache/files/md5"])
def test_predictions_in_no_store_are_refused_with_the_way_to_get_them(repository: Path, lost: str) -> None:
    shutil.rmtree(repository / lost)
    with pytest.raises(
        UserError, match=r"release-one: data/predictions/test\.jsonl .*`dvc fetch --all-commits .*`dvc repro`"
    ):
        second_word("release-one")


def test_one_lost_file_of_the_cache_is_a_loss_too(repository: Path) -> None:
    for path in (repository / ".dvc/cache/files/md5").rglob("*"):
        if path.is_file() and path.suffix != ".dir":
            path.unlink()
    with pytest.raises(UserError, match="neither in the cache nor in the default remote"):
        second_word("louder")


def test_predictions_that_left_the_cache_are_read_from_the_remote(repository: Path) -> None:
    dvc(repository, "remote", "add", "--default", "store", str(repository.parent / "store"))
    shutil.move(repository / ".dvc/cache", repository.parent / "store")
    assert second_word("release-one") == "one"
    assert not list((repository / ".dvc").glob("cache/files/md5/*/*"))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("release-on", "near names: release-one"),
        ("lauder", "near names: louder"),
        ("worksspace", "near names: workspace"),
        ("qqqq", "`git log`, `git tag` and `dvc exp list` show names"),
        ("", "no revision"),
        ("HEAD~99", "no revision"),
        ("HEAD:dvc.yaml", "no revision"),
        ("release-one..main", "no revision"),
        ("made", "no revision, experiment or file of predictions"),
        ("--help me", "no revision"),
        ("empty", "empty: metrics/evaluate.json is not in this revision"),
    ],
)
def test_what_names_no_result_is_refused_in_one_line(
    made: Path, monkeypatch: pytest.MonkeyPatch, name: str, said: str
) -> None:
    monkeypatch.chdir(made)
    with pytest.raises(UserError) as refused:
        second_word(name)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_outside_of_git_only_paths_can_be_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="no Git repository here"):
        read_systems(("main", "workspace"), "test", Path("params.yaml"))
    paths = [str(write(tmp_path / name, name)) for name in ("x", "y")]
    a, b = read_systems((paths[0], paths[1]), "test", ROOT / "params.yaml")
    assert (a.pairs[1].hypothesis, b.pairs[1].hypothesis) == ("x", "y")
    assert a.normalizer == b.normalizer == Normalizer.here("az", "keep")


def test_a_path_takes_language_and_number_option_from_the_other_system(repository: Path) -> None:
    write_metrics(repository / "metrics/evaluate.json", numbers="words", language="tr", hash="0")
    for names in (("elsewhere", "workspace"), ("workspace", "elsewhere")):
        systems = read_systems(names, "test", Path("params.yaml"))
        normalizers = {system.name: system.normalizer for system in systems}
        assert normalizers["elsewhere"] == Normalizer.here("tr", "words")
        assert normalizers["workspace"].hash == "0"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is not JSON"),
        ("{}", "names no normaliser of the split 'test'"),
        ("[]", "names no normaliser"),
        ('{"test": {"normalizer": {"language": "az", "version": "1"}}}', "'hash'"),
        ('{"test": {"normalizer": {"language": "xx", "version": "1", "hash": "0"}}}', "language 'xx'"),
    ],
)
def test_metrics_of_another_form_are_refused(repository: Path, content: str, said: str) -> None:
    (repository / "metrics/evaluate.json").write_text(content, encoding="utf-8")
    with pytest.raises(UserError) as refused:
        second_word("workspace")
    assert said in str(refused.value)


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr("sys.argv", ["asr", "compare", *arguments])
    run(main)


def test_the_command_prints_a_verdict_and_a_table_or_json(
    made: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(made)
    call(monkeypatch, "release-one")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("no difference shown: WER A 33.33 %, B 33.33 %")
    assert lines[2:4] == ["A: release-one", "B: workspace"]
    call(monkeypatch, "release-one", "louder", "--json", "--split", "validation")
    plain = json.loads(capsys.readouterr().out)
    assert plain["verdict"]["line"].startswith("no difference shown")
    assert (plain["a"], plain["b"], plain["changed"]) == ("release-one", "louder", 1)


@pytest.mark.parametrize("arguments", [["release-on"], ["elsewhere", "empty"], ["workspace", "made/evaluate.json"]])
def test_a_mistake_ends_the_command_in_one_line(
    made: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    monkeypatch.chdir(made)
    with pytest.raises(SystemExit) as stopped:
        call(monkeypatch, *arguments)
    shown = capsys.readouterr()
    assert stopped.value.code == EXIT_USER_ERROR
    assert shown.out == ""
    assert shown.err.startswith("error: ")
    assert len(shown.err.splitlines()) == 1
