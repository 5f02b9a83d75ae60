"""The unmodified `openai` client asks a service on a real port for images; and clients that leave."""

import json
import socket
from base64 import b64decode
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx2
import openai
import pytest
import redis
from openai import OpenAI

from demo.embedded_redis import EmbeddedRedis
from service.settings import Settings
from tests.queues import Queue
from tests.service.fake_worker import VIDEO, FakeWorker
from tests.service.image_model import IMAGE_MODEL, MODELS, image_worker, live_image_worker
from tests.service.serving import served
from tests.service.settings import settings_in
from tests.waiting import wait_until
from workers.jobs.job import JobState


@pytest.fixture(scope="module")
def settings(redis_server: EmbeddedRedis, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return settings_in(tmp_path_factory.mktemp("service"), redis_server.url, *MODELS)


@pytest.fixture(scope="module")
def address(settings: Settings) -> Iterator[str]:
    """One process for all tests of this file: each starts on an empty Redis."""
    with served(settings) as service:
        yield service.address


@pytest.fixture
def openai_client(address: str, redis_url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=2) as client:
        yield client


@pytest.fixture
def worker(settings: Settings, redis_url: str, queue: Queue) -> FakeWorker:
    return image_worker(settings, queue)


def test_it_gets_images_in_base64(openai_client: OpenAI, settings: Settings) -> None:
    with live_image_worker(settings):
        made = openai_client.images.generate(
            prompt="a red ball", model=IMAGE_MODEL, n=2, size="128x64", extra_body={"sf": 12, "seed": 7}
        )
    assert made.data is not None and made.created > 0
    assert [b64decode(image.b64_json or "") for image in made.data] == [VIDEO, VIDEO]
    assert [image.seed for image in made.data] == [7, 8]  # type: ignore[attr-defined]  # ours


def test_it_gets_urls_that_can_be_downloaded(openai_client: OpenAI, settings: Settings) -> None:
    with live_image_worker(settings):
        made = openai_client.images.generate(prompt="a red ball", response_format="url")
    assert made.data is not None and made.data[0].url is not None
    assert httpx2.get(made.data[0].url).content == VIDEO


def test_a_failed_image_is_raised_once_and_not_tried_again(
    openai_client: OpenAI, settings: Settings, worker: FakeWorker
) -> None:
    with live_image_worker(settings), pytest.raises(openai.InternalServerError, match="the model refused") as caught:
        openai_client.images.generate(prompt="impossible")
    assert caught.value.code == "generation_failed"
    jobs, _ = worker.queue.jobs.list("default", [IMAGE_MODEL], after=None, limit=10, ascending=True)
    assert len(jobs) == 1


def test_a_client_that_leaves_cancels_its_images(address: str, worker: FakeWorker, redis_url: str) -> None:
    server = urlsplit(address)
    body = json.dumps({"prompt": "a red ball", "n": 3}).encode()
    head = f"POST /v1/images/generations HTTP/1.1\r\nHost: {server.netloc}\r\nContent-Type: application/json\r\n"
    with socket.create_connection((server.hostname, server.port)) as client:
        client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        wait_until(lambda: worker.queue.inspection.depth(IMAGE_MODEL).queued == 3)
        worker.run_one()
        running = worker.claim()
        assert worker.queue.leases.beat(running) == "ok"
    wait_until(lambda: worker.queue.leases.beat(running) == "stop")
    worker.queue.leases.cancel(running)

    def states() -> list[JobState]:
        jobs, _ = worker.queue.jobs.list("default", [IMAGE_MODEL], after=None, limit=10, ascending=True)
        return [job.state for job in jobs]

    wait_until(lambda: sorted(states()) == [JobState.CANCELLED, JobState.CANCELLED, JobState.COMPLETED])
    with redis.Redis.from_url(redis_url) as raw:
        wait_until(
            lambda: raw.info("clients")["blocked_clients"] == 0, awaited="nobody reads events for a client that left"
        )
