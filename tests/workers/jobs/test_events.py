"""What happens to jobs, told as it happens."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest
import redis

from demo.embedded_redis import EmbeddedRedis
from tests.queues import Queue
from tests.redis_servers import every_redis
from tests.waiting import wait_until
from tests.workers.factories import MODEL, a_report, an_artifact, submit
from tests.workers.jobs.leases import claim
from workers.jobs import keys
from workers.jobs.errors import JobNotFound, QueueUnavailable
from workers.jobs.events import START, Events, JobEvent
from workers.jobs.job import JobState, new_job_id

pytestmark = every_redis

Result = TypeVar("Result")


def ask(url: str, question: Callable[[Events], Awaitable[Result]]) -> Result:
    """The answer to a question to a reader, in an event loop of its own."""

    async def run() -> Result:
        events = Events(url)
        try:
            return await question(events)
        finally:
            await events.close()

    return asyncio.run(run())


def story(events: list[JobEvent]) -> list[tuple[str, object]]:
    return [(event.type, event.state or event.stage or event.step) for event in events]


def test_a_jobs_story_is_read_from_its_start_or_from_any_event_on(queue: Queue, redis_url: str) -> None:
    job = submit(queue)
    attempt = claim(queue)
    queue.leases.beat(attempt, "denoise", 1)
    queue.leases.complete(attempt, an_artifact(), a_report())

    events = ask(redis_url, lambda reader: reader.read({job.id: START}))
    assert story(events) == [
        ("state", JobState.RUNNING),
        ("stage", "denoise"),
        ("step", 1),
        ("state", JobState.COMPLETED),
    ]
    assert {event.job_id for event in events} == {job.id}
    assert [event.ends_job for event in events] == [False, False, False, True]
    for index, event in enumerate(events[:-1]):
        assert ask(redis_url, lambda reader, event=event: reader.read({job.id: event.id})) == events[index + 1 :]


def test_jobs_of_one_model_are_read_together_each_from_where_its_reader_is(queue: Queue, redis_url: str) -> None:
    first, second = submit(queue), submit(queue)
    attempt = claim(queue)
    [last] = ask(redis_url, lambda reader: reader.read({first.id: START}))
    queue.leases.release(attempt)
    queue.jobs.cancel(second.key)
    events = ask(redis_url, lambda reader: reader.read({first.id: last.id, second.id: START}))
    assert sorted((event.job_id == first.id, event.state) for event in events) == [
        (False, JobState.CANCELLED),
        (True, JobState.QUEUED),
    ]


def test_a_reader_waits_for_what_happens_next_and_misses_nothing(
    queue: Queue, redis_url: str, raw: "redis.Redis"
) -> None:
    job = submit(queue)

    async def read(reader: Events) -> list[JobEvent]:
        reading = asyncio.create_task(reader.read({job.id: START}))
        await asyncio.to_thread(wait_until, lambda: raw.info("clients")["blocked_clients"] == 1)
        await asyncio.to_thread(queue.jobs.cancel, job.key)
        return await reading

    assert story(ask(redis_url, read)) == [("state", JobState.CANCELLED)]


def test_a_wait_for_nothing_ends_in_time(redis_url: str) -> None:
    assert ask(redis_url, lambda reader: reader.read({new_job_id(MODEL): START}, timeout_seconds=0.01)) == []


def test_a_reader_that_is_cancelled_waits_no_longer_and_its_next_read_is_its_own(
    queue: Queue, redis_url: str, raw: "redis.Redis"
) -> None:
    job = submit(queue)

    async def read(reader: Events) -> list[JobEvent]:
        reading = asyncio.create_task(reader.read({new_job_id(MODEL): START}))
        await asyncio.to_thread(wait_until, lambda: raw.info("clients")["blocked_clients"] == 1)
        reading.cancel()
        await asyncio.to_thread(wait_until, lambda: raw.info("clients")["blocked_clients"] == 0)
        await asyncio.to_thread(queue.jobs.cancel, job.key)
        return await reader.read({job.id: START})

    assert story(ask(redis_url, read)) == [("state", JobState.CANCELLED)]


def test_more_readers_than_may_wait_at_a_time_are_told_at_once(redis_url: str, raw: "redis.Redis") -> None:
    async def read() -> None:
        job_id = new_job_id(MODEL)
        events, question = Events(redis_url, max_readers=1), {job_id: START}
        reading = asyncio.create_task(events.read(question, timeout_seconds=60))
        await asyncio.to_thread(wait_until, lambda: raw.info("clients")["blocked_clients"] == 1)
        with pytest.raises(QueueUnavailable):
            await events.read(question)
        await asyncio.to_thread(raw.xadd, keys.events(job_id), {"type": "state", "state": "queued"})
        assert [event.type for event in await reading] == ["state"]
        await events.close()

    asyncio.run(read())


def test_an_id_that_is_none_is_not_found(redis_url: str) -> None:
    with pytest.raises(JobNotFound):
        ask(redis_url, lambda reader: reader.read({"{q:wan-tiny}": START}))


def test_a_redis_that_goes_away_ends_the_wait(own_redis: EmbeddedRedis) -> None:
    async def read(reader: Events) -> None:
        with redis.Redis.from_url(own_redis.url) as raw:
            reading = asyncio.create_task(reader.read({new_job_id(MODEL): START}))
            await asyncio.to_thread(wait_until, lambda: raw.info("clients")["blocked_clients"] == 1)
        own_redis.kill()
        with pytest.raises(QueueUnavailable):
            await reading

    ask(own_redis.url, read)


def test_an_event_that_cannot_be_read_is_unknown_and_hides_none_behind_it(queue: Queue, redis_url: str) -> None:
    job = submit(queue)
    claim(queue)
    for fields in ({"type": "paused"}, {"type": "step", "step": "many"}, {"surprise": "1"}):
        queue.connection.commands.xadd(keys.events(job.id), fields)  # type: ignore[arg-type]
    queue.jobs.cancel(job.key)
    events = ask(redis_url, lambda reader: reader.read({job.id: START}))
    assert [event.type for event in events] == ["state", *["unknown"] * 3, "cancel_requested"]
