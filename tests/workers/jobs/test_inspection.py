"""What an operator is shown of the queue: what ended last, of all accounts alike."""

from tests.queues import Queue
from tests.workers.factories import MODEL, TENANT, a_report, an_artifact, submit
from tests.workers.jobs.leases import claim
from tests.workers.jobs.shared import complete, two
from workers.jobs.connection import Connection
from workers.jobs.job import Job, JobError, Priority
from workers.jobs.queue import Jobs

ERROR = JobError(code="generation_failed", message="it failed")


def made(queue: Queue, tenant: str = TENANT) -> Job:
    submit(queue, tenant=tenant)
    attempt = claim(queue)
    queue.leases.complete(attempt, an_artifact(), a_report())
    return attempt.job


def failed(queue: Queue) -> Job:
    submit(queue)
    attempt = claim(queue)
    queue.leases.fail(attempt, ERROR, 1)
    return attempt.job


def ids(jobs: list[Job]) -> list[str]:
    return [job.id for job in jobs]


def keeps_long(queue: Queue, connection: Connection) -> Queue:
    """The same queue, where one account's jobs are kept for a year."""
    jobs = Jobs(connection, retention_of={"archive": 365 * 86_400.0})
    return Queue(connection, jobs, queue.leases, queue.presence, queue.inspection)


def test_what_ended_last_comes_first_however_long_others_keep_theirs(queue: Queue) -> None:
    long = keeps_long(queue, queue.connection)
    archived = [made(long, "archive") for _ in range(3)]
    last = made(queue)
    assert ids(queue.inspection.last_completed(MODEL, 2)) == [last.id, archived[-1].id]


def test_jobs_that_took_anothers_result_take_no_place_among_those_that_were_run(queue: Queue) -> None:
    first = made(queue)
    owner, _ = two(queue)
    complete(queue, claim(queue))
    assert ids(queue.inspection.last_completed(MODEL, 2)) == [owner.id, first.id]


def test_failures_are_listed_by_their_end_and_neither_cancelled_nor_deleted_jobs_with_them(queue: Queue) -> None:
    first, deleted, last = failed(queue), failed(queue), failed(queue)
    queue.jobs.cancel(submit(queue).key)
    queue.jobs.delete(deleted.key)
    made(queue)
    assert ids(queue.inspection.last_failures(MODEL, 5)) == [last.id, first.id]
    assert ids(queue.inspection.last_failures(MODEL, 1)) == [last.id]


def test_a_completed_job_that_was_deleted_leaves_its_place_empty(queue: Queue) -> None:
    kept, gone = made(queue), made(queue)
    queue.jobs.delete(gone.key)
    assert ids(queue.inspection.last_completed(MODEL, 5)) == [kept.id]


def test_lists_of_what_ended_stay_short(queue: Queue) -> None:
    for _ in range(101):
        made(queue)
    assert len(queue.inspection.last_completed(MODEL, 1000)) == 100


def test_a_new_job_waits_behind_those_of_higher_lanes(queue: Queue) -> None:
    submit(queue, priority=Priority.HIGH)
    submit(queue, priority=Priority.LOW)
    assert queue.inspection.waiting(MODEL, Priority.NORMAL, TENANT) == 1
