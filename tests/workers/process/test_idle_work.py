"""What a worker does while nothing is queued, and that no job waits for it, in real processes (`stand_in.py`)."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from demo.embedded_redis import EmbeddedRedis
from tests.queues import Queue
from tests.redis_servers import kill
from tests.waiting import wait_until
from tests.workers.factories import MODEL, a_request, submit
from tests.workers.process.jobs import assert_published, ended
from tests.workers.process.stand_in import AGAIN
from tests.workers.process.worker_process import WorkerProcess
from workers.files import replacing
from workers.jobs.job import Job, JobState
from workers.jobs.observations import Observations
from workers.jobs.reruns import Reruns

SHADOW: dict[str, Any] = {"shadow_share": 1.0}
CALIBRATE: dict[str, Any] = {"calibrate_when_idle": True}
AT_ONCE: dict[str, Any] = {"idle_seconds": 0, "metrics_port": 0}
FOREVER = "steps 100000 of 0.01"


@pytest.fixture
def again(tmp_path: Path) -> Callable[[str], None]:
    """Sets what reruns do."""
    (tmp_path / "artifacts").mkdir()

    def again(prompt: str) -> None:
        with replacing(tmp_path / "artifacts" / AGAIN) as unfinished:
            unfinished.write_text(prompt)

    return again


def done(queue: Queue, prompt: str = "a red ball") -> Job:
    job = wait_until(ended(queue, submit(queue, a_request(prompt))))
    assert job.state is JobState.COMPLETED
    return job


def learnt(queue: Queue) -> list[str]:
    """What uncached runs have shown, in the list that all workers share."""
    return Observations(queue.connection).since(MODEL, "", ())


def waiting(queue: Queue, work: str = "shadow") -> int:
    """How many reruns there are, those included that run."""
    return int(queue.connection.commands.zcard(f"{{q:{MODEL}}}:reruns:{work}:"))


def started(worker: WorkerProcess, count: int = 1) -> list[dict[str, Any]]:
    return wait_until(lambda: len(found := worker.logged("rerun started")) >= count and found)  # type: ignore[return-value]


def over(worker: WorkerProcess, **fields: Any) -> list[dict[str, Any]]:
    return wait_until(lambda: worker.logged("rerun ended", **fields))


def test_an_idle_worker_compares_a_job_and_says_so_everywhere_but_in_the_jobs_figures(
    queue: Queue, start: Callable[..., WorkerProcess]
) -> None:
    with start(SHADOW, **AT_ONCE) as worker:
        job = done(queue, "a secret")
        [line] = wait_until(lambda: worker.logged("job compared"))
        assert (line["job"], line["psnr"], line["ssim"]) == (job.id, 40.0, 0.95)
        labels = {"model": MODEL, "sf": "10"}
        assert worker.metric("scalingcache_shadow_psnr_decibels_sum", **labels) == 40.0
        assert worker.metric("scalingcache_shadow_ssim_ratio_sum", **labels) == 0.95
        assert worker.metric("scalingcache_reruns_total", model=MODEL, work="shadow", end="completed") == 1
        assert (worker.metric("scalingcache_rerun_seconds_total", model=MODEL, work="shadow") or 0) > 0
        assert worker.metric("scalingcache_observed_runs_total", model=MODEL, verdict="held_back") == 1
        assert worker.metric("scalingcache_jobs_total", model=MODEL, outcome="completed", reason="") == 1
        assert worker.metric("scalingcache_steps_total", model=MODEL, kind="full") == 1, "the job's alone"
        assert "a secret" not in worker.log()
        assert learnt(queue) == ["again a secret"]
        assert waiting(queue) == 0


def test_an_idle_worker_says_what_it_does_and_that_it_takes_jobs(
    queue: Queue, start: Callable[..., WorkerProcess], again: Callable[[str], None]
) -> None:
    again(FOREVER)
    with start(SHADOW, **AT_ONCE) as worker:
        job = done(queue)
        started(worker)
        [info] = wait_until(lambda: [each for each in queue.presence.workers() if each.doing])
        assert (info.doing, info.state, info.takes(MODEL)) == (f"shadow of {job.id}", "idle", True)


def test_a_job_that_arrives_during_idle_work_is_claimed_at_once_and_the_idle_run_leaves_no_trace(
    queue: Queue, start: Callable[..., WorkerProcess], again: Callable[[str], None], tmp_path: Path
) -> None:
    again(FOREVER)
    with start(SHADOW, **AT_ONCE) as worker:
        first = done(queue)
        started(worker)
        child = worker.child.pid
        second = done(queue)
        assert_published(second, tmp_path)
        assert worker.child.pid == child, "the models stay loaded"
        [line] = over(worker)
        assert (line["job"], line["end"]) == (first.id, "given_up")
        assert learnt(queue) == [] and worker.logged("job compared") == []
        assert worker.metric("scalingcache_reruns_total", model=MODEL, work="shadow", end="given_up") == 1
        assert sorted(path.name for path in (tmp_path / "artifacts").rglob("*.mp4")) == ["video.mp4"] * 2
        again("steps 1 of 0")
        wait_until(lambda: {line["job"] for line in worker.logged("job compared")} == {first.id, second.id})


def test_two_idle_workers_do_not_run_the_same_shadow_twice(queue: Queue, start: Callable[..., WorkerProcess]) -> None:
    with start(SHADOW, **AT_ONCE) as one, start(SHADOW, **AT_ONCE) as other:
        jobs = [done(queue, f"job {number}") for number in range(6)]
        wait_until(lambda: waiting(queue) == 0)
        wait_until(lambda: len(one.logged("job compared") + other.logged("job compared")) >= len(jobs))
        compared = [line["job"] for worker in (one, other) for line in worker.logged("job compared")]
        assert sorted(compared) == sorted(job.id for job in jobs)


def test_shadows_come_before_calibrations_and_a_share_of_0_does_nothing(
    queue: Queue, start: Callable[..., WorkerProcess]
) -> None:
    queue.connection.ping()
    with start({}, **AT_ONCE):
        plain = done(queue)
    assert waiting(queue) == waiting(queue, "calibration") == 0
    noted = Reruns(queue.connection, lease_seconds=60, kept_seconds=3600)
    compared = done_by(queue, start)
    noted.offer("calibration", "", plain)
    noted.offer("shadow", "", compared)
    with start(SHADOW | CALIBRATE, **AT_ONCE) as worker:
        assert [line["work"] for line in started(worker, 2)] == ["shadow", "calibration"]


def done_by(queue: Queue, start: Callable[..., WorkerProcess]) -> Job:
    with start():
        return done(queue, "another one")


def test_one_request_is_calibrated_with_once(queue: Queue, start: Callable[..., WorkerProcess]) -> None:
    with start(CALIBRATE, **AT_ONCE) as worker:
        for _ in range(3):
            done(queue)
        wait_until(lambda: waiting(queue, "calibration") == 0)
        labels = {"model": MODEL, "work": "calibration", "end": "known"}
        wait_until(lambda: worker.metric("scalingcache_reruns_total", **labels) == 2)
        assert len(worker.logged("rerun started")) == 1
        assert learnt(queue) == ["again a red ball"]


def test_a_job_whose_result_is_gone_is_left_out_and_counted(
    queue: Queue, start: Callable[..., WorkerProcess], tmp_path: Path
) -> None:
    with start():
        without_file, deleted = done(queue, "1"), done(queue, "2")
    noted = Reruns(queue.connection, lease_seconds=60, kept_seconds=3600)
    for job in (without_file, deleted):
        noted.offer("shadow", "", job)
    [file] = [path for path in tmp_path.rglob("video.mp4") if without_file.id in str(path)]
    file.unlink()
    queue.jobs.delete(deleted.key)
    with start(SHADOW, **AT_ONCE) as worker:
        wait_until(lambda: waiting(queue) == 0)
        wait_until(lambda: worker.metric("scalingcache_reruns_total", model=MODEL, work="shadow", end="gone") == 2)
        assert worker.metric("scalingcache_shadow_psnr_decibels_count", model=MODEL, sf="10") is None
    assert learnt(queue) == []


def test_a_job_that_is_deleted_during_its_shadow_ends_it(
    queue: Queue, start: Callable[..., WorkerProcess], again: Callable[[str], None]
) -> None:
    again(FOREVER)
    with start(SHADOW, **AT_ONCE) as worker:
        job = done(queue)
        started(worker)
        queue.jobs.delete(job.key)
        over(worker, end="gone")
        assert learnt(queue) == [] and waiting(queue) == 0


def test_a_worker_that_is_told_to_end_leaves_its_rerun_to_others_at_once(
    queue: Queue, start: Callable[..., WorkerProcess], again: Callable[[str], None]
) -> None:
    again(FOREVER)
    with start(SHADOW, **AT_ONCE) as worker:
        job = done(queue)
        started(worker)
        worker.signal(signal.SIGTERM)
        wait_until(worker.ended)
        assert worker.process.returncode == 0
        [line] = worker.logged("rerun ended")
        assert line["end"] == "stopped"
    again("steps 1 of 0")
    with start(SHADOW, **AT_ONCE) as second:
        [line] = wait_until(lambda: second.logged("job compared"))
        assert line["job"] == job.id


def test_a_killed_worker_leaves_its_rerun_to_others_and_one_that_kills_workers_is_left_alone(
    queue: Queue, start: Callable[..., WorkerProcess], again: Callable[[str], None]
) -> None:
    again(FOREVER)
    with start(SHADOW, **AT_ONCE, lease_seconds=2) as worker:
        job = done(queue)
        started(worker)
        worker.kill()
    again("abort")
    with start(SHADOW, **AT_ONCE, lease_seconds=2) as second:
        over(second, job=job.id, end="failed")
        done(queue, "another one")
        assert waiting(queue) <= 1
        assert len(second.logged("rerun started", job=job.id)) == 1


def test_a_rerun_is_given_up_when_redis_is_away_and_jobs_run_when_it_is_back(
    queue: Queue, own_redis: EmbeddedRedis, start: Callable[..., WorkerProcess], again: Callable[[str], None]
) -> None:
    again(FOREVER)
    with start(SHADOW, **AT_ONCE) as worker:
        done(queue)
        started(worker)
        kill(own_redis)
        over(worker, end="stopped")
        own_redis.start()
        done(queue, "after it")


def test_idle_work_waits_until_nothing_was_queued_for_a_while(
    queue: Queue, start: Callable[..., WorkerProcess]
) -> None:
    with start(SHADOW, idle_seconds=3600) as worker:
        done(queue)
        wait_until(lambda: waiting(queue) == 1)
        wait_until(lambda: [each for each in queue.presence.workers() if each.state == "idle"])
        done(queue)
        assert worker.logged("rerun started") == []
