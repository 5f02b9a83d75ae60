"""A study of two prompts with three settings, whose it is, and somebody who was invited to it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.settings import Settings
from tests.service.accounts import a_key, bearer, with_keys
from tests.service.calls import create
from tests.service.fake_worker import FakeWorker
from tests.service.image_model import MODELS
from tests.service.judged import Judged
from tests.service.settings import settings_in
from tests.service.study_calls import answer, invite


@pytest.fixture
def settings(tmp_path: Path, redis_url: str) -> Settings:
    return with_keys(settings_in(tmp_path, redis_url, *MODELS), tmp_path)


@pytest.fixture
def acme(settings: Settings, client: TestClient) -> TestClient:
    client.headers |= bearer(a_key(settings))
    return client


@pytest.fixture
def ids(acme: TestClient, worker: FakeWorker) -> list[str]:
    """Two prompts, each uncached and with two `sf`."""
    made = [create(acme, prompt=prompt, seed=3, sf=sf)["id"] for prompt in ("a ball", "a cube") for sf in (50, 10, 6)]
    Judged(worker).finish_all(len(made))
    return made


@pytest.fixture
def study(acme: TestClient, ids: list[str]) -> dict[str, Any]:
    return answer(acme.post("/v1/studies", json={"name": "which sf", "ids": ids}))


@pytest.fixture
def guest(acme: TestClient, study: dict[str, Any]) -> Iterator[TestClient]:
    """Somebody who has an invitation and no key."""
    with TestClient(acme.app, headers=bearer(invite(acme, study)["token"])) as client:
        yield client
