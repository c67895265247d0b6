"""What several test files share."""

from pathlib import Path

import pytest

from tests.pipeline import commit, copy_repository, dvc


@pytest.fixture(scope="session")
def smoke_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A committed copy of the repository whose smoke pipeline has been run once. Tests leave it as they find it."""
    folder = tmp_path_factory.mktemp("repository")
    copy_repository(folder)
    dvc(folder, "repro")
    commit(folder, "results")
    return folder
