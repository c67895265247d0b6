"""Contract: the README's numbers, commands and paths are those of the tree it stands in."""

import json
import re

import pytest

from asr.__main__ import _parser
from tests.pipeline import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
TEST = json.loads((ROOT / "metrics/evaluate.json").read_text(encoding="utf-8"))["test"]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "figure",
    [
        f"| {TEST['wer']:.2%} | {TEST['wer_low']:.2%} to {TEST['wer_high']:.2%} |",
        f"| {TEST['cer']:.2%} | {TEST['clips']} |",
        f"test WER {TEST['wer']:.4f} [{TEST['wer_low']:.4f}, {TEST['wer_high']:.4f}] on {TEST['clips']} clips",
    ],
)
def test_the_error_rates_are_those_of_the_committed_metrics(figure: str) -> None:
    assert figure in README


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^make (\w+)|`make (\w+)", README, flags=re.M))
    assert len(targets) >= 2
    for target in {name for pair in targets for name in pair if name}:
        assert re.search(rf"^{target}:", MAKEFILE, flags=re.M), target


def test_every_command_of_the_package_exists() -> None:
    names = set(re.findall(r"python -m asr ([a-z]+)", README))
    assert names == {"check", "verify", "transcribe", "stream", "compare"}
    for name in names:
        operands = {"transcribe": ["recording.wav"], "compare": ["main"]}
        assert _parser().parse_args([name, *operands.get(name, [])])


def test_every_file_and_folder_of_the_drawn_tree_exists() -> None:
    tree = README.split("## The tree")[1].split("```")[1]
    names = [line.split()[0] for line in tree.strip().splitlines() if not line.startswith("  ")]
    assert len(names) >= 8
    made = {"models/"}  # by the first run
    assert [name for name in names if not (ROOT / name).exists() and name not in made] == []


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
