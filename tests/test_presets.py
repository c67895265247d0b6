"""Contract: a preset is the sample's file with other values and a pinned model; its memory table is computed."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml

from asr.params import Params, load_params
from benchmarks.memory_table import (
    CLIPS,
    MODES,
    Mode,
    Shape,
    check,
    encoder_layer,
    largest,
    measured,
    peak,
    states,
    tables,
)
from tests.pipeline import ROOT

SAMPLE = (ROOT / "presets/sample.yaml").read_text(encoding="utf-8")
NAMES = ("tiny", "base", "small", "medium")
SCALING = (ROOT / "docs/scaling.md").read_text(encoding="utf-8")
FETCH = 'hf download LocalDoc/azerbaijani_asr --repo-type dataset --include "*.parquet" --local-dir data/raw'
ARCHITECTURES = {  # width, encoder layers, decoder layers, heads, feed-forward; millions of parameters
    "tiny": ((384, 4, 4, 6, 1536), 37.8),
    "base": ((512, 6, 6, 8, 2048), 72.6),
    "small": ((768, 12, 12, 12, 3072), 241.7),
    "medium": ((1024, 24, 24, 16, 4096), 763.9),
}
DIFFERENT = {
    "data": {"source", "duration_column", "licence"},
    "validate": {"max_duration", "block_clips"},
    "features": {"longest", "tail"},
    "model": {"name", "revision", "d_model", "encoder_layers", "decoder_layers", "attention_heads", "feed_forward"},
    "train": {
        *("batch_size", "micro_batch_seconds", "learning_rate", "max_steps", "warmup_steps", "stop_after"),
        *("label_smoothing", "ctc_weight", "augment_from_step", "time_mask", "frequency_mask", "warp"),
        *("evaluate_clips", "average", "average_count", "checkpoint_every", "workers"),
    },
}
"""What may differ from the sample."""
VALUE = re.compile(r"^(  \w+:) .*?( #.*)?$")


def path(name: str) -> Path:
    return ROOT / "presets" / f"azerbaijani-whisper-{name}.yaml"


def skeleton(text: str) -> list[str]:
    """Sections, keys and comments without values and without what stands before the first section."""
    return [VALUE.sub(r"\1\2", line) for line in text[text.index("data:\n") :].splitlines()]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for each other on a busy machine make these small measurements fifty times slower."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def params(name: str) -> Params:
    return load_params(path(name))


@pytest.mark.parametrize("preset", sorted((ROOT / "presets").glob("*.yaml")), ids=lambda preset: preset.stem)
def test_every_preset_has_the_samples_keys_and_comments_in_its_order(preset: Path) -> None:
    assert skeleton(preset.read_text(encoding="utf-8")) == skeleton(SAMPLE)


def test_the_comparison_sees_a_moved_key_and_another_comment() -> None:
    lines = SAMPLE.splitlines()
    moved = "\n".join([*lines[:-3], lines[-1], lines[-2]])
    assert skeleton(moved) != skeleton(SAMPLE)
    assert skeleton(SAMPLE.replace("# peak, AdamW", "# AdamW")) != skeleton(SAMPLE)
    assert skeleton(SAMPLE.replace("2.7e-3", "1.0e-3")) == skeleton(SAMPLE)


def test_values_differ_from_the_sample_only_where_they_are_meant_to(name: str) -> None:
    sample, preset = yaml.safe_load(SAMPLE), yaml.safe_load(path(name).read_text(encoding="utf-8"))
    for section, values in preset.items():
        found = {key for key, value in values.items() if value != sample[section][key]}
        assert found <= DIFFERENT.get(section, set()), section


def test_the_data_are_local_parquet_files_and_the_header_says_how_to_get_them(name: str, params: Params) -> None:
    assert (params.data.source, params.data.path, params.data.name) == ("hub", "data/raw", None)
    assert (params.data.audio_column, params.data.text_column) == ("audio", "text")
    assert params.data.licence == "CC-BY-NC-4.0"
    assert params.data.group_column is None
    assert params.validate.block_clips
    assert f"#   {FETCH}\n" in path(name).read_text(encoding="utf-8")
    assert f"{FETCH}\n" in SCALING


def test_the_header_says_that_no_such_run_has_been_made(name: str) -> None:
    first, second = path(name).read_text(encoding="utf-8").splitlines()[:2]
    assert f"openai/whisper-{name} " in first
    assert "starting points, not tuned: no such run has been made" in second


def test_the_model_is_a_known_one_at_a_pinned_commit(name: str, params: Params) -> None:
    assert params.model.architecture == "whisper"
    assert params.model.name == f"openai/whisper-{name}"
    assert params.model.revision is not None
    assert re.fullmatch(r"[0-9a-f]{40}", params.model.revision)
    shape = Shape.of(params.model)
    found = (shape.width, shape.encoder_layers, shape.decoder_layers, shape.heads, shape.feed_forward)
    assert found == ARCHITECTURES[name][0]


def test_revisions_are_not_shared_by_models() -> None:
    assert len({load_params(path(name)).model.revision for name in NAMES}) == len(NAMES)


def test_every_clip_that_validate_keeps_has_an_edge_and_whisper_has_its_positions(params: Params) -> None:
    assert params.validate.max_duration == params.features.longest == 30.0
    assert params.validate.max_label_tokens == 448


def test_a_run_is_three_to_five_epochs_with_at_least_five_evaluations(params: Params) -> None:
    epochs = params.train.max_steps * params.train.batch_size / CLIPS
    assert 2.9 < epochs < 5.1
    assert params.train.max_steps / params.train.evaluate_every >= 5
    assert params.train.average_count <= params.train.max_steps // params.train.evaluate_every


def test_larger_models_learn_more_slowly_and_for_fewer_steps() -> None:
    loaded = [load_params(path(name)).train for name in NAMES]
    rates = [train.learning_rate for train in loaded]
    assert rates == sorted(rates, reverse=True)
    assert [40 * rate for rate in rates] == pytest.approx([1.5e-3, 1.0e-3, 5.0e-4, 2.5e-4])
    assert [train.max_steps for train in loaded] == sorted((train.max_steps for train in loaded), reverse=True)


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
def test_autograd_keeps_what_the_memory_table_computes(mode: Mode) -> None:
    assert check(Shape(64, 2, 3, 2, 128), mode, 2) == pytest.approx(1.0, abs=2e-3)


def test_the_measurement_sees_a_layer_more() -> None:
    two, three = (measured(Shape(64, layers, 3, 2, 128), MODES[2], 2) for layers in (2, 3))
    assert three - two == pytest.approx(100 * encoder_layer(Shape(64, 1, 1, 2, 128), MODES[2]), rel=1e-3)


def test_states_are_sixteen_bytes_a_parameter_and_two_more_for_a_copy_in_bf16(name: str, params: Params) -> None:
    shape, millions = Shape.of(params.model), ARCHITECTURES[name][1]
    fp32, bf16 = (states(shape, Mode(precision, False)) / 1e6 for precision in ("fp32", "bf16"))
    fixed = 1500 * shape.width / 1e6  # the encoder's positions are not trained
    assert (fp32 + 12 * fixed) / 16 == pytest.approx(millions, abs=0.05)
    assert 1.9 * millions < bf16 - fp32 < 2 * millions


def test_a_larger_gpu_holds_more_and_the_answer_really_fits() -> None:
    shape = Shape(*ARCHITECTURES["small"][0])
    for mode in MODES:
        sizes = [largest(shape, mode, gpu) or 0 for gpu in (8, 16, 24, 80)]
        assert sizes == sorted(sizes)
        assert (
            peak(shape, mode, int(sizes[-1] // 4), 4.0) <= 0.9 * 80e9 < peak(shape, mode, int(sizes[-1] // 4) + 1, 4.0)
        )


def test_the_tables_of_the_page_are_those_of_the_record() -> None:
    record = json.loads((ROOT / "benchmarks/results/memory-table.json").read_text(encoding="utf-8"))
    for table in tables(record["figures"]).strip().split("\n\n"):
        assert table in SCALING
    ratios = record["figures"]["check_measured_over_computed_by_seconds"]
    assert all(f"{ratio:.3f}" == "1.000" for row in ratios.values() for ratio in row.values())
    assert "measured over computed is 1.000" in SCALING


def test_the_page_lists_every_preset_with_its_rate_and_length(name: str, params: Params) -> None:
    row = next(line for line in SCALING.splitlines() if line.startswith(f"| `azerbaijani-whisper-{name}`"))
    assert f"| {ARCHITECTURES[name][1]} M |" in row
    assert f"| {params.train.max_steps:,} |" in row
    assert float(row.split("|")[4]) == params.train.learning_rate
    assert f"{12 * ARCHITECTURES[name][1] / 1000:.1f}" in SCALING.split("12 bytes a parameter:")[1].split("GB")[0]
