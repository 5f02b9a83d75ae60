"""The service as its own process on a real Redis, with workers that have no model: what is fuzzed."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from demo.embedded_redis import EmbeddedRedis
from service.accounts import Scope
from service.settings import Settings
from tests.queues import Queue
from tests.service.accounts import a_key, bearer, with_keys
from tests.service.fake_worker import FakeWorker
from tests.service.image_model import MODELS, image_worker
from tests.service.judged import Judged
from tests.service.serving import served
from tests.service.settings import settings_in
from workers.jobs.artifacts import ArtifactStore


@dataclass(frozen=True)
class Target:
    """url: its address. key: of every scope. invitation: to a study. process: the service's, to see what it holds."""

    url: str
    key: str
    invitation: str
    process: psutil.Process

    @property
    def headers(self) -> dict[str, str]:
        """Of whoever has the key."""
        return bearer(self.key)

    @property
    def megabytes(self) -> float:
        """What the service holds in memory."""
        return float(self.process.memory_info().rss) / 2**20


@contextmanager
def running_target(redis: EmbeddedRedis, folder: Path, **changes: Any) -> Iterator[Target]:
    """It serves while the block runs, and completes what is made at once. changes: of its settings."""
    settings = with_keys(settings_in(folder, redis.url, *MODELS), folder).model_copy(update=changes)
    key = a_key(settings, "acme", *Scope)
    with ExitStack() as undo:
        service = undo.enter_context(served(settings))
        invitation = _invitation(settings, service.address, key)
        for image in (False, True):
            undo.enter_context(_working(settings, image=image))
        yield Target(service.address, key, invitation, psutil.Process(service.pid))


def _invitation(settings: Settings, url: str, key: str) -> str:
    """To a study of two videos."""
    queue = Queue.open(settings.redis_url)
    with closing(queue), httpx.Client(base_url=url, headers=bearer(key), timeout=60) as client:

        def made(path: str, **body: Any) -> Any:
            return client.post(path, json=body).raise_for_status().json()

        ids = [made("/v1/videos", prompt="a red ball", seed=3, sf=sf)["id"] for sf in (50, 10)]
        Judged(FakeWorker(queue, ArtifactStore(settings.artifacts))).finish_all(2)
        study = made("/v1/studies", name="which", ids=ids)["id"]
        return str(made(f"/v1/studies/{study}/invitations")["token"])


@contextmanager
def _working(settings: Settings, *, image: bool) -> Iterator[None]:
    """A worker that is announced, and completes one job after the other in a thread."""
    queue, stop = Queue.open(settings.redis_url), threading.Event()
    worker = image_worker(settings, queue) if image else FakeWorker(queue, ArtifactStore(settings.artifacts))
    worker.name = f"worker-{worker.model}"

    def work() -> None:
        while not stop.is_set():
            worker.announce()
            if attempt := queue.leases.claim([worker.model], worker.name):
                worker.complete(attempt)
            else:
                queue.leases.wait([worker.model], 0.2)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        queue.close()
