"""Contract: a parameter file is accepted whole or refused in one line with key, value and remedy."""

import re
from pathlib import Path

import pytest
import yaml

from asr.errors import UserError
from asr.params import load_params

SAMPLE = Path("presets/sample.yaml").read_text(encoding="utf-8")


def changed(tmp_path: Path, pattern: str, replacement: str) -> Path:
    text, count = re.subn(pattern, replacement, SAMPLE, count=1, flags=re.M)
    assert count == 1, f"nothing in the sample preset matches {pattern}"
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("preset", sorted(Path("presets").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_preset_is_accepted(preset: Path) -> None:
    load_params(preset)


def test_the_committed_parameters_are_the_sample_preset() -> None:
    assert Path("params.yaml").read_text(encoding="utf-8") == SAMPLE


def test_values_arrive_typed() -> None:
    params = load_params(Path("presets/sample.yaml"))
    assert isinstance(params.train.learning_rate, float)
    assert isinstance(params.train.max_steps, int)
    assert params.features.edges is None
    assert params.data.max_clips is None


@pytest.mark.parametrize(
    ("pattern", "replacement", "message"),
    [
        (r"learning_rate: \S+", "learning_rate: 1e-5", r"train\.learning_rate = '1e-5'.*write 1\.0e-5"),
        (r"learning_rate: \S+", "learning_rate: 2e4", r"train\.learning_rate = '2e4'.*write 2\.0e\+4"),
        (r"learning_rate: \S+", "learning_rate: -0.1", r"train\.learning_rate = -0\.1: out of range; .*at least 0"),
        (r"learning_rate: \S+", "learning_rate: .nan", r"train\.learning_rate = nan: expected a finite number"),
        (r"max_steps: \d+", "max_steps: -5", r"train\.max_steps = -5: out of range; it must be at least 1"),
        (r"max_steps: \d+", "max_steps: 10.5", r"train\.max_steps = 10\.5: expected a whole number"),
        (r"max_steps: \d+", "max_steps: true", r"train\.max_steps = True: expected a whole number"),
        (r"max_steps: \d+", "max_steps: 010", r"'010' .*read differently"),
        (r"max_steps: \d+", "max_steps: 1_000", r"'1_000' .*read differently"),
        (r"batch_size: \d+ #", "batchsize: 8 #", r"train\.batchsize = 8: unknown key; did you mean 'batch_size'"),
        (r"^  batch_size: .*\n", "", r"train\.batch_size: missing key"),
        (r"^plot:\n  dpi: .*\n", "", r"plot: missing key"),
        (r"^data:", "extra: 1\ndata:", r"extra = 1: unknown key"),
        (r"source: sample", "source: web", r"data\.source = 'web': not a choice; write one of sample, folder"),
        (r"language: az", "language: no", r"data\.language = False: not a choice"),
        (r"split: train", "split: off", r"data\.split = False: expected text.*quote the word"),
        (r"edges: null", "edges: []", r"features\.edges = \[\]: expected a list"),
        (r"edges: null", "edges: [2.0, 1.0]", r"features\.edges = \[2\.0, 1\.0\]: .*rising order"),
        (r"edges: null", "edges: [1.0, 5.0]", r"features\.edges = \[1\.0, 5\.0\]: the last must be features\.longest"),
        (r"window_share: \S+", "window_share: 0.99", r"train\.window_share = 0\.99: .*more than all clips"),
        (r"edges: null", "edges: [1.0, 31.0]", r"features\.edges = 31\.0: out of range"),
        (r"edges: null", "edges: [1.0, two]", r"features\.edges\[1\] = 'two': expected a finite number"),
        (r"max_duration: \S+", "max_duration: 20.0", r"validate\.max_duration = 20\.0: longer than features\.longest"),
        (r"attention_heads: \d", "attention_heads: 5", r"model\.attention_heads = 5: must divide"),
        (r"warmup_steps: \d+", "warmup_steps: 99999", r"train\.warmup_steps = 99999: more than train\.max_steps"),
        (r"test_share: \S+", "test_share: 0.95", r"validate\.test_share = 0\.95: .*nothing is left"),
        (r"name: scratch", "name: openai/whisper-tiny", r"model\.revision: missing .*pin the commit hash"),
        (r"source: sample", "source: hub\n  source: hub", r"key 'source' stands twice"),
        (r"^  dpi: .*", "  dpi: [1", r"not readable as YAML"),
    ],
)
def test_a_bad_value_is_named_with_its_key_and_remedy(
    tmp_path: Path, pattern: str, replacement: str, message: str
) -> None:
    path = changed(tmp_path, pattern, replacement)
    with pytest.raises(UserError, match=message) as caught:
        load_params(path)
    assert "\n" not in str(caught.value)
    assert "params.yaml" in str(caught.value)


def test_a_hub_corpus_must_be_pinned(tmp_path: Path) -> None:
    path = changed(tmp_path, r"source: sample", "source: hub")
    path.write_text(path.read_text(encoding="utf-8").replace("name: null", "name: some/corpus"), encoding="utf-8")
    with pytest.raises(UserError, match=r"data\.revision: missing for data\.name = 'some/corpus'"):
        load_params(path)


def test_a_missing_file_says_where_to_look(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        load_params(tmp_path / "params.yaml")


@pytest.mark.parametrize("content", ["", "- 1\n- 2\n", "just words"])
def test_a_file_without_sections_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match="expected sections"):
        load_params(path)


def test_every_key_has_a_comment_unless_its_name_says_all() -> None:
    silent = [line.split(":")[0].strip() for line in SAMPLE.splitlines() if line.startswith("  ") and "#" not in line]
    assert set(silent) <= {"seed", "architecture"}


def test_dvc_and_the_stages_read_the_same_values() -> None:
    """DVC reads YAML 1.2; a value that the two readers see differently would be tracked but not used."""
    from ruamel.yaml import YAML

    for preset in Path("presets").glob("*.yaml"):
        text = preset.read_text(encoding="utf-8")
        assert YAML(typ="safe").load(text) == yaml.safe_load(text)
