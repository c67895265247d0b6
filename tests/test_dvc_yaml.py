"""Contract: what dvc.yaml declares is what the stages use, and the committed results are of the committed code."""

import dataclasses
import hashlib
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from asr.params import EvaluateStage, Params, PlotStage, PrepareStage, TrainStage, ValidateStage
from asr.provenance import TEMPLATES, code_files
from tests.pipeline import ROOT

PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
LOCK = yaml.safe_load((ROOT / "dvc.lock").read_text(encoding="utf-8"))["stages"]
STAGE_PARAMS = {
    "prepare": PrepareStage,
    "validate": ValidateStage,
    "train": TrainStage,
    "evaluate": EvaluateStage,
    "plot": PlotStage,
}
STAGES = list(STAGE_PARAMS)
CODE = (".py", *TEMPLATES)
FROM_DATA = {"language": "data.language", "numbers": "data.numbers", "licence": "data.licence", "corpus": "data.name"}
"""Single keys of the section `data`, by the field of a stage's parameters."""
FROM_OUTSIDE = {"${data.path}", "${validate.external}", "${validate.earlier}", "${evaluate.second}"}
"""The corpus, the transcripts of outside test sets, the split files of an earlier release, and a second data set."""


def names(entries: list[Any]) -> list[str]:
    """Paths of outs, metrics or plots, with or without options."""
    return [next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries]


def outputs(stage: str) -> list[str]:
    declared = PIPELINE[stage]
    return [name for kind in ("outs", "metrics", "plots") for name in names(declared.get(kind, []))]


def closure(stage: str) -> set[str]:
    return {path.relative_to(ROOT).as_posix() for path in code_files(ROOT / f"stages/{stage}.py", ROOT)}


def test_the_stages_stand_in_the_order_in_which_they_run() -> None:
    assert list(PIPELINE) == STAGES


@pytest.mark.parametrize("stage", STAGES)
def test_declared_code_is_what_the_stage_imports_and_fills_in_both_ways(stage: str) -> None:
    declared = {name for name in PIPELINE[stage]["deps"] if name.endswith(CODE)}
    add, remove = sorted(closure(stage) - declared), sorted(declared - closure(stage))
    assert not add, f"add to {stage}.deps in dvc.yaml: {add}"
    assert not remove, f"remove from {stage}.deps in dvc.yaml: {remove}"


@pytest.mark.parametrize("stage", STAGES)
def test_declared_parameters_are_the_ones_a_stage_may_read(stage: str) -> None:
    fields = [field.name for field in dataclasses.fields(STAGE_PARAMS[stage])]
    wanted = {FROM_DATA.get(name, name) for name in fields}
    assert set(PIPELINE[stage]["params"]) == wanted


@pytest.mark.parametrize("stage", STAGES)
def test_every_path_of_a_command_is_declared(stage: str) -> None:
    command = shlex.split(PIPELINE[stage]["cmd"])
    assert command[:3] == ["python", "-m", f"stages.{stage}"]
    declared = [*PIPELINE[stage]["deps"], *outputs(stage)]
    for path in (word for word in command[3:] if not word.startswith("--")):
        assert any(name == path or name.startswith(f"{path}/") for name in declared), path


def test_every_data_dependency_is_the_output_of_an_earlier_stage() -> None:
    made: list[str] = []
    for stage in STAGES:
        for name in PIPELINE[stage]["deps"]:
            assert name.endswith(CODE) or name in made or name in FROM_OUTSIDE, (stage, name)
        made += outputs(stage)
    assert len(made) == len(set(made))


def test_no_output_lies_inside_another() -> None:
    made = [name for stage in STAGES for name in outputs(stage)]
    assert not [(a, b) for a in made for b in made if b.startswith(f"{a}/")]


def test_every_parameter_is_read_somewhere_in_the_code_of_a_stage_that_declares_it() -> None:
    unread = []
    for section in dataclasses.fields(Params):
        users = [stage for stage in STAGES if section.name in PIPELINE[stage]["params"]]
        text = "\n".join((ROOT / name).read_text(encoding="utf-8") for stage in users for name in closure(stage))
        leaves = [field.name for field in dataclasses.fields(section.type)]
        unread += [f"{section.name}.{leaf}" for leaf in leaves if not re.search(rf"\.{leaf}\b", text)]
    assert unread == ["model.architecture"], "only one architecture exists yet, and the type checks it"


@pytest.mark.parametrize("stage", STAGES)
def test_the_lock_holds_the_hashes_of_the_code_in_the_tree(stage: str) -> None:
    for dep in LOCK[stage]["deps"]:
        if dep["path"].endswith(CODE):
            digest = hashlib.md5((ROOT / dep["path"]).read_bytes(), usedforsecurity=False).hexdigest()
            assert digest == dep["md5"], f"{dep['path']} changed after the results were made: run `dvc repro`"
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    command = PIPELINE[stage]["cmd"]
    for section, name in (("validate", "external"), ("validate", "earlier"), ("evaluate", "second")):
        command = command.replace(f"${{{section}.{name}}}", params[section][name])
    assert LOCK[stage]["cmd"] == command
    assert {dep["path"] for dep in LOCK[stage]["deps"] if dep["path"].endswith(CODE)} == closure(stage)


@pytest.mark.parametrize("stage", STAGES)
def test_the_lock_holds_the_parameters_in_the_tree(stage: str) -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for key, locked in LOCK[stage]["params"]["params.yaml"].items():
        value: Any = params
        for part in key.split("."):
            value = value[part]
        assert value == locked, f"{key} changed after the results were made: run `dvc repro`"


@pytest.mark.parametrize("stage", STAGES)
def test_the_committed_small_results_are_those_of_the_lock(stage: str) -> None:
    for out in LOCK[stage]["outs"]:
        path = ROOT / out["path"]
        if path.suffix in {".json", ".tsv"}:
            digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
            assert digest == out["md5"], f"{out['path']} is not what the locked run wrote: run `dvc repro`"


def test_a_changed_file_would_be_noticed(tmp_path: Path) -> None:
    """A planted fault: the same comparison must fail for a file with one more byte."""
    source = ROOT / "stages/plot.py"
    copy = tmp_path / "plot.py"
    copy.write_bytes(source.read_bytes() + b"\n")
    locked = next(dep["md5"] for dep in LOCK["plot"]["deps"] if dep["path"] == "stages/plot.py")
    assert hashlib.md5(copy.read_bytes(), usedforsecurity=False).hexdigest() != locked
