"""Contract: a checkpoint comes back to the bit or not at all, and a save that fails costs nothing that was there."""

import errno
import json
import logging
import os
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load

from asr.errors import UserError
from asr.training.checkpoint.store import SaveError, Store
from asr.training.checkpoint.tensors import (
    from_bytes,
    optimizer_tensors,
    restore_optimizer,
    restore_rng,
    rng_tensors,
    to_bytes,
)
from tests.models import tiny_model

CPU = torch.device("cpu")
Tensors = dict[str, dict[str, torch.Tensor]]


def bits(tensor: torch.Tensor) -> bytes:
    return bytes(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())


def same(a: Mapping[str, torch.Tensor], b: Mapping[str, torch.Tensor]) -> bool:
    """Names, dtypes, shapes and bits."""
    return a.keys() == b.keys() and all(
        (a[n].dtype, a[n].shape, bits(a[n])) == (b[n].dtype, b[n].shape, bits(b[n])) for n in a
    )


# Tensors


def test_the_weights_of_a_whisper_come_back_with_the_names_that_share_one_tensor() -> None:
    weights = tiny_model().network.state_dict()
    content = to_bytes(weights)
    found = from_bytes(content)
    assert same(found, weights)
    tied = ("proj_out.weight", "model.decoder.embed_tokens.weight")
    assert found[tied[0]] is found[tied[1]]
    assert weights.keys() - load(content).keys() == {"proj_out.weight"}  # the name that transformers leaves out too
    assert len(json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]) == 1


BASE = torch.arange(24.0).reshape(4, 6)
NAN = torch.tensor([0x7FC01234, -1, 0x7F800000], dtype=torch.int32).view(torch.float32)


@pytest.mark.parametrize(
    "tensors",
    [
        *({"a": torch.randn(3, 5).to(kind)} for kind in (torch.bfloat16, torch.float16, torch.float64)),
        {"a": torch.arange(-3, 3), "b": torch.tensor([True, False]), "c": torch.tensor(7.0)},
        {"a": torch.empty(0, 4), "b": torch.empty(0, dtype=torch.uint8), "c": torch.tensor([-0.0])},
        {"nan with a payload": NAN},
        {"whole": BASE, "transposed": BASE.T, "rows": BASE[1:3], "overlap": BASE[:2], "again": BASE},
        {"parameter": torch.nn.Parameter(torch.ones(2))},
        {},
    ],
    ids=["bfloat16", "float16", "float64", "whole numbers", "empty", "nan", "views", "parameter", "none"],
)
def test_tensors_of_any_kind_come_back_to_the_bit(tensors: dict[str, torch.Tensor]) -> None:
    assert same(from_bytes(to_bytes(tensors)), tensors)
    assert to_bytes(tensors) == to_bytes({name: tensor.detach() for name, tensor in tensors.items()})


def network() -> torch.nn.Sequential:
    torch.manual_seed(1)
    return torch.nn.Sequential(torch.nn.Linear(5, 3), torch.nn.Linear(3, 2))


def adamw(net: torch.nn.Module, **options: Any) -> torch.optim.AdamW:
    matrices, rest = [p for p in net.parameters() if p.ndim > 1], [p for p in net.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=0.01, **{"fused": True, **options})


def steps(net: torch.nn.Module, optimizer: Any, count: int, start: int = 0) -> None:
    for step in range(start, start + count):
        optimizer.zero_grad()
        net(torch.full((4, 5), 0.1 * (step + 1))).square().sum().backward()
        optimizer.step()


class Wrapper:
    """As accelerate's wrapper: the optimizer is an attribute."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer


@pytest.mark.parametrize("options", [{"fused": True}, {"fused": False, "foreach": False}], ids=["fused", "plain"])
@pytest.mark.parametrize("wrap", [lambda optimizer: optimizer, Wrapper], ids=["bare", "wrapped"])
@pytest.mark.parametrize("before", [0, 1, 4])
def test_an_optimizer_goes_on_to_the_bit(before: int, wrap: Any, options: dict[str, bool]) -> None:
    straight, resumed = network(), network()
    optimizer = adamw(straight, **options)
    steps(straight, optimizer, before)
    saved = from_bytes(to_bytes(optimizer_tensors(wrap(optimizer), dict(straight.named_parameters()))))
    weights = {name: tensor.clone() for name, tensor in straight.state_dict().items()}
    steps(straight, optimizer, 3, before)
    for _ in range(2):  # what was saved is not touched by going on
        resumed.load_state_dict(weights)
        again = adamw(resumed, **options)
        steps(resumed, again, 2)  # another state, which must go
        resumed.load_state_dict(weights)
        restore_optimizer(wrap(again), dict(resumed.named_parameters()), saved)
        assert same(optimizer_tensors(again, dict(resumed.named_parameters())), saved)
        steps(resumed, again, 3, before)
        assert same(resumed.state_dict(), straight.state_dict())


def test_names_say_which_parameter_and_one_without_updates_has_no_state() -> None:
    net = network()
    net[1].bias.requires_grad_(False)
    optimizer = adamw(net)
    steps(net, optimizer, 2)
    saved = optimizer_tensors(optimizer, dict(net.named_parameters()))
    moments = [f"{key}/{name}" for key in ("exp_avg", "exp_avg_sq", "step") for name in ("0.bias", "0.weight")]
    assert sorted(n for n in saved if n.split("/")[1][0] == "0") == moments
    assert [n for n in saved if n.endswith("1.bias")] == ["stateless/1.bias"]
    restore_optimizer(optimizer, dict(net.named_parameters()), saved)
    assert net[1].bias not in optimizer.state


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: [t.pop(f"{k}/1.bias") for k in ("step", "exp_avg", "exp_avg_sq")], "of 1.bias: not in the checkp"),
        (lambda t: t.update({"exp_avg/2.bias": torch.ones(2)}), "of 2.bias: in the checkpoint but not in the opt"),
        (lambda t: t.update({"exp_avg/1.bias": torch.ones(3)}), r"exp_avg of 1.bias: \(3,\) .*checkpoint, \(2,"),
        (lambda t: t.update({"exp_avg/1.bias": torch.ones(2).half()}), "exp_avg of 1.bias: .*float16 in the check"),
        (lambda t: t.pop("exp_avg/1.bias"), "of 1.bias: exp_avg_sq, step in the checkpoint, other parameters have"),
    ],
    ids=["missing", "extra", "shape", "dtype", "half"],
)
def test_a_state_of_another_model_is_refused(change: Callable[[dict[str, torch.Tensor]], object], message: str) -> None:
    net = network()
    optimizer = adamw(net)
    steps(net, optimizer, 1)
    saved = optimizer_tensors(optimizer, dict(net.named_parameters()))
    change(saved)
    with pytest.raises(UserError, match=message):
        restore_optimizer(optimizer, dict(net.named_parameters()), saved)


def test_random_draws_go_on_where_they_were_and_states_of_another_device_are_refused() -> None:
    torch.rand(3)
    saved = from_bytes(to_bytes(rng_tensors(CPU)))
    drawn = torch.rand(5)
    torch.rand(9)
    restore_rng(saved, CPU)
    assert torch.equal(torch.rand(5), drawn)
    with pytest.raises(UserError, match="random states of cpu, this run needs cpu, cuda"):
        restore_rng(saved, torch.device("cuda"))


# The store


@cache
def content(seed: int) -> Tensors:
    maker = torch.Generator().manual_seed(seed)
    return {stem: {"a": torch.randn(4, generator=maker)} for stem in ("model", "optimizer")}


def save(folder: Path, batch: int, weights_of: tuple[int, ...] = (), seed: int | None = None, keep: int = 2) -> None:
    Store(folder, keep).save(batch, {"step": batch}, content(batch if seed is None else seed), weights_of)


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*/*"))


def names(*batches: int) -> list[str]:
    return [f"batch-{batch:08d}" for batch in batches]


def newest(folder: Path) -> int | None:
    """Batch of the newest checkpoint, whose tensors are checked."""
    found = Store(folder).newest()
    if found is not None:
        assert any(
            all(same(found.tensors[stem], content(seed)[stem]) for stem in ("model", "optimizer"))
            for seed in (found.batch, found.batch + 1000)
        )
    return found.batch if found else None


def test_a_checkpoint_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    state = {"rate": 0.1, "loss": float("inf"), "rows": [{"wer": 1 / 3}], "best": None, "text": "ə"}
    Store(tmp_path).save(7, state, content(7), [])
    found = Store(tmp_path).newest()
    assert found is not None
    assert (found.batch, found.state) == (7, state)
    assert found.tensors.keys() == content(7).keys()
    assert all(same(found.tensors[stem], named) for stem, named in content(7).items())
    assert sorted(path.name for path in tmp_path.glob("*/*/*")) == [
        "manifest.json",
        "model.safetensors",
        "optimizer.safetensors",
        "state.json",
    ]


def test_an_empty_folder_has_no_checkpoint(tmp_path: Path) -> None:
    assert Store(tmp_path / "none").newest() is None


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_the_newest_checkpoints_stay(tmp_path: Path, keep: int) -> None:
    for batch in (1, 2, 30, 4000, 123456789):
        save(tmp_path, batch, keep=keep)
    assert listing(tmp_path) == sorted(names(2, 30, 4000, 123456789)[-keep:])
    assert newest(tmp_path) == 123456789


def test_weights_stay_as_long_as_a_kept_checkpoint_relies_on_them(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for step, relied_on in ((1, [1]), (2, [1, 2]), (3, [3]), (4, [3])):
        store.keep_weights(step, content(step)["model"])
        store.save(step, {}, content(step), relied_on)
    assert listing(tmp_path) == [*names(3, 4), "step-00000003"]
    assert same(store.weights(3), content(3)["model"])


def test_a_checkpoint_of_the_same_batch_is_replaced_and_later_ones_go(tmp_path: Path) -> None:
    for batch in (1, 2, 3):
        save(tmp_path, batch)
    save(tmp_path, 2, seed=1002)
    assert newest(tmp_path) == 2
    assert listing(tmp_path) == names(2)
    found = Store(tmp_path).newest()
    assert found is not None
    assert same(found.tensors["model"], content(1002)["model"])


def test_a_broken_checkpoint_does_not_count_among_those_that_are_kept(tmp_path: Path) -> None:
    save(tmp_path, 1)
    save(tmp_path, 2)
    (tmp_path / "checkpoints/batch-00000002/state.json").unlink()
    store = Store(tmp_path)
    assert (found := store.newest()) is not None
    assert found.batch == 1
    store.save(3, {}, content(3), [])
    assert listing(tmp_path) == names(1, 3)
    save(tmp_path, 4)
    (tmp_path / "checkpoints/batch-00000004/state.json").unlink()
    assert (found := store.newest()) is not None
    assert found.batch == 3
    for batch in (4, 5):  # written anew, it is as good as any
        store.save(batch, {}, content(batch), [])
    assert listing(tmp_path) == names(4, 5)


def test_a_checkpoint_is_not_used_without_the_weights_it_relies_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path)
    for step in (1, 2):
        store.keep_weights(step, content(step)["model"])
        store.save(step, {}, content(step), [step])
    (tmp_path / "weights/step-00000002/model.safetensors").unlink()
    assert newest(tmp_path) == 1
    assert (
        "in step-00000002, on which it relies, model.safetensors is missing; the checkpoint of batch 1" in caplog.text
    )
    with pytest.raises(UserError, match=r"step-00000002: model\.safetensors is missing; start the run again"):
        store.weights(2)


def test_a_run_without_a_whole_checkpoint_starts_anew_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for batch in (1, 2):
        save(tmp_path, batch)
        (tmp_path / "checkpoints" / names(batch)[0] / "model.safetensors").write_bytes(b"")
    assert newest(tmp_path) is None
    messages = [record.getMessage() for record in caplog.records]
    assert [message.rsplit("; ", 1)[1] for message in messages] == ["the run starts anew"] * 2


def test_a_save_that_never_ended_is_no_alarm(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    save(tmp_path, 1)
    save(tmp_path, 2)
    (tmp_path / "checkpoints/batch-00000002/manifest.json").unlink()
    assert newest(tmp_path) == 1
    assert [record.levelname for record in caplog.records] == ["INFO"]


def test_what_a_killed_save_left_goes_before_the_next_one_needs_its_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, 1)
    (tmp_path / "checkpoints/batch-00000001/manifest.json").unlink()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(SaveError, match=r"batch 2 could not be written: .*make room; there is no check"):
        save(tmp_path, 2)
    assert listing(tmp_path) == []


def test_files_that_may_not_be_read_stop_the_run_instead_of_starting_it_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, 1)

    def refuse(_path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(UserError, match=r"manifest\.json: Permission denied; give read access"):
        Store(tmp_path).newest()


def test_a_state_that_json_lacks_is_found_before_the_disk_is_touched(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="Path"):
        Store(tmp_path / "run").save(1, {"folder": tmp_path}, content(1), [])
    assert not list(tmp_path.iterdir())
