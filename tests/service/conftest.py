"""The service in process, on a real Redis, with a catalogue of the tests' own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from tests.queues import Queue
from tests.service.fake_worker import FakeWorker
from tests.service.settings import settings_in
from workers.jobs.artifacts import ArtifactStore


@pytest.fixture
def settings(tmp_path: Path, redis_url: str) -> Settings:
    return settings_in(tmp_path, redis_url)


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings)) as client:
        yield client


@pytest.fixture
def queue(settings: Settings) -> Iterator[Queue]:
    """The same queue as a worker sees it."""
    queue = Queue.open(settings.redis_url)
    yield queue
    queue.close()


@pytest.fixture
def worker(settings: Settings, queue: Queue) -> FakeWorker:
    return FakeWorker(queue, ArtifactStore(settings.artifacts))
