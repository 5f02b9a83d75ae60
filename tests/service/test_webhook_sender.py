"""The sender on a real Redis with real receivers: what is due goes out, nobody is held up, nothing is lost."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_network
from typing import Any

import pytest
import redis
from openai import OpenAI

from service.addresses import Resolver
from service.settings import Settings
from service.webhook_metrics import WebhookMetrics
from service.webhook_post import Receivers
from service.webhook_secrets import WebhookSecrets
from service.webhook_sender import DELAYS, JITTER, Sender, next_delay
from tests.queues import Queue
from tests.service.fake_worker import MODEL
from tests.service.receiver import Receiver, status
from tests.service.serving import environment
from tests.service.settings import WEBHOOK_SECRET
from tests.workers.factories import a_request
from workers.jobs import keys
from workers.jobs.deliveries import Deliveries, Most, Outbox
from workers.jobs.job import Job, JobKey, Priority, new_job_id

TENANT = "default"


@pytest.fixture
def secrets(queue: Queue) -> WebhookSecrets:
    return WebhookSecrets(queue.connection, WEBHOOK_SECRET.get_secret_value().encode())


@pytest.fixture
def secret(secrets: WebhookSecrets) -> str:
    return secrets.create(TENANT, 0)[1]


@pytest.fixture
def deliveries(queue: Queue) -> Deliveries:
    return Deliveries(queue.connection)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def ended(queue: Queue, url: str, tenant: str = TENANT) -> Job:
    key = JobKey(tenant, new_job_id(MODEL))
    queue.jobs.submit(key, priority=Priority.NORMAL, request=a_request(model=MODEL), metadata={}, webhook_url=url)
    return queue.jobs.cancel(key)


def make_due(redis_url: str) -> None:
    """As if the time to every next attempt, and every lease, had gone by."""
    with redis.Redis.from_url(redis_url, decode_responses=True) as raw:
        for lane in raw.zrange(f"{keys.root(MODEL)}:outbox", 0, -1):
            raw.zadd(f"{keys.root(MODEL)}:outbox", {lane: 1}, xx=True)
            for message in raw.zrange(f"{keys.root(MODEL)}:outbox:{lane}", 0, -1):
                raw.zadd(f"{keys.root(MODEL)}:outbox:{lane}", {message: 1}, xx=True)


@asynccontextmanager
async def sending(queue: Queue, metrics: WebhookMetrics | None = None, **most: int) -> AsyncIterator[Sender]:
    resolver, bounds = Resolver(4), Most(**most)
    root = WEBHOOK_SECRET.get_secret_value().encode()
    async with Receivers([ip_network("127.0.0.0/8")], resolver, most=bounds.in_all) as receivers:
        yield Sender(
            Outbox(queue.connection, most=bounds),
            WebhookSecrets(queue.connection, root),
            receivers,
            lambda: [MODEL],
            metrics or WebhookMetrics(),
        )
    resolver.close()


async def send_all(queue: Queue, metrics: WebhookMetrics | None = None) -> int:
    """One round, to its end."""
    async with sending(queue, metrics) as sender:
        begun = await sender.round()
        await sender.idle()
    return begun


def test_a_message_reaches_its_receiver_signed(
    queue: Queue, receiver: Receiver, secret: str, deliveries: Deliveries
) -> None:
    job, metrics = ended(queue, receiver.url), WebhookMetrics()
    assert asyncio.run(send_all(queue, metrics)) == 1
    got = receiver.next()
    assert got.event(secret)["data"] == {"id": job.id}
    event = OpenAI(api_key="unused", webhook_secret=secret).webhooks.unwrap(got.body, got.headers)
    assert (event.type, event.id, event.data.id) == ("video.cancelled", job.webhook_id, job.id)
    assert deliveries.get(TENANT, job.webhook_id or "").state == "delivered"
    assert asyncio.run(send_all(queue)) == 0
    counted = metrics.registry.get_sample_value("scalingcache_webhook_attempts_total", {"outcome": "delivered"})
    assert counted == 1


def test_a_message_in_vain_is_repeated_with_the_same_id_and_body_and_a_signature_of_its_own_time(
    queue: Queue, receiver: Receiver, secret: str, deliveries: Deliveries, redis_url: str
) -> None:
    job = ended(queue, receiver.url)
    receiver.answer = status(503)
    for _ in range(2):
        asyncio.run(send_all(queue))
        assert asyncio.run(send_all(queue)) == 0, "it is not due yet"
        make_due(redis_url)
    receiver.answer = status(200)
    asyncio.run(send_all(queue))
    got = [receiver.next() for _ in range(3)]
    assert len({(each.headers["webhook-id"], each.body) for each in got}) == 1
    assert all(each.event(secret)["data"] == {"id": job.id} for each in got)
    shown = deliveries.get(TENANT, job.webhook_id or "")
    assert (shown.state, shown.attempts, shown.status) == ("delivered", 3, 200)


def test_a_receiver_that_is_gone_is_not_asked_again(
    queue: Queue, receiver: Receiver, secret: str, deliveries: Deliveries
) -> None:
    job = ended(queue, receiver.url)
    receiver.answer = status(410)
    asyncio.run(send_all(queue))
    assert deliveries.get(TENANT, job.webhook_id or "").state == "failed"


def test_a_message_is_given_up_after_the_last_attempt(
    queue: Queue, receiver: Receiver, secret: str, deliveries: Deliveries, redis_url: str
) -> None:
    job = ended(queue, receiver.url)
    receiver.answer = status(500)
    with redis.Redis.from_url(redis_url) as raw:
        raw.hset(keys.delivery(job.webhook_id or ""), "attempts", len(DELAYS))
    asyncio.run(send_all(queue))
    shown = deliveries.get(TENANT, job.webhook_id or "")
    assert (shown.state, shown.attempts) == ("failed", len(DELAYS) + 1)


def test_without_a_secret_nothing_is_sent_unsigned(queue: Queue, receiver: Receiver, deliveries: Deliveries) -> None:
    job = ended(queue, receiver.url)
    asyncio.run(send_all(queue))
    shown = deliveries.get(TENANT, job.webhook_id or "")
    assert shown.state == "pending" and "no secret" in (shown.error or "")
    assert receiver.got.empty()


def test_the_delays_grow_and_are_a_day_in_all() -> None:
    delays = [next_delay(attempts, 500) for attempts in range(1, len(DELAYS) + 2)]
    assert delays[-1] is None
    taken = [delay for delay in delays if delay is not None]
    assert taken == sorted(taken) and sum(taken) == 86_400
    assert next_delay(1, 410) is None and next_delay(1, None) == DELAYS[0]
    assert 0 < JITTER < 1


def test_a_receiver_that_hangs_holds_up_its_own_messages_alone(queue: Queue, secret: str) -> None:
    ends = threading.Event()

    def hang(handler: BaseHTTPRequestHandler) -> None:
        ends.wait(60)

    async def send() -> int:
        async with sending(queue, in_all=8, of_lane=2, of_tenant=8) as sender:
            assert await sender.round() == 2 + 1
            await asyncio.to_thread(fast.next)
            more = ended(queue, fast.url)
            begun = 0
            while not begun:  # The first of the fast receiver is being recorded.
                begun = await sender.round()
            assert (await asyncio.to_thread(fast.next)).event(secret)["data"] == {"id": more.id}
            ends.set()
            await sender.idle()
        return begun

    with Receiver(hang) as slow, Receiver() as fast:
        for _ in range(5):
            ended(queue, slow.url)
        ended(queue, fast.url)
        try:
            assert asyncio.run(send()) == 1
        finally:
            ends.set()


def test_a_sender_that_is_asked_to_end_ends_what_it_has_begun(
    queue: Queue, secret: str, receiver: Receiver, deliveries: Deliveries
) -> None:
    job, goes_on = ended(queue, receiver.url), threading.Event()

    def slow(handler: BaseHTTPRequestHandler) -> None:
        goes_on.wait(60)
        status(200)(handler)

    async def run() -> None:
        stopping = asyncio.Event()
        async with sending(queue) as sender:
            running = asyncio.create_task(sender.run(stopping))
            await asyncio.to_thread(receiver.next)
            stopping.set()
            goes_on.set()
            await running

    receiver.answer = slow
    asyncio.run(run())
    assert deliveries.get(TENANT, job.webhook_id or "").state == "delivered"


class Process:
    """`python -m service webhooks`, its log read line by line."""

    def __init__(self, settings: Settings) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "service", "webhooks"], env=environment(settings), stdout=subprocess.PIPE, text=True
        )

    def line(self, event: str) -> dict[str, Any]:
        """The next line of its log that says so."""
        assert self.process.stdout is not None
        for text in self.process.stdout:
            line: dict[str, Any] = json.loads(text)
            if line["event"] == event:
                return line
        raise AssertionError(f"it ended without {event!r}")


@contextmanager
def process(settings: Settings) -> Iterator[Process]:
    started = Process(settings)
    try:
        yield started
    finally:
        started.process.kill()
        started.process.wait(60)
        assert started.process.stdout is not None
        started.process.stdout.close()


def test_a_sender_killed_between_sending_and_recording_has_lost_nothing(
    settings: Settings, queue: Queue, secret: str, receiver: Receiver, deliveries: Deliveries
) -> None:
    job, goes_on = ended(queue, receiver.url), threading.Event()
    receiver.answer = lambda _: bool(goes_on.wait(60)) and None
    with process(settings) as first:
        got = receiver.next()
        os.kill(first.process.pid, signal.SIGKILL)
        first.process.wait(60)
    goes_on.set()
    receiver.answer = status(200)
    assert deliveries.get(TENANT, job.webhook_id or "").state == "sending"
    make_due(settings.redis_url)  # The lease of the dead one ends.
    with process(settings.model_copy(update={"webhook_metrics_port": 0})) as second:
        again = receiver.next()
        assert second.line("delivery")["state"] == "delivered"
        second.process.terminate()
        second.line("ended")
        assert second.process.wait(60) == 0
    assert again.headers["webhook-id"] == got.headers["webhook-id"] == job.webhook_id
    assert again.event(secret) == got.event(secret)
    assert deliveries.get(TENANT, job.webhook_id or "").attempts == 2


def test_its_health_is_that_it_looks_for_messages() -> None:
    clock = iter([0.0, 5.0, 65.0])
    metrics = WebhookMetrics(lambda: next(clock))
    metrics.round_done(0)
    assert metrics.registry.get_sample_value("scalingcache_webhook_round_age_seconds") == 60.0


def test_the_process_says_what_it_does_to_prometheus_and_to_its_container(settings: Settings) -> None:
    with process(settings.model_copy(update={"webhook_metrics_port": 0})) as sender:
        port = sender.line("sending")["metrics_port"]
        healthy = environment(settings.model_copy(update={"webhook_metrics_port": port}))
        check = [sys.executable, "-m", "service", "webhooks", "health"]
        assert subprocess.run(check, env=healthy, capture_output=True, text=True, timeout=60).stdout == "ok\n"
    gone = subprocess.run(check, env=healthy, capture_output=True, text=True, timeout=60)
    assert gone.returncode == 1 and "does not answer" in gone.stderr


def test_without_a_secret_to_derive_from_it_does_not_start(settings: Settings) -> None:
    values = environment(settings.model_copy(update={"webhook_secret": None}))
    command = [sys.executable, "-m", "service", "webhooks"]
    ended = subprocess.run(command, env=values, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert ended.stderr == "service: SCALINGCACHE_WEBHOOK_SECRET is not set: nothing could be signed\n"
