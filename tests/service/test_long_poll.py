"""`GET /v1/videos/{id}?wait=seconds` answers when the video has ended, and holds nothing once its client has left."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import redis
from anyio import CapacityLimiter
from fastapi.testclient import TestClient
from starlette.requests import ClientDisconnect
from starlette.types import Message

from service.app import create_app
from service.dependencies import Resources
from service.settings import Settings
from service.videos import find
from service.waiting import MOST_WAIT_SECONDS, once_ended
from tests.service.calls import create
from tests.service.fake_worker import FakeWorker
from tests.waiting import wait_until
from workers.jobs.connection import Connection
from workers.jobs.job import Job, JobKey, JobState
from workers.jobs.queue import Jobs


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    """With room for one call that waits."""
    resources = replace(Resources.open(settings), waiting_calls=CapacityLimiter(1))
    with TestClient(create_app(settings, resources)) as client:
        yield client


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def waits(client: TestClient, video: dict[str, Any], seconds: float = MOST_WAIT_SECONDS) -> Any:
    return client.get(f"/v1/videos/{video['id']}", params={"wait": seconds})


def reading(redis_url: str) -> bool:
    """Whether somebody waits for events."""
    with redis.Redis.from_url(redis_url) as raw:
        return any(each["cmd"] == "xread" and "b" in each["flags"] for each in raw.client_list())


def test_it_answers_when_the_video_is_completed_and_not_at_each_step(
    client: TestClient, worker: FakeWorker, pool: ThreadPoolExecutor, settings: Settings
) -> None:
    video = create(client)
    waiting = pool.submit(waits, client, video)
    wait_until(lambda: reading(settings.redis_url))
    attempt = worker.claim()
    worker.queue.leases.beat(attempt, "denoise", 7)
    wait_until(lambda: reading(settings.redis_url))
    assert not waiting.done()
    worker.complete(attempt)
    assert waiting.result(60).json()["status"] == "completed"


@pytest.mark.parametrize("call", ["cancel", ""])
def test_it_answers_when_the_video_is_cancelled_or_deleted(
    client: TestClient, worker: FakeWorker, pool: ThreadPoolExecutor, settings: Settings, call: str
) -> None:
    video = create(client)
    waiting = pool.submit(waits, client, video)
    wait_until(lambda: reading(settings.redis_url))
    client.request("POST" if call else "DELETE", f"/v1/videos/{video['id']}/{call}".rstrip("/"))
    answer = waiting.result(60)
    assert answer.status_code == (200 if call else 404)


def test_one_that_has_ended_is_shown_at_once(client: TestClient, worker: FakeWorker) -> None:
    video = create(client)
    worker.run_one()
    assert waits(client, video).json()["progress"] == 100


def test_after_its_time_the_video_is_shown_as_it_stands(client: TestClient) -> None:
    answer = waits(client, create(client), 0.05)
    assert (answer.status_code, answer.json()["status"]) == (200, "queued")


@pytest.mark.parametrize("wait", ["-1", str(MOST_WAIT_SECONDS + 1), "nan", "inf", "soon"])
def test_a_wait_without_a_bound_is_refused(client: TestClient, wait: str) -> None:
    answer = client.get(f"/v1/videos/{create(client)['id']}", params={"wait": wait})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "wait")


def test_one_more_than_may_wait_is_told_to_come_back(
    client: TestClient, pool: ThreadPoolExecutor, settings: Settings
) -> None:
    video = create(client)
    waiting = pool.submit(waits, client, video)
    wait_until(lambda: reading(settings.redis_url))
    refused = waits(client, video)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
    assert client.get(f"/v1/videos/{video['id']}").status_code == 200, "it does not wait"
    client.post(f"/v1/videos/{video['id']}/cancel")
    waiting.result(60)
    assert waits(client, video).status_code == 200


def test_a_client_that_leaves_is_not_waited_for(client: TestClient, settings: Settings) -> None:
    video = create(client)

    async def call() -> None:
        resources, gone = Resources.open(settings), asyncio.Event()
        job = find(resources, "default", video["id"])
        waiting = asyncio.create_task(once_ended(resources, job, MOST_WAIT_SECONDS, leaves(gone)))
        await asyncio.to_thread(wait_until, lambda: reading(settings.redis_url))
        gone.set()
        with pytest.raises(ClientDisconnect):
            await waiting
        assert resources.waiting_calls.borrowed_tokens == 0
        await resources.close()

    asyncio.run(call())
    wait_until(lambda: not reading(settings.redis_url))


def test_one_that_has_ended_meanwhile_is_read_once(client: TestClient, worker: FakeWorker, settings: Settings) -> None:
    video = create(client)

    async def call() -> None:
        resources = Resources.open(settings)
        jobs = CountedJobs(resources.connection)
        job = find(resources, "default", video["id"])
        await asyncio.to_thread(worker.run_one)
        ended = await once_ended(replace(resources, jobs=jobs), job, MOST_WAIT_SECONDS, leaves(asyncio.Event()))
        assert (ended.state, jobs.read) == (JobState.COMPLETED, [job.key])
        await resources.close()

    asyncio.run(call())


class CountedJobs(Jobs):
    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.read: list[JobKey] = []

    def get(self, job: JobKey) -> Job:
        self.read.append(job)
        return super().get(job)


def leaves(gone: asyncio.Event) -> Callable[[], Awaitable[Message]]:
    async def receive() -> Message:
        await gone.wait()
        return {"type": "http.disconnect"}

    return receive
