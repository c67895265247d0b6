"""A copy of the repository in which tests run DVC for real, on the smoke preset."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def copy_repository(target: Path) -> None:
    """Copies all files that Git tracks or would track, with the smoke preset as parameters, and commits them."""
    listed = run(ROOT, "git", "ls-files", "--cached", "--others", "--exclude-standard").stdout.splitlines()
    for name in listed:
        if (ROOT / name).is_file() and name != "dvc.lock" and not name.startswith(("metrics/", "plots/")):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target / name)
    shutil.copyfile(target / "presets/smoke.yaml", target / "params.yaml")
    run(target, "git", "init", "--quiet", "--initial-branch=main")
    run(target, "git", "config", "user.name", "test")  # DVC's experiments are commits too
    run(target, "git", "config", "user.email", "test@localhost")
    commit(target, "copy")


def commit(folder: Path, message: str) -> None:
    """Commits everything."""
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--allow-empty", "--message", message)


def run(folder: Path, *command: str, check: bool = True, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Runs a command there, with this interpreter's programs first on the path."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "DVC_NO_ANALYTICS": "1", **environment}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=env)
    assert not check or done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


def dvc(folder: Path, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
    """Runs `dvc` there."""
    return run(folder, sys.executable, "-m", "dvc", *arguments, check=check)


def stages_run(output: str) -> list[str]:
    """Names of the stages that a `dvc repro` or `dvc exp run` executed, in order."""
    marker = "Running stage '"
    return [line.split(marker)[1].split("'")[0] for line in output.splitlines() if marker in line]


def snapshot(folder: Path, *parts: str) -> dict[str, bytes]:
    """Content of all files below some folders."""
    files = [path for part in parts for path in sorted((folder / part).rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
