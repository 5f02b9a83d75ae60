"""Steps that tests of the worker's side share."""

import redis

from tests.queues import Queue
from tests.workers.factories import MODEL
from workers.jobs import keys
from workers.jobs.leases import Attempt

WORKER = "worker-1"


def claim(queue: Queue, worker: str = WORKER) -> Attempt:
    attempt = queue.leases.claim([MODEL], worker)
    assert attempt is not None
    return attempt


def end_lease(raw: "redis.Redis", attempt: Attempt) -> None:
    """As if the worker had been silent for the whole lease."""
    raw.zadd(f"{keys.root(MODEL)}:leases", {attempt.job.id: 1}, xx=True)


def stream_lengths(raw: "redis.Redis") -> int:
    return sum(raw.xlen(keys.stream(MODEL, lane)) for lane in keys.LANES)
