"""A record that cannot be read is a failed job, with all of it that can be."""

import json

import pytest

from tests.queues import Queue
from tests.workers.factories import MODEL, TENANT, a_report, a_request, an_artifact, submit
from tests.workers.jobs.leases import claim
from workers.jobs import keys
from workers.jobs.job import Job, JobState
from workers.jobs.records import UNREADABLE, readable_job

_NAN_IN_REPORT = json.dumps(a_report().model_dump() | {"epsilon": [None]})
#: What is put into a completed job's record: each makes it unreadable, each in another way.
BROKEN: dict[str, tuple[str, bytes]] = {
    "a number that was not finite": ("report", _NAN_IN_REPORT.encode()),
    "another version's field": ("surprise", b"1"),
    "another version's part": ("report", b'{"surprise": 1}'),
    "a part cut short": ("artifact", b'{"path": "a'),
    "a request cut short": ("request", a_request("ein Ballon").model_dump_json().encode()[:40]),
    "a request cut within a character": ("request", '{"prompt": "ü'.encode()[:-1]),
    "no JSON but deep": ("metadata", b"[" * 100_000),
    "another version's state": ("state", b"paused"),
    "no time": ("created_at", b"yesterday"),
    "an endless number": ("step", b"9" * 5000),
}

#: What readers of the last version knew: fields of a record, and of the report in it.
KNOWN = {
    "id", "tenant", "priority", "request", "metadata", "state", "created_at", "deadline_at", "started_at",
    "completed_at", "expires_at", "attempts", "worker", "stage", "step", "cancel_requested", "error", "artifact",
    "report", "webhook_id", "webhook_url", "remixed_from", "result_of", "token", "lane", "entry", "deleted",
    "retention",
}  # fmt: skip
KNOWN_IN_REPORT = {
    "steps", "full_steps", "cached_steps", "decisions", "engaged", "reason", "speedup_measured", "speedup_estimated",
    "full_step_seconds", "predicted_step_seconds", "cache_bytes", "timings", "account", "no_effect", "prompt_tokens",
}  # fmt: skip


@pytest.fixture
def completed(queue: Queue) -> Job:
    submit(queue, a_request("ein Ball"))
    attempt = claim(queue)
    queue.leases.complete(attempt, an_artifact(), a_report())
    return attempt.job


@pytest.mark.parametrize(("field", "value"), BROKEN.values(), ids=list(BROKEN))
def test_a_record_that_cannot_be_read_is_a_failed_job_among_the_others(
    queue: Queue, completed: Job, field: str, value: bytes
) -> None:
    other = submit(queue)
    queue.connection.commands.hset(keys.job(completed.id), field, value)
    job = queue.jobs.get(completed.key)
    assert (job.state, job.error, job.artifact, job.report) == (JobState.FAILED, UNREADABLE, None, None)
    assert (job.id, job.tenant, job.request.model) == (completed.id, TENANT, MODEL)
    assert (job.request == completed.request) is (field != "request"), "what can be read is kept"
    listed, _ = queue.jobs.list(TENANT, [MODEL], after=None, limit=10, ascending=True)
    assert [each.id for each in listed] == [completed.id, other.id]
    assert queue.jobs.cancel(completed.key).id == completed.id
    assert [each.id for each in queue.inspection.last_failures(MODEL, 5)] == [completed.id]
    queue.jobs.delete(completed.key)
    assert queue.jobs.list(TENANT, [MODEL], after=None, limit=10, ascending=True)[0] == [other]


def test_a_record_has_no_field_that_other_versions_may_not_know(queue: Queue) -> None:
    """Services and workers are upgraded one after the other, and refuse a record with a field that they do not know: a
    job of it is shown as failed, and a worker that gets it fails it. What a script has to remember beside the record
    has a key of its own; a field that is new here needs a line of the changelog about which of them comes first."""
    submit(queue)
    attempt = queue.leases.claim([MODEL], "w", {MODEL: 4})
    assert attempt is not None
    queue.leases.beat(attempt, "denoise", 1)
    records = [queue.connection.commands.hgetall(keys.job(attempt.job.id))]
    queue.leases.release(attempt)
    records.append(queue.connection.commands.hgetall(keys.job(attempt.job.id)))
    queue.leases.complete(claim(queue), an_artifact(), a_report())
    records.append(queue.connection.commands.hgetall(keys.job(attempt.job.id)))
    assert {name for record in records for name in record} <= KNOWN
    assert set(json.loads(records[-1]["report"])) <= KNOWN_IN_REPORT


def test_a_running_job_that_cannot_be_read_leaves_the_others_to_be_seen(queue: Queue) -> None:
    bad, good = (submit(queue), claim(queue).job)[0], (submit(queue), claim(queue).job)[1]
    queue.connection.commands.hset(keys.job(bad.id), "request", "{")
    assert [job.id for job in queue.inspection.running(MODEL)] == [good.id]


def test_a_name_that_is_no_job_id_is_passed_over(queue: Queue) -> None:
    job = submit(queue)
    for key in (keys.tenant_jobs(MODEL, TENANT), keys.expiries(MODEL), keys.leases(MODEL)):
        queue.connection.commands.zadd(key, {"somebody else's": 1.0})
    assert queue.jobs.list(TENANT, [MODEL], after=None, limit=10, ascending=True)[0] == [job]
    assert (queue.inspection.running(MODEL), queue.inspection.last_failures(MODEL, 5)) == ([], [])


def test_a_record_without_its_tenant_is_nobodys(queue: Queue) -> None:
    job = submit(queue)
    queue.connection.commands.hdel(keys.job(job.id), "tenant")
    assert queue.jobs.list(TENANT, [MODEL], after=None, limit=10, ascending=True)[0] == []


def test_of_an_empty_record_id_and_tenant_are_left() -> None:
    job = readable_job({}, f"video_{MODEL}_{'0' * 32}", TENANT)
    assert (job.tenant, job.request.model, job.request.prompt, job.error) == (TENANT, MODEL, "", UNREADABLE)
