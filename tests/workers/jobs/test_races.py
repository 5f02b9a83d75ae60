"""Client against worker, at the same moment: one winner, and what each was told stays true."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from tests.queues import Queue
from tests.redis_servers import every_redis
from tests.workers.factories import MODEL, a_report, an_artifact, submit
from tests.workers.jobs.leases import claim, end_lease, stream_lengths
from workers.jobs.errors import LeaseLost
from workers.jobs.job import JobState
from workers.jobs.leases import Attempt

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


def test_cancel_against_claim(queue: Queue, raw: "redis.Redis") -> None:
    winners = set()
    for _ in range(ROUNDS):
        job = submit(queue)
        cancelled, attempt = together(
            lambda job=job: queue.jobs.cancel(job.key), lambda: queue.leases.claim([MODEL], "worker")
        )
        if attempt is None:
            assert cancelled.state is JobState.CANCELLED
            winners.add("cancel")
        else:
            assert (cancelled.state, cancelled.cancel_requested) == (JobState.RUNNING, True)
            assert queue.leases.complete(attempt, an_artifact(), a_report()).state is JobState.CANCELLED
            winners.add("claim")
        assert queue.jobs.get(job.key).state is JobState.CANCELLED
    assert stream_lengths(raw) == 0
    assert len(queue.leases.expired(MODEL)) == 0
    assert winners, "either may win; both are right"


def test_cancel_against_complete(queue: Queue) -> None:
    for _ in range(ROUNDS):
        submit(queue)
        attempt = claim(queue)
        cancelled, settled = together(
            lambda attempt=attempt: queue.jobs.cancel(attempt.job.key),
            lambda attempt=attempt: queue.leases.complete(attempt, an_artifact(), a_report()),
        )
        final = queue.jobs.get(attempt.job.key).state
        assert settled.state is final
        # What the client was told: "completed already", or "will be cancelled".
        answered = cancelled.state if cancelled.state.terminal else JobState.CANCELLED
        assert answered is final


@pytest.mark.parametrize("client", ["cancel", "delete", "nothing"])
def test_completion_against_the_reaper(queue: Queue, raw: "redis.Redis", client: str) -> None:
    for _ in range(ROUNDS // 2):
        submit(queue)
        attempt = claim(queue)
        end_lease(raw, attempt)
        calls = [
            lambda attempt=attempt: queue.leases.complete(attempt, an_artifact(), a_report()),
            lambda: queue.leases.reap(MODEL),
        ]
        if client == "cancel":
            calls.append(lambda attempt=attempt: queue.jobs.cancel(attempt.job.key))
        elif client == "delete":
            calls.append(lambda attempt=attempt: queue.jobs.delete(attempt.job.key))
        settled, reaped, *_ = together(*calls)
        assert isinstance(settled, LeaseLost) == bool(reaped), "exactly one of the two had the job"
        drain(queue)
        assert queue.inspection.depth(MODEL).running == 0
    assert stream_lengths(raw) == 0


def test_two_workers_and_the_reaper_publish_one_result(queue: Queue, raw: "redis.Redis") -> None:
    for _ in range(ROUNDS // 2):
        submit(queue)
        zombie = claim(queue, "zombie")
        end_lease(raw, zombie)
        queue.leases.reap(MODEL)
        heir = claim(queue, "heir")
        results = together(
            lambda zombie=zombie: queue.leases.complete(zombie, an_artifact("zombie"), a_report()),
            lambda heir=heir: queue.leases.complete(heir, an_artifact("heir"), a_report()),
        )
        assert isinstance(results[0], LeaseLost)
        final = queue.jobs.get(heir.job.key)
        assert final.artifact == an_artifact("heir")


def drain(queue: Queue) -> None:
    attempt: Attempt | None
    while attempt := queue.leases.claim([MODEL], "worker"):
        queue.leases.complete(attempt, an_artifact(), a_report())
