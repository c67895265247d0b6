"""Contract: `docs/bad-data.md` explains every reason code under its action, and names the limits that exist."""

import ast
import dataclasses
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from asr.corpus.codes import ACTIONS, Action
from asr.corpus.ledger import Rejection, Repair, Warned
from asr.files import write_json, write_jsonl
from asr.params import Params, ValidateParams
from tests.pipeline import ROOT

DOCUMENT = (ROOT / "docs/bad-data.md").read_text(encoding="utf-8")
SECTIONS = {"Stops": Action.STOP, "Rejected": Action.REJECT, "Repaired": Action.REPAIR, "Warned": Action.WARN}
NO_LIMITS_OF_A_CODE = {"max_rejected"}
"""Parameters about the corpus as a whole."""
CODE = re.compile(r"(?:audio|config|label|manifest|path|run|signal|split|stream|text)\.[a-z_]+")


def documented(document: str) -> Iterator[tuple[str, str, str]]:
    """First word of the heading, code, and limits of every row of a table of codes."""
    heading = ""
    for line in document.splitlines():
        if line.startswith("#"):
            heading = line.strip("# ").split(":")[0]
        elif found := re.match(r"\| `([a-z]+\.[a-z_]+)` \|", line):
            cells = re.split(r"(?<!\\)\|", line)
            yield heading, found[1], cells[3].strip()


def actions(document: str) -> dict[str, Action | None]:
    rows = [(code, SECTIONS.get(heading)) for heading, code, _ in documented(document)]
    assert len(rows) == len(dict(rows)), "a code is listed twice"
    return dict(rows)


def test_every_code_is_explained_under_its_action_and_no_other_code_is() -> None:
    assert actions(DOCUMENT) == ACTIONS


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("| `text.empty` |", "| `text.hollow` |"),
        ("## Warned: the transcript", "## Repaired: the transcript, too"),
        ("### Warned: a stream", "### Notices of a stream"),
    ],
)
def test_a_planted_slip_would_be_noticed(old: str, new: str) -> None:
    assert old in DOCUMENT
    assert actions(DOCUMENT.replace(old, new)) != ACTIONS


def test_every_row_has_as_many_cells_as_its_table_has_columns() -> None:
    for line in DOCUMENT.splitlines():
        if re.match(r"\| `[a-z]+\.[a-z_]+` \|", line):
            assert len(re.split(r"(?<!\\)\|", line)) == 6, line


def test_the_limits_named_exist() -> None:
    known = {field.name for field in dataclasses.fields(ValidateParams)}
    known |= {f"data.{field.name}" for field in dataclasses.fields(Params.__annotations__["data"])} | {"data.*_column"}
    named = {name for *_, limits in documented(DOCUMENT) for name in re.findall(r"`([^`]+)`", limits)}
    assert named <= known, named - known


def test_every_threshold_is_named_as_the_limit_of_a_code() -> None:
    thresholds = {field.name for field in dataclasses.fields(ValidateParams)} - NO_LIMITS_OF_A_CODE
    named = {name for *_, limits in documented(DOCUMENT) for name in re.findall(r"`([^`]+)`", limits)}
    assert thresholds <= named, thresholds - named


@pytest.mark.parametrize("row", [Rejection, Repair, Warned])
def test_every_field_of_a_ledger_is_explained(row: type) -> None:
    explanation = DOCUMENT.split("## How to look at it")[1].split("\n## ")[0]
    assert [field.name for field in dataclasses.fields(row) if f"`{field.name}`" not in explanation] == []


def test_the_code_uses_no_reason_that_is_not_in_the_list() -> None:
    """A string constant that is a code, or begins with one and a colon as messages of stops do."""
    suffixes = {"csv", "json", "jsonl", "parquet", "tsv", "txt", "wav"}
    unknown = {}
    for path in sorted({*(ROOT / "asr").rglob("*.py")} - {*(ROOT / "asr/reporting").iterdir()}):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
            found = re.match(rf"({CODE.pattern})(?:: |$)", text)
            if found and found[1] not in ACTIONS and found[1].split(".")[1] not in suffixes:
                unknown[found[1]] = path.relative_to(ROOT).as_posix()
    assert unknown == {}


def commands() -> list[str]:
    block = DOCUMENT.split("```sh\n")[1].split("```")[0]
    return re.findall(r'^python -c "(.*)"$', block, flags=re.M)


def test_the_commands_shown_print_the_ledgers(tmp_path: Path) -> None:
    rejection = Rejection("id", "a.wav", 7, 1.0, "text.char_rate", ("text.char_rate",), 30.0, 25.0, "too fast")
    write_jsonl(tmp_path / "data/splits/rejected.jsonl", [vars(rejection)])
    write_jsonl(tmp_path / "data/splits/repaired.jsonl", [vars(Repair("id", "a  ə", "a ə", ("text.spaces",)))])
    write_json(tmp_path / "metrics/validate.json", {"warned": {"signal.tone": 3}})
    printed = [
        subprocess.run([sys.executable, "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
        for command in commands()
    ]
    assert printed == ["7 a.wav too fast\n", "3 signal.tone\n", "text.spaces 'a  ə' 'a ə'\n"]
