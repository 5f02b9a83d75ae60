"""How soon those who watch a job are told of each step: many event streams of one service process.

    python -m bench.event_streams

Starts a Redis and one process of the service, without API keys, and plays the worker of one job. A step's time runs
from when the worker tells of it to when a client has read its event. The clients share the cores with all the rest.
Exits with 1 when the target is missed.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import time

import httpx
import psutil

from bench.program import positive, whole
from bench.serving import service
from demo.embedded_redis import EmbeddedRedis
from workers.jobs.connection import Connection
from workers.jobs.leases import Leases, StepDetails

TARGET_MS = 250.0
MODEL = "wan-tiny"


async def watch(port: int, video_id: str, steps: int, opened: asyncio.Semaphore) -> dict[int, float]:
    """When the client of one stream has read the event of each step, by `time.perf_counter`."""
    async with opened:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET /v1/videos/{video_id}/events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        while not (await reader.readline()).startswith(b"event: video"):
            pass
    read: dict[int, float] = {}
    name = b""
    while steps not in read:
        line = await reader.readline()
        if line.startswith(b"event: "):
            name = line.strip()
        elif line.startswith(b"data: ") and name == b"event: step":
            read[json.loads(line[6:])["step"]] = time.perf_counter()
        elif not line:
            raise ConnectionError("a stream ended before its job")
    writer.close()
    return read


async def work(redis_url: str, steps: int, seconds: float) -> dict[int, float]:
    """Play the worker; when each step was told of."""
    connection = Connection(redis_url)
    leases = Leases(connection, lease_seconds=60, retention_seconds=600)
    attempt = leases.claim([MODEL], "bench")
    assert attempt is not None
    told: dict[int, float] = {}
    for step in range(1, steps + 1):
        await asyncio.sleep(seconds)
        told[step] = time.perf_counter()
        await asyncio.to_thread(leases.beat, attempt, "denoise", step, StepDetails("F" * step, seconds))
    connection.close()
    return told


async def measure(port: int, redis_url: str, streams: int, steps: int, seconds: float) -> list[float]:
    """Milliseconds of each event of each stream."""
    body = {"prompt": "streams", "model": MODEL, "frames": 1, "steps": steps}
    video_id = httpx.post(f"http://127.0.0.1:{port}/v1/videos", json=body).raise_for_status().json()["id"]
    opened = asyncio.Semaphore(50)
    clients = [asyncio.create_task(watch(port, video_id, steps, opened)) for _ in range(streams)]
    while sum(1 for each in psutil.net_connections("tcp") if each.raddr and each.raddr.port == port) < streams:
        await asyncio.sleep(0.2)
    await asyncio.sleep(2.0)  # each has had its first event
    told = await work(redis_url, steps, seconds)
    return [1000 * (at - told[step]) for read in await asyncio.gather(*clients) for step, at in read.items()]


def main() -> int:
    """Measure, print; the process's exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=whole(1), default=500, help="open at a time")
    parser.add_argument("--steps", type=whole(1), default=20, help="of the job")
    parser.add_argument("--seconds", type=positive, default=1.0, help="of a step")
    options = parser.parse_args()
    print(f"load average {', '.join(f'{each:.1f}' for each in os.getloadavg())} on {os.cpu_count()} cores")
    many = {"max_streams": str(options.streams), "max_streams_per_account": str(options.streams), "models": MODEL}
    with EmbeddedRedis() as redis, service(redis.url, **many) as (port, pid):
        before = psutil.Process(pid).memory_info().rss
        took = asyncio.run(measure(port, redis.url, options.streams, options.steps, options.seconds))
        grown = (psutil.Process(pid).memory_info().rss - before) / 2**20
        time.sleep(1.0)
        held = len([each for each in psutil.Process(pid).net_connections("tcp") if each.status == "ESTABLISHED"])
    worst, most = max(took), statistics.quantiles(took, n=100)[-1]
    print(f"{options.streams} streams, {len(took)} events of {options.steps} steps of {options.seconds:g} s")
    print(f"p50 {statistics.median(took):.1f} ms, p99 {most:.1f} ms, slowest {worst:.1f} ms")
    print(f"target {TARGET_MS:g} ms {'met' if worst <= TARGET_MS else 'MISSED'}; memory grew by {grown:.0f} MiB")
    print(f"connections to clients once they have left: {held}")
    return 0 if worst <= TARGET_MS and len(took) == options.streams * options.steps else 1


if __name__ == "__main__":
    sys.exit(main())
