"""Client against worker, at the same moment: one winner, and what each was told stays true."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from tests.redis_servers import every_redis
from tests.workers.factories import MODEL, TENANT, a_report, an_artifact, submit
from tests.workers.jobs.leases import claim, end_lease, stream_lengths
from workers.jobs.errors import LeaseLost
from workers.jobs.job import JobState
from workers.jobs.queue import Attempt, JobQueue

pytestmark = every_redis

ROUNDS = 200


def together(*calls: Callable[[], Any]) -> list[Any]:
    """Run the calls as close to the same moment as threads allow; an error is returned, not raised."""
    start = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        start.wait()
        try:
            return call()
        except LeaseLost as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def test_cancel_against_claim(queue: JobQueue, raw: "redis.Redis") -> None:
    winners = set()
    for _ in range(ROUNDS):
        job = submit(queue)
        cancelled, attempt = together(
            lambda job=job: queue.cancel(job.id, TENANT), lambda: queue.claim([MODEL], "worker")
        )
        if attempt is None:
            assert cancelled.state is JobState.CANCELLED
            winners.add("cancel")
        else:
            assert (cancelled.state, cancelled.cancel_requested) == (JobState.RUNNING, True)
            assert queue.complete(attempt, an_artifact(), a_report()).state is JobState.CANCELLED
            winners.add("claim")
        assert queue.get(job.id, TENANT).state is JobState.CANCELLED
    assert stream_lengths(raw) == 0
    assert len(queue.expired(MODEL)) == 0
    assert winners, "either may win; both are right"


def test_cancel_against_complete(queue: JobQueue) -> None:
    for _ in range(ROUNDS):
        submit(queue)
        attempt = claim(queue)
        cancelled, settled = together(
            lambda attempt=attempt: queue.cancel(attempt.job.id, TENANT),
            lambda attempt=attempt: queue.complete(attempt, an_artifact(), a_report()),
        )
        final = queue.get(attempt.job.id, TENANT).state
        assert settled.state is final
        # What the client was told: "completed already", or "will be cancelled".
        told = cancelled.state if cancelled.state.terminal else JobState.CANCELLED
        assert told is final


@pytest.mark.parametrize("client", ["cancel", "delete", "nothing"])
def test_completion_against_the_reaper(queue: JobQueue, raw: "redis.Redis", client: str) -> None:
    for _ in range(ROUNDS // 2):
        submit(queue)
        attempt = claim(queue)
        end_lease(raw, attempt)
        calls = [
            lambda attempt=attempt: queue.complete(attempt, an_artifact(), a_report()),
            lambda: queue.reap(MODEL),
        ]
        if client == "cancel":
            calls.append(lambda attempt=attempt: queue.cancel(attempt.job.id, TENANT))
        elif client == "delete":
            calls.append(lambda attempt=attempt: queue.delete(attempt.job.id, TENANT))
        settled, reaped, *_ = together(*calls)
        assert isinstance(settled, LeaseLost) == bool(reaped), "exactly one of the two had the job"
        drain(queue)
        assert queue.depth(MODEL).running == 0
    assert stream_lengths(raw) == 0


def test_two_workers_and_the_reaper_publish_one_result(queue: JobQueue, raw: "redis.Redis") -> None:
    for _ in range(ROUNDS // 2):
        submit(queue)
        zombie = claim(queue, "zombie")
        end_lease(raw, zombie)
        queue.reap(MODEL)
        heir = claim(queue, "heir")
        results = together(
            lambda zombie=zombie: queue.complete(zombie, an_artifact("zombie"), a_report()),
            lambda heir=heir: queue.complete(heir, an_artifact("heir"), a_report()),
        )
        assert isinstance(results[0], LeaseLost)
        final = queue.get(heir.job.id, TENANT)
        assert final.artifact == an_artifact("heir")


def drain(queue: JobQueue) -> None:
    attempt: Attempt | None
    while attempt := queue.claim([MODEL], "worker"):
        queue.complete(attempt, an_artifact(), a_report())
