"""A worker whose model takes no time, and a Redis for it."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from demo.embedded_redis import EmbeddedRedis
from tests.catalogues import a_model, catalogue_text
from tests.queues import Queue
from tests.workers.factories import MODEL
from tests.workers.process.stand_in import HOLD
from tests.workers.process.worker_process import WorkerProcess

STAND_IN = "tests.workers.process.stand_in"


@pytest.fixture
def queue(own_redis: EmbeddedRedis) -> Iterator[Queue]:
    queue = Queue.open(own_redis.url, lease_seconds=2)
    yield queue
    queue.close()


@pytest.fixture
def hold(tmp_path: Path) -> Path:
    """While it is there, jobs stay at their first step."""
    file = tmp_path / "artifacts" / HOLD
    file.parent.mkdir()
    file.touch()
    return file


@pytest.fixture
def start(own_redis: EmbeddedRedis, tmp_path: Path) -> Callable[..., WorkerProcess]:
    """Starts a worker, of a model with such fields; to be used as a context manager."""
    catalogue = tmp_path / "models.toml"

    def worker(entry: Mapping[str, Any] = MappingProxyType({}), **settings: object) -> WorkerProcess:
        catalogue.write_text(catalogue_text(a_model(MODEL, **entry)))
        return WorkerProcess(STAND_IN, own_redis.url, tmp_path, catalogue=catalogue, **settings)

    return worker
