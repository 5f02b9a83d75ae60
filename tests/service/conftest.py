"""The service in process, on a real Redis, with a catalogue of the tests' own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from tests.queues import Queue
from tests.service.fake_worker import FakeWorker
from workers.jobs.artifacts import ArtifactStore

CATALOGUE = """
[models.wan-test]
family = "wan"
source = "nowhere"
device = "cpu"
dtype = "float32"
coefficients = "nowhere.json"

[models.wan-test.defaults]
width = 96
height = 64
frames = 33
fps = 16
steps = 50
sf = 10
guidance = 5.0
flow_shift = 1.0
negative_prompt = "blurry"
max_sequence_length = 64

[models.wan-test.limits]
max_width = 128
max_height = 128
max_frames = 49
max_steps = 100
"""


def settings_in(folder: Path, redis_url: str, models: str = CATALOGUE) -> Settings:
    catalogue = folder / "models.toml"
    catalogue.write_text(models)
    (artifacts := folder / "artifacts").mkdir()
    return Settings(redis_url=redis_url, artifacts=artifacts, catalogue=catalogue, port=0)


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
