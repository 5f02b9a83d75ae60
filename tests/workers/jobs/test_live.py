"""What happens to jobs, heard as it happens by who listens."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

import pytest
import redis
from redis.asyncio.client import PubSub

from demo.embedded_redis import EmbeddedRedis
from tests.queues import Queue
from tests.redis_servers import every_redis, stopped
from tests.waiting import wait_until
from tests.workers.factories import TENANT, a_report, an_artifact, submit
from tests.workers.jobs.leases import claim
from tests.workers.jobs.shared import shared, two
from workers.jobs import keys
from workers.jobs.errors import QueueUnavailable
from workers.jobs.events import START, Events
from workers.jobs.job import JobKey, JobState, Misprediction
from workers.jobs.leases import MOST_PICTURE_BYTES, StepDetails
from workers.jobs.live import LiveEvent, LiveEvents

pytestmark = every_redis

Result = TypeVar("Result")


def listening(
    url: str, question: Callable[[AsyncIterator[LiveEvent]], Awaitable[Result]], silence_seconds: float = 10.0
) -> Result:
    async def run() -> Result:
        async with LiveEvents(url, silence_seconds=silence_seconds).listening() as events:
            return await question(events)

    return asyncio.run(run())


def test_a_job_is_heard_from_its_submission_to_its_end_as_its_own_stream_tells_it(queue: Queue, redis_url: str) -> None:
    async def hear(events: AsyncIterator[LiveEvent]) -> list[LiveEvent]:
        def live() -> str:
            job = submit(queue)
            attempt = claim(queue)
            shown = StepDetails("FP", 0.5, [Misprediction(step=0, expected=0.1, measured=0.2)])
            queue.leases.beat(attempt, "denoise", 2, shown)
            queue.leases.beat(attempt, "decode", 3, StepDetails("FPF", 0.5))
            queue.leases.complete(attempt, an_artifact(), a_report())
            return job.id

        job_id = await asyncio.to_thread(live)
        heard = [await anext(events) for _ in range(7)]
        kept = Events(redis_url)
        history = await kept.history(job_id, START)
        assert [event.id for event in heard[1:]] == [event.id for event in history]
        assert [event.model_dump(exclude={"tenant"}) for event in heard[1:]] == [
            event.model_dump() for event in history
        ]
        assert await kept.last(job_id) == heard[-1].id
        assert await kept.history(job_id, heard[-2].id) == history[-1:]
        await kept.close()
        return heard

    heard = listening(redis_url, hear)
    assert {event.tenant for event in heard} == {TENANT} and len({event.job_id for event in heard}) == 1
    told = [(event.type, event.state or event.stage or event.decisions) for event in heard]
    assert told == [
        ("state", JobState.QUEUED),
        ("state", JobState.RUNNING),
        ("stage", "denoise"),
        ("step", "FP"),
        ("step", "F"),  # the steps since the last, and before the stage that follows them
        ("stage", "decode"),
        ("state", JobState.COMPLETED),
    ]
    assert [(event.step, event.full_steps, event.full_step_seconds) for event in heard[3:5]] == [
        (2, 1, 0.5),
        (3, 2, 0.5),
    ]
    assert [each.measured for each in heard[3].mispredictions] == [0.2]


def test_that_a_job_is_deleted_is_heard(queue: Queue, redis_url: str) -> None:
    async def hear(events: AsyncIterator[LiveEvent]) -> list[str]:
        job = submit(queue)
        queue.jobs.delete(job.key)
        return [(await anext(events)).type for _ in range(2)]

    assert listening(redis_url, hear) == ["state", "deleted"]


def test_a_preview_is_kept_until_the_next_or_until_the_attempt_is_over_for_its_tenant_alone(
    queue: Queue, raw: "redis.Redis"
) -> None:
    job = submit(queue)
    first = claim(queue)
    queue.leases.show(first, 3, b"picture")
    assert queue.jobs.preview(job.key) == (3, "cGljdHVyZQ==")
    assert queue.jobs.preview(JobKey("another", job.id)) is None
    assert 0 < raw.ttl(keys.preview(job.id)) <= 600
    queue.leases.show(first, 4, b"x" * (MOST_PICTURE_BYTES + 1))
    assert queue.jobs.preview(job.key) == (3, "cGljdHVyZQ=="), "one that is too large is not kept"
    queue.leases.release(first)
    assert queue.jobs.preview(job.key) is None
    second = claim(queue)
    queue.leases.show(first, 5, b"late")
    assert queue.jobs.preview(job.key) is None
    queue.leases.show(second, 1, b"new")
    queue.leases.complete(second, an_artifact(), a_report())
    queue.leases.show(second, 2, b"late")
    assert queue.jobs.preview(job.key) is None and not raw.exists(keys.preview(job.id))


def test_a_preview_is_kept_once_for_all_that_share_the_computation(queue: Queue, raw: "redis.Redis") -> None:
    first, second = two(queue)
    attempt = claim(queue)
    queue.leases.show(attempt, 3, b"picture")
    third = shared(queue)
    jobs = first, second, third
    assert {queue.jobs.preview(job.key) for job in jobs} == {(3, "cGljdHVyZQ==")}
    assert len([*raw.scan_iter("*:preview:*")]) == 1
    queue.jobs.cancel(third.key)
    assert queue.jobs.preview(third.key) is None, "it has ended"
    queue.jobs.delete(first.key)
    assert [queue.jobs.preview(job.key) for job in jobs] == [None] * 3, "another begins anew"


def test_what_cannot_be_read_is_passed_over(queue: Queue, redis_url: str) -> None:
    async def hear(events: AsyncIterator[LiveEvent]) -> str:
        for text in ("nothing", "{}", '{"id": "1-0", "job_id": "j", "tenant": "t", "type": "paused"}'):
            queue.connection.commands.publish(keys.LIVE, text)
        job = submit(queue)
        assert (await anext(events)).job_id == job.id
        return job.id

    assert listening(redis_url, hear)


def test_who_has_listened_leaves_no_connection(redis_url: str, raw: "redis.Redis") -> None:
    async def count(_: AsyncIterator[LiveEvent]) -> int:
        return int(raw.pubsub_numsub(keys.LIVE)[0][1])

    assert listening(redis_url, count) == 1
    wait_until(lambda: raw.pubsub_numsub(keys.LIVE)[0][1] == 0)


def pings(raw: "redis.Redis") -> int:
    return int(raw.info("commandstats").get("cmdstat_ping", {"calls": 0})["calls"])


def test_silence_is_no_error_while_redis_answers(queue: Queue, redis_url: str, raw: "redis.Redis") -> None:
    raw.config_resetstat()

    async def hear(events: AsyncIterator[LiveEvent]) -> str:
        waiting = asyncio.ensure_future(anext(events))
        await asyncio.to_thread(wait_until, lambda: pings(raw) >= 2)
        submit(queue)
        return (await waiting).type

    assert listening(redis_url, hear, silence_seconds=1.0) == "state"


def test_a_redis_that_goes_away_ends_the_listening(own_redis: EmbeddedRedis) -> None:
    async def hear(events: AsyncIterator[LiveEvent]) -> None:
        own_redis.kill()
        with pytest.raises(QueueUnavailable):
            await anext(events)

    listening(own_redis.url, hear)
    with pytest.raises(QueueUnavailable):
        listening(own_redis.url, hear)


def test_a_redis_that_hangs_ends_the_listening(own_redis: EmbeddedRedis) -> None:
    async def hear(events: AsyncIterator[LiveEvent]) -> None:
        with stopped(own_redis), pytest.raises(QueueUnavailable, match="slow"):
            await anext(events)

    listening(own_redis.url, hear, silence_seconds=1.0)


def test_an_end_that_the_client_swallows_ends_the_listening_all_the_same(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def swallowing(_pubsub: PubSub) -> None:
        task = asyncio.current_task()
        assert task is not None and task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0)

    monkeypatch.setattr(PubSub, "ping", swallowing)
    with pytest.raises(asyncio.CancelledError):
        listening(redis_url, anext, silence_seconds=0.05)
