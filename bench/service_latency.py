"""How long the service takes to accept a job, and an idle worker to start it.

    python -m bench.service_latency http://127.0.0.1:8000

Acceptance is measured at the client, one request after the other on one connection. The start is taken from the job's
own record (`timings.queued`, both ends by the clock of Redis). Exits with 1 when a target is missed.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Iterator

import httpx

from bench.program import whole

ACCEPT_TARGET_MS = 10.0
START_TARGET_MS = 50.0
# The smallest job there is: what is measured is the way to it.
SMALLEST = {"prompt": "latency", "frames": 1, "steps": 2, "priority": "low"}


def accept_milliseconds(client: httpx.Client, requests: int) -> Iterator[float]:
    """From sending a request to having its whole answer. Each job is deleted at once, so that none piles up."""
    for _ in range(requests):
        began = time.perf_counter()
        response = client.post("/v1/videos", json=SMALLEST)
        yield 1000 * (time.perf_counter() - began)
        client.delete(f"/v1/videos/{response.raise_for_status().json()['id']}").raise_for_status()


def start_milliseconds(client: httpx.Client, jobs: int) -> Iterator[float]:
    """From acceptance to the worker's claim, each job submitted when the one before it has ended."""
    for _ in range(jobs):
        video = client.post("/v1/videos", json=SMALLEST).raise_for_status().json()
        path = f"/v1/videos/{video['id']}"
        while video["status"] in ("queued", "in_progress"):
            time.sleep(0.02)
            video = client.get(path).raise_for_status().json()
        client.delete(path).raise_for_status()
        if video["timings"]["queued"] is None:
            raise SystemExit(f"a job ended before it started: {video['error']}")
        yield 1000 * video["timings"]["queued"]


def report(name: str, samples: list[float], target: float) -> bool:
    """Print the percentiles; whether the median meets the target."""
    median, p95 = statistics.median(samples), statistics.quantiles(samples, n=20)[-1]
    met = median <= target
    verdict = "met" if met else "MISSED"
    print(
        f"{name:<22} n={len(samples):<4} p50 {median:7.2f} ms   p95 {p95:7.2f} ms   target p50 {target:g} ms {verdict}"
    )
    return met


def main() -> int:
    """Measure both and print them; the process's exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address", nargs="?", default="http://127.0.0.1:8000")
    parser.add_argument("--requests", type=whole(1), default=200)
    parser.add_argument("--jobs", type=whole(1), default=20)
    arguments = parser.parse_args()
    with httpx.Client(base_url=arguments.address, timeout=60) as client:
        next(accept_milliseconds(client, 1))  # opens the connection
        accepted = list(accept_milliseconds(client, arguments.requests))
        met = report("POST to accepted", accepted, ACCEPT_TARGET_MS)
        if not client.get("/v1/models").raise_for_status().json()["data"][0]["live_workers"]:
            print("accepted to started    skipped: no live worker")
            return 0 if met else 1
        started = list(start_milliseconds(client, arguments.jobs))
        return 0 if report("accepted to started", started, START_TARGET_MS) and met else 1


if __name__ == "__main__":
    sys.exit(main())
