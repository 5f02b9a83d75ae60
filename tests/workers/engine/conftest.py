"""Every kind of checkpoint that the families serve, loaded afresh for each test."""

from pathlib import Path

import pytest

from tests.workers.engine.variants import VARIANTS, Variant
from workers.engine.loaded import LoadedModel, load_model
from workers.jobs.job import GenerationRequest
from workers.models.catalogue import families


@pytest.fixture(scope="module", params=VARIANTS.values(), ids=list(VARIANTS))
def variant(request: pytest.FixtureRequest) -> Variant:
    variant: Variant = request.param
    return variant


@pytest.fixture(scope="module")
def folder(variant: Variant, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint")
    variant.save(folder)
    return folder


@pytest.fixture
def model(variant: Variant, folder: Path) -> LoadedModel:
    entry = variant.entry(folder)
    return load_model(entry, families()[entry.family])


@pytest.fixture
def asked(variant: Variant, model: LoadedModel) -> GenerationRequest:
    return variant.request(model)
