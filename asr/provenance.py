"""What made a number: hashes of parameters, data and code, library versions, device class.

Nothing here names a machine, a path of a machine or a time: equal runs give equal blocks.
"""

import ast
import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
SHORT = 16
"""Hexadecimal digits kept of a hash in reports (64 bits)."""
TEMPLATES = (".css", ".html", ".js")
"""Files beside a module that it fills in."""


def provenance(
    stage: str, params: Mapping[str, Any], inputs: Iterable[Path], libraries: Sequence[str], device: str
) -> dict[str, Any]:
    """The `provenance` block of a metrics file.

    Args:
        stage: name of the script under `stages/`; its import closure and templates are hashed.
        params: the parameters the stage read.
        inputs: files whose content identifies the data.
        libraries: distributions whose versions may change the result.
        device: device class, such as `cpu-avx512`.
    """
    return {
        "code": code_hash(stage, ROOT),
        "data": files_hash(inputs),
        "device": device,
        "params": _digest(json.dumps(params, sort_keys=True).encode()),
        "versions": versions(libraries),
    }


def versions(libraries: Sequence[str]) -> dict[str, str]:
    """Release numbers without build tags: `2.13.0` for `2.13.0+cpu`, since the device class says that part."""
    found = {name: importlib.metadata.version(name).split("+")[0] for name in libraries}
    return {"python": ".".join(platform.python_version_tuple()[:2]), **found}


def files_hash(paths: Iterable[Path]) -> str:
    """One hash over names and contents of files, which may be large."""
    bar = tqdm(sorted(paths), desc="hash", unit="file", delay=2, disable=None, leave=False)
    return _digest("\n".join(f"{path.name} {_file_digest(path)}" for path in bar).encode())


def code_hash(stage: str, root: Path) -> str:
    """One hash over every file of the repository that `stages/<stage>.py` runs, itself included."""
    files = code_files(root / "stages" / f"{stage}.py", root)
    return _digest("\n".join(f"{f.relative_to(root).as_posix()} {_digest(f.read_bytes())}" for f in files).encode())


def code_files(entry: Path, root: Path) -> list[Path]:
    """The import closure of `entry` and the templates that stand beside its modules, sorted."""
    modules = import_closure(entry, root)
    folders = {module.parent for module in modules}
    templates = [path for folder in folders for path in folder.iterdir() if path.suffix in TEMPLATES]
    return sorted([*modules, *templates])


def import_closure(entry: Path, root: Path) -> list[Path]:
    """`entry` and all modules of the repository that it imports, at any depth, sorted.

    Files that hold a docstring only are left out: they cannot change a result.
    """
    found: dict[Path, ast.Module] = {}
    waiting = [entry]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found[path] = ast.parse(path.read_text(encoding="utf-8"))
            waiting.extend(_imported_files(found[path], root))
    return sorted(path for path, module in found.items() if _has_code(module))


def _imported_files(module: ast.Module, root: Path) -> list[Path]:
    files: list[Path] = []
    for node in ast.walk(module):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        files += [file for name in names for file in _module_files(name, root)]
    return files


def _module_files(name: str, root: Path) -> list[Path]:
    """The module's own file and the `__init__.py` of every package above it."""
    parts = name.split(".")
    candidates = [root.joinpath(*parts[:depth], "__init__.py") for depth in range(1, len(parts) + 1)]
    candidates.append(root.joinpath(*parts).with_suffix(".py"))
    return [path for path in candidates if path.is_file()]


def _has_code(module: ast.Module) -> bool:
    return any(not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in module.body)


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:SHORT]
