"""Contract: the bytes of an output depend on its content alone, and a failed write leaves the old output."""

import json
from pathlib import Path

import pytest

from asr.errors import UserError
from asr.files import read_json, read_jsonl, replaced_folder, write_json, write_jsonl, write_tsv


def test_json_has_sorted_keys_lf_ends_and_shortest_floats(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"b": 0.1, "a": {"ə": 1}})
    assert path.read_bytes() == '{\n  "a": {\n    "ə": 1\n  },\n  "b": 0.1\n}\n'.encode()


def test_key_order_does_not_reach_the_bytes(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a", [{"x": 1, "y": 2}])
    write_jsonl(tmp_path / "b", [{"y": 2, "x": 1}])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_json_lacks_is_refused_and_the_old_file_stays(tmp_path: Path, value: float) -> None:
    path = tmp_path / "metrics.json"
    write_json(path, {"wer": 0.5})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"wer": value})
    assert read_json(path) == {"wer": 0.5}


def test_json_lines_split_at_line_feeds_only(tmp_path: Path) -> None:
    rows = [{"text": "one\u2028two"}, {"text": "three\x85four"}]
    write_jsonl(tmp_path / "rows.jsonl", rows)
    assert list(read_jsonl(tmp_path / "rows.jsonl")) == rows


def test_a_table_has_one_header_and_tabs(tmp_path: Path) -> None:
    write_tsv(tmp_path / "t.tsv", ("step", "loss"), [(1, 0.25), (2, 0.125)])
    assert (tmp_path / "t.tsv").read_bytes() == b"step\tloss\n1\t0.25\n2\t0.125\n"


@pytest.mark.parametrize("read", [read_json, lambda path: list(read_jsonl(path))])
def test_a_missing_or_broken_file_is_a_user_error(tmp_path: Path, read: "object") -> None:
    path = tmp_path / "x.json"
    with pytest.raises(UserError, match="missing"):
        read(path)
    path.write_text("{broken", encoding="utf-8")
    with pytest.raises(UserError, match="not JSON"):
        read(path)


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "old").touch()
    with replaced_folder(target) as folder:
        (folder / "new").write_text(json.dumps({}), encoding="utf-8")
    assert [path.name for path in target.iterdir()] == ["new"]


def test_a_failure_leaves_the_old_folder_and_no_rest(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "old").touch()

    def fail() -> None:
        with replaced_folder(target) as folder:
            (folder / "half").touch()
            raise RuntimeError("disk")

    with pytest.raises(RuntimeError, match="disk"):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert [path.name for path in target.iterdir()] == ["old"]
