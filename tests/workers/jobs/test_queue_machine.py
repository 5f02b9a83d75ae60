"""The queue on a real Redis against a model of it in plain Python, through sequences that hypothesis finds."""

from dataclasses import dataclass, field

import hypothesis.strategies as st
import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from tests.queues import Queue
from tests.redis_servers import every_redis
from tests.workers.factories import MODEL, TENANT, a_report, an_artifact, submit
from tests.workers.jobs.leases import WORKER, end_lease, stream_lengths
from workers.jobs import keys
from workers.jobs.errors import JobNotFound, LeaseLost
from workers.jobs.job import JobError, JobKey, JobState, Priority
from workers.jobs.leases import Attempt, BeatReply

ERROR = JobError(code="worker_crashed", message="it crashed")


@dataclass
class Known:
    """What the model believes of one job."""

    state: JobState = JobState.QUEUED
    attempts: int = 0
    step: int = 0
    cancel: bool = False
    deleted: bool = False
    current: Attempt | None = None
    stale: list[Attempt] = field(default_factory=list)

    @property
    def gone(self) -> bool:
        return self.deleted and self.state is not JobState.RUNNING


class QueueMachine(RuleBasedStateMachine):
    def __init__(self, url: str) -> None:
        super().__init__()
        self.queue = Queue.open(url)
        self.raw = redis.Redis.from_url(url, decode_responses=True)
        self.raw.flushall()
        self.jobs: dict[str, Known] = {}
        self.lanes: dict[str, list[str]] = {lane: [] for lane in keys.LANES}

    def teardown(self) -> None:
        self.queue.close()
        self.raw.close()

    def pick(self, data: st.DataObject, *states: JobState) -> tuple[str, Known]:
        return data.draw(st.sampled_from([(i, job) for i, job in self.jobs.items() if job.state in states]))

    def has(self, *states: JobState) -> bool:
        return any(job.state in states for job in self.jobs.values())

    def running(self) -> bool:
        return self.has(JobState.RUNNING)

    @rule(priority=st.sampled_from(list(Priority)))
    def submit(self, priority: Priority) -> None:
        job = submit(self.queue, priority=priority)
        self.jobs[job.id] = Known()
        self.lanes[priority].append(job.id)

    @rule()
    def claim(self) -> None:
        attempt = self.queue.leases.claim([MODEL], WORKER)
        lane = next((lane for lane in keys.LANES if self.lanes[lane]), None)
        if lane is None:
            assert attempt is None
            return
        assert attempt is not None
        assert attempt.job.id == self.lanes[lane].pop(0)
        job = self.jobs[attempt.job.id]
        job.state, job.attempts, job.current = JobState.RUNNING, job.attempts + 1, attempt

    @precondition(running)
    @rule(data=st.data(), step=st.integers(0, 50))
    def beat(self, data: st.DataObject, step: int) -> None:
        _, job = self.pick(data, JobState.RUNNING)
        assert job.current is not None
        expected = BeatReply.STOP if job.cancel or job.deleted else BeatReply.OK
        assert self.queue.leases.beat(job.current, "denoise", step) is expected
        job.step = max(job.step, step)

    @precondition(running)
    @rule(data=st.data(), how=st.sampled_from(["complete", "cancelled", "release", "fail"]), limit=st.integers(1, 3))
    def settle(self, data: st.DataObject, how: str, limit: int) -> None:
        job_id, job = self.pick(data, JobState.RUNNING)
        attempt = job.current
        assert attempt is not None
        if job.cancel or job.deleted or how == "cancelled":
            expected = JobState.CANCELLED
        elif how == "complete":
            expected = JobState.COMPLETED
        elif how == "fail" and job.attempts >= limit:
            expected = JobState.DEAD if limit > 1 else JobState.FAILED
        else:
            expected = JobState.QUEUED
        purged = job.deleted
        assert self.write(attempt, how, limit) is expected
        if not purged:
            assert self.write(attempt, how, limit) is expected, "the reply was lost and the write sent again"
        self.end(job_id, job, expected, counts=how != "release")
        if expected is JobState.COMPLETED:
            job.step = a_report().steps

    @precondition(running)
    @rule(data=st.data())
    def lease_ends(self, data: st.DataObject) -> None:
        job_id, job = self.pick(data, JobState.RUNNING)
        assert job.current is not None
        end_lease(self.raw, job.current)
        if job.cancel or job.deleted:
            expected = JobState.CANCELLED
        else:
            expected = JobState.QUEUED if job.attempts < 3 else JobState.DEAD
        [reaped] = self.queue.leases.reap(MODEL)
        assert (reaped.job_id, reaped.state) == (job_id, expected)
        job.stale.append(job.current)
        self.end(job_id, job, expected)

    @precondition(lambda self: any(job.stale for job in self.jobs.values()))
    @rule(data=st.data(), how=st.sampled_from(["complete", "cancelled", "release", "fail", "beat"]))
    def zombie_writes(self, data: st.DataObject, how: str) -> None:
        stale = data.draw(st.sampled_from([attempt for job in self.jobs.values() for attempt in job.stale]))
        if how == "beat":
            assert self.queue.leases.beat(stale, "decode", 50) is BeatReply.LOST
        else:
            with pytest.raises(LeaseLost):
                self.write(stale, how, 3)

    @precondition(lambda self: bool(self.jobs))
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        job_id, job = self.pick(data, *JobState)
        if job.deleted:
            with pytest.raises(JobNotFound):
                self.queue.jobs.cancel(JobKey(TENANT, job_id))
            return
        answered = self.queue.jobs.cancel(JobKey(TENANT, job_id))
        if job.state is JobState.QUEUED:
            self.leave_lane(job_id)
            job.state, job.cancel = JobState.CANCELLED, True
        elif job.state is JobState.RUNNING:
            job.cancel = True
        assert (answered.state, answered.cancel_requested) == (job.state, job.cancel)

    @precondition(lambda self: bool(self.jobs))
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        job_id, job = self.pick(data, *JobState)
        if job.deleted:
            with pytest.raises(JobNotFound):
                self.queue.jobs.delete(JobKey(TENANT, job_id))
            return
        self.queue.jobs.delete(JobKey(TENANT, job_id))
        job.deleted = True
        if job.state is JobState.QUEUED:
            self.leave_lane(job_id)
            job.state = JobState.CANCELLED

    @rule()
    def sweep(self) -> None:
        due = {expired.job_id: expired for expired in self.queue.leases.expired(MODEL)}
        assert set(due) <= {job_id for job_id, job in self.jobs.items() if job.gone}
        for expired in due.values():
            self.queue.leases.forget(expired)

    def write(self, attempt: Attempt, how: str, limit: int) -> JobState:
        match how:
            case "complete":
                return self.queue.leases.complete(attempt, an_artifact(), a_report()).state
            case "fail":
                return self.queue.leases.fail(attempt, ERROR, limit).state
            case "cancelled":
                return self.queue.leases.cancel(attempt).state
            case _:
                return self.queue.leases.release(attempt).state

    def end(self, job_id: str, job: Known, state: JobState, *, counts: bool = True) -> None:
        job.state, job.current = state, None
        if state is JobState.QUEUED:
            job.step = 0
            job.attempts -= not counts
            self.lanes["retry"].append(job_id)

    def leave_lane(self, job_id: str) -> None:
        for lane in self.lanes.values():
            if job_id in lane:
                lane.remove(job_id)

    @invariant()
    def records_agree(self) -> None:
        for job_id, job in self.jobs.items():
            if job.deleted:
                assert bool(self.raw.exists(keys.job(job_id))) == (job.state is JobState.RUNNING)
                continue
            record = self.queue.jobs.get(JobKey(TENANT, job_id))
            assert (record.state, record.attempts, record.step) == (job.state, job.attempts, job.step)
            assert record.cancel_requested == job.cancel
            assert (record.artifact is not None) == (job.state is JobState.COMPLETED)
            assert (record.expires_at is not None) == job.state.terminal

    @invariant()
    def lanes_agree(self) -> None:
        waiting = [job_id for lane in keys.LANES for job_id in self.lanes[lane]]
        depth = self.queue.inspection.depth(MODEL)
        running = sum(job.state is JobState.RUNNING for job in self.jobs.values())
        assert (depth.queued, depth.running) == (len(waiting), running)
        assert stream_lengths(self.raw) == len(waiting) + running
        positions = [self.queue.jobs.position(self.queue.jobs.get(JobKey(TENANT, job_id))) for job_id in waiting]
        ahead = {job_id: index for index, job_id in enumerate(waiting)}
        assert positions == [ahead[job_id] for job_id in waiting]
        listed, _ = self.queue.jobs.list(TENANT, [MODEL], after=None, limit=100, ascending=True)
        assert [job.id for job in listed] == [job_id for job_id, job in self.jobs.items() if not job.deleted]


@every_redis
def test_the_queue_does_what_its_model_does(redis_url: str) -> None:
    run_state_machine_as_test(
        lambda: QueueMachine(redis_url),
        settings=settings(
            max_examples=40,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
