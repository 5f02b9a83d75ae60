"""How long calls take while Redis hangs: it takes connections and does not answer.

    python -m bench.hanging_redis

Starts a Redis and the service, lets many clients poll one video, and stops the Redis (SIGSTOP) under them. Exits with 1
when a target is missed.
"""

import argparse
import asyncio
import os
import signal
import sys
import time
from collections import Counter

import httpx

from bench.program import positive, whole
from bench.serving import service
from demo.embedded_redis import EmbeddedRedis

PROBES = ("/healthz", "/readyz", "/metrics")
CALL_TARGET_SECONDS, PROBE_TARGET_SECONDS = 2.0, 1.0

#: Seconds and status of each call, by what was called.
Answers = dict[str, list[tuple[float, str]]]


async def call(port: int, path: str) -> tuple[float, str]:
    """Seconds to the end of the answer, and its status; on a connection of its own."""
    began = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
    answer = await asyncio.wait_for(reader.read(), 60)
    writer.close()
    return time.perf_counter() - began, answer[9:12].decode()


async def poll(port: int, video: str, clients: int, seconds: float) -> Answers:
    """What many clients get that poll a video once a second, and one for each probe."""
    answers: Answers = {"polls": [], **{path: [] for path in PROBES}}
    end = time.monotonic() + seconds

    async def client(name: str, path: str, after: float) -> None:
        await asyncio.sleep(after)
        while time.monotonic() < end:
            answers[name].append(await call(port, path))
            await asyncio.sleep(1)

    polls = [client("polls", f"/v1/videos/{video}", number / clients) for number in range(clients)]
    await asyncio.gather(*polls, *(client(path, path, 0.1) for path in PROBES))
    return answers


def report(answers: Answers) -> bool:
    """Print the percentiles; whether the longest of each met its target."""
    met = True
    for name, calls in answers.items():
        seconds = sorted(duration for duration, _ in calls)
        target = CALL_TARGET_SECONDS if name == "polls" else PROBE_TARGET_SECONDS
        met &= seconds[-1] <= target
        median, statuses = seconds[len(seconds) // 2], dict(Counter(status for _, status in calls))
        figures = f"p50 {median:5.2f} s  max {seconds[-1]:5.2f} s  target {target:g} s"
        print(f"{name:<9} n={len(calls):<5} {figures} {statuses}")
    return met


def main() -> int:
    """Measure with a Redis that answers, hangs, and answers again; the process's exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=whole(1), default=300)
    parser.add_argument("--seconds", type=positive, default=12)
    arguments = parser.parse_args()
    with EmbeddedRedis() as redis, service(redis.url) as (port, _):
        answer = httpx.post(f"http://127.0.0.1:{port}/v1/videos", json={"prompt": "a"}).raise_for_status()
        assert redis.pid is not None
        met = True
        try:
            for name, change in (("answers", signal.SIGCONT), ("hangs", signal.SIGSTOP), ("again", signal.SIGCONT)):
                os.kill(redis.pid, change)
                print(f"Redis {name}:")
                polled = poll(port, answer.json()["id"], arguments.clients, arguments.seconds)
                met &= report(asyncio.run(polled))
        finally:
            os.kill(redis.pid, signal.SIGCONT)
        return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
