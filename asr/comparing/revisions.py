"""Predictions of any Git revision or DVC experiment, read without touching the workspace."""

import json
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from asr.comparing.systems import Normalizer, System, read_pairs
from asr.errors import UserError
from asr.params import load_params

WORKSPACE = "workspace"
METRICS = "metrics/evaluate.json"
PREDICTIONS = "data/predictions/{split}.jsonl"


@dataclass(frozen=True)
class _Source:
    """Where one system's texts come from, and the texts."""

    name: str
    predictions: str
    metrics: str | None
    """None for predictions that stand alone."""


def read_systems(names: tuple[str, str], split: str, params: Path) -> tuple[System, System]:
    """Both systems of a comparison.

    Predictions given as a path name no normaliser. They are taken to be for the language and the number option of the
    other system, or of the parameter file when both are paths.

    Args:
        names: each a revision, tag, branch or experiment, the word `workspace`, a file of predictions, or a folder
            that holds such a file.
        split: `test` or `validation`.
        params: the parameter file, read for two paths only.

    Raises:
        UserError: nothing of that name, nothing stored under it, or other content than evaluate writes.
    """
    first, second = (_source(name, split) for name in names)
    a, b = _normalizer(first, split), _normalizer(second, split)
    like = a or b or _declared(params)
    here = Normalizer.here(like.language, like.numbers)
    return _system(first, a or here), _system(second, b or here)


def _source(name: str, split: str) -> _Source:
    if name == WORKSPACE:
        return _Source(name, _text(Path(PREDICTIONS.format(split=split))), _text(Path(METRICS)))
    for path in (Path(name), Path(name, f"{split}.jsonl")):
        if name and path.is_file():
            return _Source(name, _text(path), None)
    return _revision(name, split)


def _revision(name: str, split: str) -> _Source:
    commit = _commit(name)
    metrics = _stored(METRICS, commit)
    if metrics is None:
        raise UserError(
            f"{name}: {METRICS} is not in this revision, so nothing was evaluated there; run `dvc repro` in it and "
            "commit, or `dvc exp run`"
        )
    place = PREDICTIONS.format(split=split)
    predictions = _stored(place, commit)
    if predictions is None:
        raise UserError(
            f"{name}: {place} of this revision is neither in the cache nor in the default remote; "
            "`dvc fetch --all-commits --remote NAME` brings it from another, `dvc repro` (of an experiment "
            "`dvc exp run`) makes it anew"
        )
    return _Source(name, predictions, metrics)


def _commit(name: str) -> str:
    """The commit of a revision or an experiment, as DVC itself resolves names."""
    from dvc.scm import SCM, RevError, SCMError, resolve_rev
    from scmrepo.exceptions import SCMError as GitError

    try:
        repository = SCM(".")
    except SCMError as error:
        raise UserError(f"{name}: no such file, and no Git repository here to look for a revision in") from error
    try:
        if name:
            # A name such as HEAD:README.md is resolved to a file's hash: ask for the commit.
            return str(repository.resolve_rev(f"{resolve_rev(repository, name)}^{{commit}}"))
        raise RevError("an empty name")
    except (RevError, GitError, ValueError) as error:
        raise UserError(f"{name!r}: {_unknown(repository, name)}") from error


def _unknown(repository: Any, name: str) -> str:
    from dvc.repo.experiments.utils import exp_refs

    experiments = [ref.name for ref in exp_refs(repository) if ref.name]
    names = {*repository.list_branches(), *repository.list_tags(), *experiments, WORKSPACE}
    near = get_close_matches(name, sorted(names), n=3)
    advice = f"near names: {', '.join(near)}" if near else "`git log`, `git tag` and `dvc exp list` show names"
    return f"no revision, experiment or file of predictions of this name, or not one alone; {advice}"


def _stored(path: str, commit: str) -> str | None:
    """A file of a commit, from Git, the cache or a remote, in this order; None where it is in none of them."""
    import dvc.api
    from dvc.config import Config
    from dvc.exceptions import DvcException, FileMissingError, PathMissingError
    from dvc_data.index import DataIndexDirError

    place = f"{path} of commit {commit[:7]}"
    try:
        # Of today's configuration: the commit may be older than the remote.
        remote = Config.from_cwd()["core"].get("remote")
        with dvc.api.open(path, rev=commit, remote=remote, mode="rb") as file:
            return _decoded(file.read(), place)
    except (FileMissingError, PathMissingError):
        return None
    except DataIndexDirError as error:
        if isinstance(error.__cause__, FileNotFoundError):  # the list of a folder's files is stored as a file itself
            return None
        raise _unreadable(place, error.__cause__ or error) from error
    except (DvcException, OSError) as error:
        raise _unreadable(place, error) from error


def _unreadable(place: str, error: BaseException) -> UserError:
    reason = " ".join(str(error).split())
    return UserError(f"{place}: cannot be read: {reason}; `dvc fetch` may tell more")


def _text(path: Path) -> str:
    try:
        return _decoded(path.read_bytes(), str(path))
    except FileNotFoundError as error:
        raise UserError(f"{path}: missing; `dvc repro` writes it, `dvc checkout` may bring it back") from error


def _decoded(content: bytes, place: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{place}: not UTF-8 ({error}); write it anew") from error


def _normalizer(source: _Source, split: str) -> Normalizer | None:
    if source.metrics is None:
        return None
    try:
        metrics = json.loads(source.metrics)
    except ValueError as error:
        raise UserError(f"{source.name}: {METRICS} is not JSON ({error}); `dvc repro evaluate` writes it") from error
    return Normalizer.of(metrics, split, f"{source.name}: {METRICS}")


def _declared(params: Path) -> Normalizer:
    data = load_params(params).data
    return Normalizer.here(data.language, data.numbers)


def _system(source: _Source, normalizer: Normalizer) -> System:
    return System(source.name, read_pairs(source.predictions, source.name), normalizer)
