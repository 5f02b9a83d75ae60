"""How the service takes load: the latency of create at a steady rate, ten thousand submissions, and a Redis that hangs.

    python -m bench.load

Starts a Redis and one process of the service, without API keys. Latency is measured from the moment at which a request
was due, so that a service which falls behind is not forgiven. The submissions come twice: without a worker, so that as
many wait as may, and with stand-ins that have each job for a known time, until all have ended. Exits with 1 when a
target is missed.
"""

import argparse
import asyncio
import json
import os
import signal
import statistics
import sys
import time
from collections import Counter
from dataclasses import dataclass

import httpx
import psutil

from bench.lean_client import LeanClient
from bench.program import positive, whole
from bench.serving import service
from bench.stand_in import StandIn
from demo.embedded_redis import EmbeddedRedis
from workers.jobs.connection import Connection
from workers.jobs.inspection import Inspection
from workers.jobs.job import JobState
from workers.jobs.usage import Usage, UsageRecords
from workers.models.duration import Pace

P50_TARGET_MS, P99_TARGET_MS, HANG_TARGET_SECONDS = 5.0, 25.0, 2.0
#: How much more the service may hold after all submissions than before.
MEMORY_TARGET_MIB = 32
MOST_QUEUED = 5000
#: With workers fewer, so that some submissions are refused there too.
MOST_QUEUED_WITH_WORKERS = 300
MODEL = "wan-tiny"
BODY = {"prompt": "load", "model": MODEL, "frames": 1, "steps": 2}
#: Every tenth of those with workers has so long, of which some end in time.
DEADLINE_SECONDS = 1
WORKERS, PACE = 4, Pace(0.005, 0.0, 0.0, 0.005, runs=0, same_size=True)


@dataclass(frozen=True)
class Answer:
    """seconds: from when the request was due to its answer. has_retry_after: whether it says when to come again."""

    seconds: float
    status: int
    has_retry_after: bool


async def create(client: httpx.AsyncClient, due: float, body: dict[str, object] = BODY) -> Answer:
    """One submission, at its time. due: by `time.perf_counter`."""
    await asyncio.sleep(max(0.0, due - time.perf_counter()))
    response = await client.post("/v1/videos", json=body)
    return Answer(time.perf_counter() - due, response.status_code, "retry-after" in response.headers)


async def at_a_rate(port: int, rate: float, count: int, call: tuple[str, str, bytes]) -> list[Answer]:
    """So many calls at so many a second, each on its time whatever became of the ones before."""
    client = LeanClient(port)

    async def one(due: float) -> Answer:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        status, headers = await client.call(*call)
        return Answer(time.perf_counter() - due, status, "retry-after" in headers)

    await asyncio.gather(*(client.call("GET", "/healthz") for _ in range(20)))  # opens connections
    begin = time.perf_counter() + 0.5
    return await asyncio.gather(*(one(begin + number / rate) for number in range(count)))


async def at_once(port: int, clients: int, count: int, deadline_every: int | None = None) -> list[Answer]:
    """So many submissions by clients that each send the next as soon as they have an answer. deadline_every: which of
    them have a deadline."""
    answers: list[Answer] = []

    async def client(mine: int) -> None:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
            for number in range(mine):
                hurried = deadline_every is not None and number % deadline_every == 0
                body = BODY | ({"deadline_seconds": DEADLINE_SECONDS} if hurried else {})
                answers.append(await create(http, time.perf_counter(), body))

    await asyncio.gather(*(client(count // clients) for _ in range(clients)))
    return answers


def met(name: str, value: float, target: float, unit: str) -> bool:
    """Print one figure; whether it meets its target."""
    verdict = "met" if value <= target else "MISSED"
    print(f"{name:<44} {value:9.2f} {unit:<4} target {target:g} {unit} {verdict}", flush=True)
    return value <= target


def latency(port: int, rate: float, count: int) -> bool:
    """Create at a steady rate, beside a call that does nothing."""

    def milliseconds(*call: str) -> list[float]:
        method, path, body = call
        answers = asyncio.run(at_a_rate(port, rate, count, (method, path, body.encode())))
        assert {each.status for each in answers} == {200}, Counter(each.status for each in answers)
        return [1000 * each.seconds for each in answers]

    nothing = statistics.median(milliseconds("GET", "/healthz", ""))
    print(f"/healthz, {rate:g} a second, p50 of {count}{nothing:20.2f} ms")
    seconds = milliseconds("POST", "/v1/videos", json.dumps(BODY))
    p50, p99 = statistics.median(seconds), statistics.quantiles(seconds, n=100)[-1]
    fast = met(f"create, {rate:g} a second, p50 of {count}", p50, P50_TARGET_MS, "ms")
    return met("create, p99", p99, P99_TARGET_MS, "ms") and fast


def flood(port: int, pid: int, count: int) -> bool:
    """More submissions than may wait: each is accepted, or refused with the time to come again."""
    process = psutil.Process(pid)
    before = process.memory_info().rss
    began = time.perf_counter()
    answers = asyncio.run(at_once(port, 32, count))
    seconds, counts = time.perf_counter() - began, Counter(each.status for each in answers)
    grown = (process.memory_info().rss - before) / 2**20
    queued = metric(port, "scalingcache_queue_jobs", 'state="queued"')
    right = set(counts) <= {200, 429} and all(each.has_retry_after for each in answers if each.status == 429)
    print(f"{len(answers)} submissions in {seconds:.1f} s: {dict(counts)}; {queued:g} wait")
    right = right and len(answers) == count // 32 * 32 and queued == MOST_QUEUED
    print(f"each accepted or refused correctly: {'met' if right else 'MISSED'}")
    flat = met(f"memory, {before / 2**20:.0f} MiB before, grown by", grown, MEMORY_TARGET_MIB, "MiB")
    return right and flat


def worked(redis_url: str, port: int, pid: int, count: int) -> bool:
    """As many with workers: each that is accepted ends once, completed or at its deadline, and is counted once."""
    process = psutil.Process(pid)
    before = process.memory_info().rss
    workers = [StandIn(redis_url, f"worker-{number}", [MODEL], lambda _: PACE) for number in range(WORKERS)]
    for worker in workers:
        worker.start()
    began, connection = time.perf_counter(), Connection(redis_url)
    answers = asyncio.run(at_once(port, 32, count, deadline_every=10))
    inspection = Inspection(connection)
    while (depth := inspection.depth(MODEL)).queued or depth.running:
        time.sleep(0.2)
    for worker in workers:
        worker.end()
    seconds, counts = time.perf_counter() - began, Counter(each.status for each in answers)
    grown = (process.memory_info().rss - before) / 2**20
    (used,) = UsageRecords(connection).totals([MODEL]).values()
    connection.close()
    expired = int(metric(port, "scalingcache_queued_jobs_expired_total"))
    right = set(counts) == {200, 429} and all(each.has_retry_after for each in answers if each.status == 429)
    right &= counted(used[MODEL], counts[200], expired, workers)
    print(f"{len(answers)} submissions with {WORKERS} workers in {seconds:.1f} s: {dict(counts)}")
    print(f"each ended and counted once: {'met' if right else 'MISSED'}")
    return met(f"memory, {before / 2**20:.0f} MiB before, grown by", grown, MEMORY_TARGET_MIB, "MiB") and right


def counted(used: Usage, accepted: int, expired: int, workers: list[StandIn]) -> bool:
    """Whether the account's usage, the service's metrics and the workers agree."""
    ended = sum((worker.ended for worker in workers), Counter[JobState]())
    late = expired + ended[JobState.FAILED] + sum(len(worker.too_late) for worker in workers)
    print(f"accepted {accepted}, completed {used.completed}, past their deadline {used.failed}")
    sums = used.submitted == accepted == used.completed + used.failed
    return sums and used.completed == ended[JobState.COMPLETED] and 0 < used.failed == late


def hang(port: int, redis: EmbeddedRedis) -> bool:
    """While Redis is stopped every submission is a 503, in time."""
    assert redis.pid is not None
    os.kill(redis.pid, signal.SIGSTOP)
    try:
        answers = asyncio.run(at_once(port, 8, 32))
    finally:
        os.kill(redis.pid, signal.SIGCONT)
    right = {each.status for each in answers} == {503}
    if not right:
        print(f"while Redis hangs: {Counter(each.status for each in answers)}")
    return (
        met("slowest 503 while Redis hangs", max(each.seconds for each in answers), HANG_TARGET_SECONDS, "s") and right
    )


def metric(port: int, name: str, label: str = "") -> float:
    """What the service says of the model."""
    lines = httpx.get(f"http://127.0.0.1:{port}/metrics").text.splitlines()
    found = (line for line in lines if line.startswith(name + "{") and f'model="{MODEL}"' in line and label in line)
    return float(next(found).rpartition(" ")[2])


def main() -> int:
    """Measure all and print it; the process's exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=positive, default=100.0, help="submissions a second")
    parser.add_argument("--requests", type=whole(1), default=2000, help="at that rate")
    parser.add_argument("--submissions", type=whole(1), default=10_016, help="of the flood")
    options = parser.parse_args()
    print(f"load average {', '.join(f'{each:.1f}' for each in os.getloadavg())} on {os.cpu_count()} cores")
    unlimited = {"max_queued": str(MOST_QUEUED), "max_queued_per_tenant": str(MOST_QUEUED), "models": MODEL}
    with EmbeddedRedis() as redis, service(redis.url, **unlimited) as (port, pid):
        results = [latency(port, options.rate, options.requests), flood(port, pid, options.submissions)]
        results.append(hang(port, redis))
    few = unlimited | {"max_queued": str(MOST_QUEUED_WITH_WORKERS)}
    with EmbeddedRedis() as redis, service(redis.url, **few) as (port, pid):
        results.append(worked(redis.url, port, pid, options.submissions))
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
