"""How near the told time is at which a video will be there: real Redis, a service, workers of known step times.

    python -m bench.eta

Videos of several sizes, steps and sf are submitted one after the other, with up to 20 waiting, and listed twice a
second as a client would. Each told time is compared with when the video was there. `steady` has one account and one
priority, so that nothing overtakes; `mixed` has all priorities, where nobody can know what will come and start before
what waits, so that only what is told after the last submission can be held against what became of it. Exits with 1
when less than 90 % of the steady ones were within 15 % of the time that was left.
"""

import argparse
import os
import random
import sys
import time
from dataclasses import dataclass, field

import httpx

from bench.program import whole
from bench.serving import service
from bench.stand_in import StandIn
from demo.embedded_redis import EmbeddedRedis
from workers.jobs.job import GenerationRequest
from workers.models.duration import Pace

MODEL = "wan-tiny"
DEPTH, WITHIN, SHARE = 20, 0.15, 0.90
POLL_SECONDS = 0.5
SIZES = (("64x64", 17), ("96x64", 17), ("96x96", 17), ("96x96", 33), ("128x96", 33))
STEPS, SFS = (20, 30, 50), (6, 10, 14, 50)


def pace_of(request: GenerationRequest) -> Pace:
    """Steps take more than pixels x frames say, as attention does."""
    size = request.width * request.height * request.frames / (96 * 96 * 33)
    return Pace(0.08 * size**1.3, 0.004 * size, 0.05, 0.3 * size, runs=0, same_size=True)


@dataclass
class Told:
    """What was told of videos: when, what was left then, and whether at their submission."""

    submitted: dict[str, tuple[float, float | None]] = field(default_factory=dict)
    later: list[tuple[str, float, float | None]] = field(default_factory=list)


def submit(client: httpx.Client, luck: random.Random, priorities: tuple[str, ...], told: Told) -> None:
    """One video."""
    size, frames = luck.choice(SIZES)
    body = {"prompt": "eta", "model": MODEL, "size": size, "frames": frames, "reuse": "never"}
    steps = luck.choice(STEPS)
    body |= {"steps": steps, "sf": min(steps, luck.choice(SFS)), "priority": luck.choice(priorities)}
    video = client.post("/v1/videos", json=body).raise_for_status().json()
    told.submitted[video["id"]] = time.time(), video["eta_seconds"]


def listen(client: httpx.Client, told: Told) -> int:
    """Note what is told now; how many wait."""
    page = client.get("/v1/videos", params={"limit": 100}).raise_for_status().json()["data"]
    now = time.time()
    told.later += [
        (video["id"], now, video["eta_seconds"]) for video in page if video["state"] in ("queued", "running")
    ]
    return sum(video["state"] == "queued" for video in page)


def warm_up(client: httpx.Client) -> None:
    """Each size once: what was never seen is only scaled."""
    for size, frames in SIZES:
        body = {"prompt": "eta", "model": MODEL, "size": size, "frames": frames, "steps": 20, "sf": 6}
        video = client.post("/v1/videos", json=body).raise_for_status().json()["id"]
        while client.get(f"/v1/videos/{video}", params={"wait": 10}).raise_for_status().json()["state"] != "completed":
            pass


def run(count: int, workers: int, priorities: tuple[str, ...], seed: int) -> tuple[Told, dict[str, float]]:
    """What was told of so many videos, and when each was there."""
    luck, told = random.Random(seed), Told()
    with EmbeddedRedis() as redis, service(redis.url, models=MODEL) as (port, _):
        standing = [StandIn(redis.url, f"worker-{n}", [MODEL], pace_of, 0.04, seed + n) for n in range(workers)]
        for worker in standing:
            worker.start()
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            warm_up(client)
            waiting = 0
            while len(told.submitted) < count or waiting or _unfinished(told, standing):
                more = min(luck.choice((0, 0, 1, 2, 6)), DEPTH - waiting, count - len(told.submitted))
                for _ in range(more):
                    submit(client, luck, priorities, told)
                waiting = listen(client, told)
                time.sleep(POLL_SECONDS)
        for worker in standing:
            worker.end()
    return told, {job_id: at for worker in standing for job_id, at in worker.finished_at.items()}


def _unfinished(told: Told, standing: list[StandIn]) -> bool:
    finished = sum(job_id in worker.finished_at for job_id in told.submitted for worker in standing)
    return finished < len(told.submitted)


def share(told: list[tuple[str, float, float | None]], finished_at: dict[str, float]) -> tuple[float, int]:
    """Of what was told with at least a second left: how much was within the bound, of how many."""
    errors = []
    for job_id, now, eta in told:
        left = finished_at[job_id] - now
        if left >= 1.0:
            errors.append(1.0 if eta is None else abs(eta - left) / left)
    return sum(error <= WITHIN for error in errors) / len(errors), len(errors)


def report(name: str, told: Told, finished_at: dict[str, float]) -> bool:
    """Print the shares; whether all are enough."""
    last = max(at for at, _ in told.submitted.values())
    kinds = {
        "at submission": [(job_id, *at) for job_id, at in told.submitted.items()],
        "later": told.later,
        "after the last submission": [each for each in told.later if each[1] > last],
    }
    good = True
    for when, what in kinds.items():
        part, count = share(what, finished_at)
        good &= part >= SHARE
        print(f"{name:<6} told {when:<25} within {WITHIN:.0%}: {part:6.1%} of {count}", flush=True)
    return good


def main() -> int:
    """Measure both and print it; the process's exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=whole(1), default=100, help="of each kind of load")
    parser.add_argument("--workers", type=whole(1), default=3)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(f"load average {', '.join(f'{each:.1f}' for each in os.getloadavg())} on {os.cpu_count()} cores")
    steady = report("steady", *run(options.jobs, options.workers, ("normal",), options.seed))
    report("mixed", *run(options.jobs, options.workers, ("high", "normal", "low"), options.seed))
    print(f"steady: {'met' if steady else 'MISSED'}, target {SHARE:.0%}")
    return 0 if steady else 1


if __name__ == "__main__":
    sys.exit(main())
