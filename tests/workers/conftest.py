"""Models for the tests of the workers."""

from pathlib import Path

import pytest

from tests.workers.micro_wan import micro_entry, save_micro_wan
from workers.engine.loaded import LoadedModel, load_model
from workers.models.families.wan import Wan


@pytest.fixture(scope="session")
def micro_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("micro-wan")
    save_micro_wan(folder)
    return folder


@pytest.fixture
def micro(micro_folder: Path) -> LoadedModel:
    """A fresh pipeline for each test: what a test leaves on it must not reach another."""
    return load_model(micro_entry(micro_folder), Wan())
