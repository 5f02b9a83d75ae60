"""The whole worker as real processes on a real Redis, with a model that takes no time (`stand_in.py`)."""

import signal
from collections.abc import Callable
from pathlib import Path

from demo.embedded_redis import EmbeddedRedis
from tests.catalogues import a_model, catalogue_text
from tests.queues import Queue
from tests.redis_servers import every_redis, kill
from tests.waiting import wait_until
from tests.workers.factories import MODEL, TENANT, a_request, submit
from tests.workers.process.jobs import assert_published, at_step, ended
from tests.workers.process.stand_in import BROKEN
from tests.workers.process.worker_process import WorkerProcess
from workers.jobs.job import JobError, JobState
from workers.jobs.token_counts import TokenCounts

LONG = a_request("steps 100000 of 0.02")


def test_a_warm_process_runs_one_job_after_the_other(
    queue: Queue, start: Callable[..., WorkerProcess], tmp_path: Path
) -> None:
    with start(worker="bench-1") as worker:
        jobs = [submit(queue, a_request("steps 3 of 0.001")) for _ in range(3)]
        finished = [wait_until(ended(queue, job)) for job in jobs]
        pid = worker.child.pid

        for job in finished:
            assert_published(job, tmp_path)
            assert (job.attempts, job.worker) == (1, "bench-1")
            assert (tmp_path / "artifacts" / (job.artifact.path if job.artifact else "")).read_text() == str(pid)
        assert "a red ball" not in worker.log()


def test_a_job_survives_the_death_of_its_worker(
    queue: Queue, start: Callable[..., WorkerProcess], tmp_path: Path, hold: Path
) -> None:
    with start(lease_seconds=2) as first:
        job = submit(queue, a_request("steps 3 of 0.02"))
        wait_until(at_step(queue, job, 1))
        child = first.child
        first.kill()
        hold.unlink()
        with start():
            finished = wait_until(ended(queue, job))
            assert_published(finished, tmp_path)
            assert finished.attempts == 2
        wait_until(lambda: not child.is_running(), awaited="the orphaned child ends by itself")


def test_a_cancel_stops_the_running_job_and_the_process_stays_warm(
    queue: Queue, start: Callable[..., WorkerProcess]
) -> None:
    with start() as worker:
        job = submit(queue, LONG)
        wait_until(at_step(queue, job, 1))
        child = worker.child.pid
        [counted] = TokenCounts(queue.connection, 4.0).ask(MODEL, "a red ball")
        assert (counted.tokens, counted.limit) == (3, 8), "a running job keeps no question waiting"

        assert queue.jobs.cancel(job.key).cancel_requested
        assert wait_until(ended(queue, job)).state is JobState.CANCELLED
        after = submit(queue)
        assert wait_until(ended(queue, after)).state is JobState.COMPLETED

        assert worker.child.pid == child
        [stopped] = worker.logged("job ended", job=job.id)
        assert stopped["outcome"] == "cancelled"
        assert stopped["steps"] < 100_000


def test_a_deleted_running_job_leaves_nothing(
    queue: Queue, start: Callable[..., WorkerProcess], tmp_path: Path
) -> None:
    with start() as worker:
        job = submit(queue, LONG)
        wait_until(at_step(queue, job, 1))
        queue.jobs.delete(job.key)
        wait_until(lambda: worker.logged("job purged", job=job.id))
    assert not (tmp_path / "artifacts" / TENANT / job.id).exists()
    assert queue.inspection.depth(MODEL).running == 0


@every_redis
def test_a_job_survives_the_death_of_redis(
    own_redis: EmbeddedRedis, queue: Queue, start: Callable[..., WorkerProcess], tmp_path: Path, hold: Path
) -> None:
    with start():
        running, waiting = submit(queue, a_request("steps 3 of 0.02")), submit(queue)
        wait_until(at_step(queue, running, 1))

        kill(own_redis)
        own_redis.start()
        hold.unlink()

        assert_published(wait_until(ended(queue, running)), tmp_path)
        assert_published(wait_until(ended(queue, waiting)), tmp_path)


def test_a_worker_gives_its_job_up_when_redis_is_away_longer_than_the_lease(
    own_redis: EmbeddedRedis, queue: Queue, start: Callable[..., WorkerProcess], tmp_path: Path, hold: Path
) -> None:
    with start(lease_seconds=1, beat_seconds=0.2) as worker:
        job = submit(queue, a_request("steps 3 of 0.02"))
        wait_until(at_step(queue, job, 1))
        kill(own_redis)
        wait_until(lambda: worker.logged("stopping job", why="lapsed"))
        hold.unlink()
        own_redis.start()
        assert_published(wait_until(ended(queue, job)), tmp_path)
        wait_until(lambda: worker.logged("job ended", job=job.id, outcome="completed"))
        outcome = worker.logged("job ended", job=job.id)[0]["outcome"]
        attempts = [line["attempt"] for line in worker.logged("job started", job=job.id)]
        # Given back it costs no attempt; unless its lease was found to be over before that.
        assert (outcome, attempts[:2]) in (("released", [1, 1]), ("lost", [1, 2]))


@every_redis
def test_redis_back_empty_needs_no_help(
    own_redis: EmbeddedRedis, queue: Queue, start: Callable[..., WorkerProcess]
) -> None:
    with start() as worker:
        lost = submit(queue, LONG)
        wait_until(at_step(queue, lost, 1))
        kill(own_redis)
        for file in own_redis.data.rglob("*aof*"):
            if file.is_file():
                file.unlink()
        own_redis.start()

        wait_until(lambda: worker.logged("job ended", job=lost.id, outcome="lost"))
        job = submit(queue)
        assert wait_until(ended(queue, job)).state is JobState.COMPLETED


def test_a_worker_waits_for_a_redis_that_is_not_there_yet(
    own_redis: EmbeddedRedis, queue: Queue, start: Callable[..., WorkerProcess]
) -> None:
    kill(own_redis)
    with start() as worker:
        wait_until(lambda: worker.logged("waiting for Redis"))
        own_redis.start()
        job = submit(queue)
        assert wait_until(ended(queue, job)).state is JobState.COMPLETED


def test_sigterm_gives_a_long_job_back_unharmed(queue: Queue, start: Callable[..., WorkerProcess]) -> None:
    with start(drain_seconds=0) as worker:
        job = submit(queue, LONG)
        wait_until(at_step(queue, job, 1))
        worker.signal(signal.SIGTERM)
        wait_until(worker.ended)

        released = queue.jobs.get(job.key)
        assert worker.process.returncode == 0
        assert (released.state, released.attempts) == (JobState.QUEUED, 0)
        assert queue.presence.workers() == []


def test_sigterm_lets_a_short_job_finish(
    queue: Queue, start: Callable[..., WorkerProcess], tmp_path: Path, hold: Path
) -> None:
    with start(drain_seconds=120) as worker:
        job, next_job = submit(queue, a_request("steps 3 of 0.02")), submit(queue)
        wait_until(at_step(queue, job, 1))
        worker.signal(signal.SIGTERM)
        wait_until(lambda: [(info.state, info.models) for info in queue.presence.workers()] == [("draining", ())])
        hold.unlink()
        wait_until(worker.ended)

        assert worker.process.returncode == 0
        assert_published(queue.jobs.get(job.key), tmp_path)
        assert queue.jobs.get(next_job.key).state is JobState.QUEUED


def test_a_worker_that_slept_past_its_lease_cannot_write(
    queue: Queue, start: Callable[..., WorkerProcess], tmp_path: Path, hold: Path
) -> None:
    with start(worker="sleeper", metrics_port=0, lease_seconds=2) as sleeper:
        job = submit(queue, a_request("steps 3 of 0.02"))
        wait_until(at_step(queue, job, 1))
        sleeper.signal(signal.SIGSTOP)
        hold.unlink()
        with start(worker="awake"):
            finished = wait_until(ended(queue, job))
            sleeper.signal(signal.SIGCONT)
            wait_until(lambda: sleeper.logged("job ended", job=job.id, outcome="lost"))
            assert sleeper.metric("scalingcache_stale_writes_refused_total", model=MODEL) == 1
            assert sleeper.metric("scalingcache_lease_losses_total", model=MODEL) == 1

        assert queue.jobs.get(job.key) == finished
        assert (finished.worker, finished.attempts) == ("awake", 2)
        assert_published(finished, tmp_path)
        after = submit(queue)
        assert wait_until(ended(queue, after)).worker == "sleeper"


def test_a_model_that_cannot_be_loaded_keeps_the_worker_waiting_not_crashing(
    queue: Queue, start: Callable[..., WorkerProcess], tmp_path: Path
) -> None:
    broken = tmp_path / "artifacts" / BROKEN
    broken.parent.mkdir()
    broken.touch()
    with start(worker="patient", metrics_port=0) as worker:
        wait_until(lambda: worker.logged("models not loaded", code="model_load_failed"))
        wait_until(lambda: queue.presence.workers()[0].state == "failed")
        [info] = queue.presence.workers()
        assert (info.models, info.serves) == ((), {MODEL: "float32 on cpu"})
        assert info.problem == JobError(code="model_load_failed", message="broken")
        assert worker.metric("scalingcache_model_load_failed", model=MODEL) == 1

        broken.unlink()
        assert wait_until(ended(queue, submit(queue))).state is JobState.COMPLETED
        wait_until(lambda: queue.presence.workers()[0].models == (MODEL,))
        assert queue.presence.workers()[0].problem is None
        assert worker.metric("scalingcache_model_load_failed", model=MODEL) == 0
        assert not worker.ended()


def test_one_model_that_cannot_be_loaded_does_not_stop_the_others_of_its_worker(
    queue: Queue, start: Callable[..., WorkerProcess], tmp_path: Path
) -> None:
    broken = tmp_path / "artifacts" / f"{BROKEN}-other"
    broken.parent.mkdir()
    broken.touch()
    (tmp_path / "others.toml").write_text(catalogue_text(a_model("other")))
    with start(worker="half", metrics_port=0, catalogue_overrides=tmp_path / "others.toml") as worker:
        assert wait_until(ended(queue, submit(queue))).state is JobState.COMPLETED
        wait_until(lambda: [each.models for each in queue.presence.workers()] == [(MODEL,)])
        [info] = queue.presence.workers()
        assert info.problem is None
        assert info.problems == {"other": JobError(code="model_load_failed", message="broken")}
        assert worker.metric("scalingcache_model_load_failed", model="other") == 1
        assert worker.metric("scalingcache_model_load_failed", model=MODEL) == 0
        pid = worker.child.pid

        broken.unlink()
        assert wait_until(ended(queue, submit(queue, a_request(model="other")))).state is JobState.COMPLETED
        wait_until(lambda: queue.presence.workers()[0].problems == {})
        assert worker.metric("scalingcache_model_load_failed", model="other") == 0
        assert worker.child.pid == pid


def test_a_worker_that_cannot_store_takes_no_jobs_and_says_why(
    queue: Queue, start: Callable[..., WorkerProcess], tmp_path: Path
) -> None:
    store = tmp_path / "artifacts"
    with start(worker="patient") as worker:
        wait_until(lambda: [info.state for info in queue.presence.workers()] == ["idle"])
        with worker.asleep():  # It makes a folder that it misses.
            store.rename(tmp_path / "unmounted")
            store.touch()  # A file in its place: root may write to a folder of any mode.
        wait_until(lambda: [info.state for info in queue.presence.workers()] == ["failed"])
        [info] = queue.presence.workers()
        assert info.problem and info.problem.code == "storage_failed"
        job = submit(queue)
        wait_until(lambda: worker.logged("no jobs taken", code="storage_failed"))

        with worker.asleep():
            store.unlink()
            store.mkdir()  # Empty: what was mounted here is missing.
        wait_until(lambda: worker.logged("no jobs taken", code="store_mismatch"))
        assert (queue.jobs.get(job.key).state, queue.jobs.get(job.key).attempts) == (JobState.QUEUED, 0)

        store.rmdir()
        (tmp_path / "unmounted").rename(store)
        assert_published(wait_until(ended(queue, job)), tmp_path)


def test_a_worker_on_another_folder_than_the_first_takes_no_jobs(
    queue: Queue, start: Callable[..., WorkerProcess], tmp_path: Path
) -> None:
    with start(worker="first"), start(worker="elsewhere", artifacts=tmp_path / "elsewhere") as elsewhere:
        wait_until(lambda: {info.state for info in queue.presence.workers()} == {"idle", "failed"})
        done = [wait_until(ended(queue, submit(queue))) for _ in range(3)]
        failed = next(info for info in queue.presence.workers() if info.state == "failed")
        assert failed.problem and failed.problem.code == "store_mismatch"
        assert {job.worker for job in done} == {"first", "elsewhere"} - {failed.name}
        assert elsewhere.process.poll() is None


def test_a_request_that_the_model_cannot_serve_is_refused_by_the_worker(
    queue: Queue, start: Callable[..., WorkerProcess]
) -> None:
    with start():
        job = submit(queue, a_request().model_copy(update={"frames": 32}))
        failed = wait_until(ended(queue, job))
    assert failed.state is JobState.FAILED
    assert failed.error is not None
    assert failed.error.code == "invalid_request"
