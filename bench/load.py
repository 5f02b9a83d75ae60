"""How the service takes load: the latency of create at a steady rate, ten thousand submissions, and a Redis that hangs.

    python -m bench.load

Starts a Redis and one process of the service, without API keys and without a worker. Latency is measured from the
moment at which a request was due, so that a service which falls behind is not forgiven. Exits with 1 when a target is
missed.
"""

import argparse
import asyncio
import os
import signal
import statistics
import sys
import time
from collections import Counter
from dataclasses import dataclass

import httpx
import psutil

from bench.serving import service
from demo.embedded_redis import EmbeddedRedis

P50_TARGET_MS, P99_TARGET_MS, HANG_TARGET_SECONDS = 5.0, 25.0, 2.0
#: How much more the service may hold after all submissions than before.
MEMORY_TARGET_MIB = 32
MOST_QUEUED = 5000
BODY = {"prompt": "load", "model": "wan-tiny", "frames": 1, "steps": 2}


@dataclass(frozen=True)
class Answer:
    """seconds: from when the request was due to its answer. has_retry_after: whether it says when to come again."""

    seconds: float
    status: int
    has_retry_after: bool


async def create(client: httpx.AsyncClient, due: float) -> Answer:
    """One submission, at its time. due: by `time.perf_counter`."""
    await asyncio.sleep(max(0.0, due - time.perf_counter()))
    response = await client.post("/v1/videos", json=BODY)
    return Answer(time.perf_counter() - due, response.status_code, "retry-after" in response.headers)


async def at_a_rate(port: int, rate: float, count: int) -> list[Answer]:
    """So many submissions at so many a second, each on its time whatever became of the ones before."""
    limits = httpx.Limits(max_connections=200, max_keepalive_connections=200)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60, limits=limits) as client:
        await asyncio.gather(*(client.get("/healthz") for _ in range(20)))  # opens connections
        begin = time.perf_counter() + 0.5
        return await asyncio.gather(*(create(client, begin + number / rate) for number in range(count)))


async def at_once(port: int, clients: int, count: int) -> list[Answer]:
    """So many submissions by clients that each send the next as soon as they have an answer."""
    answers: list[Answer] = []

    async def client(mine: int) -> None:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
            for _ in range(mine):
                answers.append(await create(http, time.perf_counter()))

    await asyncio.gather(*(client(count // clients) for _ in range(clients)))
    return answers


def met(name: str, value: float, target: float, unit: str) -> bool:
    """Print one figure; whether it meets its target."""
    verdict = "met" if value <= target else "MISSED"
    print(f"{name:<44} {value:9.2f} {unit:<4} target {target:g} {unit} {verdict}", flush=True)
    return value <= target


def latency(port: int, rate: float, count: int) -> bool:
    """Create at a steady rate."""
    answers = asyncio.run(at_a_rate(port, rate, count))
    assert {each.status for each in answers} == {200}, Counter(each.status for each in answers)
    seconds = [1000 * each.seconds for each in answers]
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
    waiting = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    queued = next(float(line.rpartition(" ")[2]) for line in waiting.splitlines() if _is_depth(line))
    right = set(counts) <= {200, 429} and all(each.has_retry_after for each in answers if each.status == 429)
    print(f"{len(answers)} submissions in {seconds:.1f} s: {dict(counts)}; {queued:g} wait")
    right = right and len(answers) == count // 32 * 32 and queued == MOST_QUEUED
    print(f"each accepted or refused correctly: {'met' if right else 'MISSED'}")
    flat = met(f"memory, {before / 2**20:.0f} MiB before, grown by", grown, MEMORY_TARGET_MIB, "MiB")
    return right and flat


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


def _is_depth(line: str) -> bool:
    return line.startswith("scalingcache_queue_jobs{") and 'model="wan-tiny"' in line and 'state="queued"' in line


def main() -> int:
    """Measure all and print it; the process's exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=100.0, help="submissions a second")
    parser.add_argument("--requests", type=int, default=2000, help="at that rate")
    parser.add_argument("--submissions", type=int, default=10_016, help="of the flood")
    options = parser.parse_args()
    print(f"load average {', '.join(f'{each:.1f}' for each in os.getloadavg())} on {os.cpu_count()} cores")
    unlimited = {"max_queued": str(MOST_QUEUED), "max_queued_per_tenant": str(MOST_QUEUED), "models": "wan-tiny"}
    with EmbeddedRedis() as redis, service(redis.url, **unlimited) as (port, pid):
        results = [latency(port, options.rate, options.requests), flood(port, pid, options.submissions)]
        results.append(hang(port, redis))
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
