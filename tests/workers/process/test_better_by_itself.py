"""`python -m workers run` on a real checkpoint: what idle time makes of the jobs that come after it."""

from pathlib import Path

import pytest

from demo.embedded_redis import EmbeddedRedis
from tests.catalogues import catalogue_text
from tests.queues import Queue
from tests.waiting import wait_until
from tests.workers.factories import submit
from tests.workers.micro_flux import micro_entry, save_micro_flux
from tests.workers.process.jobs import ended
from tests.workers.process.worker_process import WorkerProcess
from workers.jobs.job import Job
from workers.models.catalogue import Catalogue

pytestmark = pytest.mark.slow


def test_idle_workers_compare_what_was_delivered_and_make_later_jobs_rest_on_what_they_saw(
    own_redis: EmbeddedRedis, queue: Queue, tmp_path: Path
) -> None:
    save_micro_flux(tmp_path / "micro-flux")
    entry = micro_entry(tmp_path / "micro-flux", shadow_share=0.5, calibrate_when_idle=True)
    path = tmp_path / "models.toml"
    path.write_text(catalogue_text(entry))
    catalogue = Catalogue.read(path)

    def job(seed: int, **settings: int) -> Job:
        request = catalogue.request(entry.name, "red circle", seed=seed, steps=20, sf=4, **settings)
        return wait_until(ended(queue, submit(queue, request)), seconds=120)

    with WorkerProcess(
        "workers", own_redis.url, tmp_path, "run", catalogue=path, torch_threads=1, idle_seconds=0, metrics_port=0
    ) as worker:
        before = job(1)
        job(2)
        wait_until(lambda: worker.logged("uncached run kept", verdict="promoted"), seconds=120)
        after = job(1)
        assert (basis_runs(before), basis_runs(after)) == (0, 2)
        assert before.artifact and after.artifact and before.artifact.sha256 != after.artifact.sha256
        pinned = job(1, basis_runs=0)
        assert pinned.artifact and pinned.artifact.sha256 == before.artifact.sha256
        assert "red circle" not in worker.log()
        assert worker.metric("scalingcache_observed_runs_total", model=entry.name, verdict="promoted") == 1


def test_a_warm_up_with_enough_steps_and_an_uncached_job_make_later_jobs_rest_on_what_they_have_shown(
    own_redis: EmbeddedRedis, queue: Queue, tmp_path: Path
) -> None:
    save_micro_flux(tmp_path / "micro-flux")
    path = tmp_path / "models.toml"
    path.write_text(catalogue_text(micro_entry(tmp_path / "micro-flux", warmup_steps=20)))
    catalogue = Catalogue.read(path)

    def job(**settings: int) -> Job:
        request = catalogue.request("micro-flux", "red circle", seed=1, steps=20, **settings)
        return wait_until(ended(queue, submit(queue, request)), seconds=120)

    def start() -> WorkerProcess:
        return WorkerProcess("workers", own_redis.url, tmp_path, "run", catalogue=path, torch_threads=1, metrics_port=0)

    with start() as worker:
        assert basis_runs(job(sf=4)) == 0
        assert worker.logged("warm-up", run="kept")
        assert job(sf=20).report
        assert basis_runs(job(sf=4)) == 2
    # As a day later, when the request of the first warm-up is not known any more.
    [requests] = queue.connection.commands.keys("*:observed:*")
    queue.connection.commands.delete(requests)
    with start() as worker:
        assert basis_runs(job(sf=4)) == 2
        assert not worker.logged("warm-up")


def basis_runs(job: Job) -> int:
    assert job.report and job.report.account and job.report.account.basis
    return job.report.account.basis.runs
