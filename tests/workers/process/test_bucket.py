"""A worker whose results go to a bucket that is not always there."""

from pathlib import Path

import pytest

from tests.queues import Queue
from tests.s3_servers import BUCKET, KEYS, S3Server, an_s3_server
from tests.waiting import wait_until
from tests.workers.factories import a_request, submit
from tests.workers.process.stand_in import HOLD
from tests.workers.process.worker_process import WorkerProcess
from workers.jobs.artifacts import MARKER
from workers.jobs.job import JobState


@pytest.mark.slow
def test_a_job_whose_result_finds_no_store_is_run_again_and_not_lost(tmp_path: Path, redis_url: str) -> None:
    queue = Queue.open(redis_url)
    with an_s3_server() as server:
        settings = {
            "storage_url": f"s3://{BUCKET}/own",
            "storage_endpoint": server.endpoint,
            "storage_access_key": KEYS[0],
            "storage_secret_key": KEYS[1],
            "models": "wan-tiny",
        }
        with WorkerProcess("tests.workers.process.stand_in", redis_url, tmp_path, **settings) as worker:
            first = submit(queue, a_request("steps 1 of 0"))
            done = wait_until(lambda: _in(queue, first.key, JobState.COMPLETED))
            assert done.artifact is not None and f"own/{done.artifact.path}" in server.names()
            mark = server.client().get_object(Bucket=BUCKET, Key=f"own/{MARKER}")["Body"].read()

            hold = tmp_path / "artifacts" / HOLD
            hold.touch()
            job = submit(queue, a_request("steps 3 of 0.02"))
            wait_until(lambda: queue.jobs.get(job.key).step > 0)
            server.stop()  # in the middle
            hold.unlink()
            wait_until(lambda: worker.logged("no jobs taken", code="storage_unavailable"))
            waiting = queue.jobs.get(job.key)
            assert (waiting.state, waiting.attempts) == (JobState.QUEUED, 1)
            assert waiting.error is None or waiting.error.code == "storage_unavailable"

            _restart(server, mark)
            again = wait_until(lambda: _in(queue, job.key, JobState.COMPLETED))
            assert again.attempts == 2 and again.artifact is not None
            assert f"own/{again.artifact.path}" in server.names()
    queue.close()


def _in(queue: Queue, key, state: JobState):  # type: ignore[no-untyped-def]
    job = queue.jobs.get(key)
    return job if job.state is state else None


def _restart(server: S3Server, mark: bytes) -> None:
    """With the mark that it had: this one forgets all that it held."""
    server.start()
    server.client().put_object(Bucket=BUCKET, Key=f"own/{MARKER}", Body=mark)
