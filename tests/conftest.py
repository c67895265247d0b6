"""What several test files share."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that spin while they wait slow down what runs beside them

from pathlib import Path

import pytest
from hypothesis import settings

from tests.pipeline import commit, copy_repository, dvc

settings.register_profile("repository", deadline=None)  # a busy machine makes nothing wrong
settings.load_profile("repository")


@pytest.fixture(scope="session")
def smoke_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A committed copy of the repository whose smoke pipeline has been run once. Tests leave it as they find it."""
    folder = tmp_path_factory.mktemp("repository")
    copy_repository(folder)
    dvc(folder, "repro")
    commit(folder, "results")
    return folder
