"""Both processes of the service are replaced while clients submit: nothing is lost, and nothing made twice."""

import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from demo.embedded_redis import EmbeddedRedis
from service.settings import Settings
from tests.queues import Queue
from tests.service.fake_worker import MODEL, FakeWorker
from tests.service.serving import Served, served
from tests.service.settings import settings_in
from tests.waiting import wait_until
from workers.jobs.artifacts import ArtifactStore

pytestmark = pytest.mark.slow
CLIENTS = 6
#: What a client of a service that is being replaced may meet, and tries again.
PASSING = {502, 503, 504}


class Replicas:
    """The processes that take requests, as a load balancer knows them."""

    def __init__(self, settings: Settings, count: int) -> None:
        self._settings, self._undo = settings, ExitStack()
        self._serving = [self._start() for _ in range(count)]

    @property
    def addresses(self) -> list[str]:
        return [each.address for each in self._serving]

    def replace(self) -> None:
        """A new process takes the place of the oldest, which ends as an orchestrator ends it."""
        new = self._start()
        assert httpx.get(f"{new.address}/healthz", timeout=60).is_success
        oldest, *others = self._serving
        self._serving = [*others, new]
        oldest.end()

    def close(self) -> None:
        self._undo.close()

    def _start(self) -> Served:
        return self._undo.enter_context(served(self._settings))


@pytest.fixture
def settings(own_redis: EmbeddedRedis, tmp_path: Path) -> Settings:
    return settings_in(tmp_path, own_redis.url)


@pytest.fixture
def replicas(settings: Settings) -> Iterator[Replicas]:
    replicas = Replicas(settings, 2)
    yield replicas
    replicas.close()


@pytest.fixture
def working(settings: Settings) -> Iterator[None]:
    queue, stop = Queue.open(settings.redis_url), threading.Event()
    worker = FakeWorker(queue, ArtifactStore(settings.artifacts))

    def work() -> None:
        while not stop.is_set():
            if attempt := queue.leases.claim([MODEL], worker.name):
                worker.complete(attempt)
            else:
                queue.leases.wait([MODEL], 0.2)

    thread = threading.Thread(target=work)
    thread.start()
    yield
    stop.set()
    thread.join()
    queue.close()


class Client:
    """Asks the processes in turn, and again where one was just going, as clients behind a load balancer do."""

    def __init__(self, replicas: Replicas) -> None:
        self._replicas, self._http, self._turn = replicas, httpx.Client(timeout=60), 0

    def ask(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        while True:
            addresses = self._replicas.addresses
            self._turn += 1
            try:
                response = self._http.request(method, f"{addresses[self._turn % len(addresses)]}{path}", **options)
            except httpx.TransportError:
                continue  # The process has gone; another one is there.
            if response.status_code not in PASSING:
                assert response.status_code == 200, response.text
                return dict(response.json())

    def submit_until(self, done: threading.Event) -> list[str]:
        """The ids of what was accepted: one after the other, each with a key of its own, and waited for."""
        accepted: list[str] = []
        with self._http:
            while not done.is_set() or not accepted:
                key = secrets.token_hex(8)
                video = self.ask("POST", "/v1/videos", json={"prompt": key}, headers={"idempotency-key": key})
                assert video["prompt"] == key
                accepted.append(video["id"])
                self.ask("GET", f"/v1/videos/{video['id']}", params={"wait": 20})
        return accepted


def test_a_rolling_restart_under_load_loses_nothing(replicas: Replicas, working: None) -> None:
    before, restarted = set(replicas.addresses), threading.Event()
    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(Client(replicas).submit_until, restarted) for _ in range(CLIENTS)]
        for _ in before:
            replicas.replace()
        restarted.set()
        accepted = [video_id for client in clients for video_id in client.result()]
    assert before.isdisjoint(replicas.addresses)
    assert len(set(accepted)) == len(accepted) > CLIENTS

    with httpx.Client(base_url=replicas.addresses[0], timeout=60) as client:

        def listed() -> dict[str, str]:
            """The status of each video."""
            found: dict[str, str] = {}
            page = {"has_more": True, "last_id": None}
            while page["has_more"]:
                after = {"after": page["last_id"]} if page["last_id"] else {}
                page = client.get("/v1/videos", params={"limit": 100, **after}).raise_for_status().json()
                found |= {video["id"]: video["status"] for video in page["data"]}
            return found

        wait_until(lambda: set(listed().values()) == {"completed"}, awaited="all of it is completed")
        assert listed().keys() == set(accepted), "each was made once, and no other"
