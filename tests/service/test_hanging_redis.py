"""A Redis that takes connections and does not answer: every call is answered all the same."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient
from starlette.types import Message

from demo.embedded_redis import EmbeddedRedis
from service.app import create_app
from service.dependencies import Resources
from service.settings import Settings
from service.videos import find
from service.waiting import once_ended
from tests.redis_servers import stopped
from tests.service.calls import create
from tests.waiting import wait_until
from workers.jobs.connection import Connection
from workers.jobs.errors import QueueUnavailable
from workers.jobs.events import START
from workers.jobs.job import Job, JobKey
from workers.jobs.queue import Jobs

MORE_THAN_THREADS = 60  # which are 40, for all calls together


def test_calls_and_probes_are_answered_and_all_is_well_when_it_goes_on(
    settings: Settings, own_redis: EmbeddedRedis
) -> None:
    with TestClient(create_app(settings.model_copy(update={"redis_url": own_redis.url}))) as client:
        video_id = create(client)["id"]
        with stopped(own_redis), ThreadPoolExecutor(MORE_THAN_THREADS) as pool:
            polls = [pool.submit(client.get, f"/v1/videos/{video_id}") for _ in range(MORE_THAN_THREADS)]
            assert client.get("/readyz").json()["checks"]["redis"]["ok"] is False
            assert "scalingcache_queue_up 0.0" in client.get("/metrics").text
            answers = [poll.result() for poll in polls]
        assert {answer.json()["error"]["code"] for answer in answers} == {"queue_unavailable"}
        assert {answer.headers["retry-after"] for answer in answers} == {"1"}
        wait_until(lambda: client.get(f"/v1/videos/{video_id}").status_code == 200)


def test_who_waits_for_a_video_is_answered_in_time(settings: Settings, own_redis: EmbeddedRedis) -> None:
    own = settings.model_copy(update={"redis_url": own_redis.url})
    with TestClient(create_app(own)) as client:
        video_id = create(client)["id"]

    async def stays() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def call() -> None:
        resources = Resources.open(own)
        job = find(resources, "default", video_id)
        await resources.events.read({job.id: START}, 0.001)  # Its connection is there before Redis hangs.
        with stopped(own_redis), pytest.raises(QueueUnavailable):
            async with asyncio.timeout(10):  # Its socket would wait for 15 s.
                await once_ended(resources, job, 0.05, stays)
        assert resources.waiting_calls.borrowed_tokens == 0
        await resources.close()

    asyncio.run(call())


class WaitingJobs(Jobs):
    """Each call waits, and holds its thread, until it is released."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.waiting: list[JobKey] = []
        self.released = threading.Event()

    def get(self, job: JobKey) -> Job:
        self.waiting.append(job)
        assert self.released.wait(60)
        return super().get(job)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_what_machines_ask_is_answered_while_all_threads_wait(settings: Settings, path: str) -> None:
    resources = Resources.open(settings)
    jobs = WaitingJobs(resources.connection)
    app = create_app(settings, replace(resources, jobs=jobs))
    with TestClient(app) as client, ThreadPoolExecutor(MORE_THAN_THREADS) as pool:
        try:
            polls = [pool.submit(client.get, "/v1/videos/video_1") for _ in range(MORE_THAN_THREADS)]
            wait_until(lambda: len(jobs.waiting) == 40)
            assert client.get(path).status_code in (200, 503)
        finally:
            jobs.released.set()
        assert {poll.result().status_code for poll in polls} == {404}
