"""Contract: the import closure finds every file of the repository that a stage can run, and hashes follow content."""

from pathlib import Path

import pytest

from asr.provenance import code_files, code_hash, files_hash, import_closure, provenance, versions


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    files = {
        "stages/go.py": "from asr.a import f\nimport json\n\ndef g():\n    import asr.lazy\n",
        "asr/__init__.py": '"""Only words."""\n',
        "asr/a.py": "from asr.room import thing\n",
        "asr/lazy.py": "X = 1\n",
        "asr/room/__init__.py": "Y = 2\n",
        "asr/room/thing.py": "import asr.a\n",
        "asr/unused.py": "Z = 3\n",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    return tmp_path


def closure(tree: Path) -> list[str]:
    return [path.relative_to(tree).as_posix() for path in import_closure(tree / "stages/go.py", tree)]


def test_the_closure_holds_direct_indirect_lazy_and_package_files_and_survives_a_circle(tree: Path) -> None:
    assert closure(tree) == ["asr/a.py", "asr/lazy.py", "asr/room/__init__.py", "asr/room/thing.py", "stages/go.py"]


def test_a_package_file_without_code_is_left_out_until_it_has_some(tree: Path) -> None:
    (tree / "asr/__init__.py").write_text('"""Words."""\nimport os\n', encoding="utf-8")
    assert "asr/__init__.py" in closure(tree)


def test_the_code_hash_changes_with_used_files_only(tree: Path) -> None:
    before = code_hash("go", tree)
    (tree / "asr/unused.py").write_text("Z = 4\n", encoding="utf-8")
    assert code_hash("go", tree) == before
    (tree / "asr/lazy.py").write_text("X = 2\n", encoding="utf-8")
    assert code_hash("go", tree) != before


def test_the_data_hash_follows_content_and_name_and_not_order_or_folder(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        for name in ("a", "b"):
            (tmp_path / folder / name).write_text(name, encoding="utf-8")
    one, two = ([tmp_path / folder / name for name in ("a", "b")] for folder in ("one", "two"))
    assert files_hash(one) == files_hash(two[::-1])
    two[0].write_text("other", encoding="utf-8")
    assert files_hash(one) != files_hash(two)


def test_versions_are_releases_without_build_tags() -> None:
    found = versions(["torch", "numpy"])
    assert set(found) == {"python", "torch", "numpy"}
    assert not any("+" in version for version in found.values())


def test_the_block_names_no_machine_path_or_time(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text("{}\n", encoding="utf-8")
    block = provenance("plot", {"plot": {"dpi": 100}}, [path], ["numpy"], "cpu")
    assert set(block) == {"code", "data", "device", "params", "versions"}
    assert str(tmp_path) not in str(block)
    assert block == provenance("plot", {"plot": {"dpi": 100}}, [path], ["numpy"], "cpu")
    assert block["params"] != provenance("plot", {"plot": {"dpi": 101}}, [path], ["numpy"], "cpu")["params"]


@pytest.mark.parametrize("name", ["page.html", "page.css", "page.js"])
def test_templates_beside_a_used_module_belong_to_its_code(tree: Path, name: str) -> None:
    before, template = code_hash("go", tree), tree / "asr" / "room" / name
    template.write_text("a", encoding="utf-8")
    assert template in code_files(tree / "stages/go.py", tree)
    assert code_hash("go", tree) != before
