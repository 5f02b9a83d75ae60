"""When jobs have their results, by a real queue and workers that are known."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import redis

from service.outlook import NO_WORKER, NOT_MEASURED, Eta, Newcomer, Outlook
from tests.catalogues import a_model
from tests.queues import Queue
from tests.workers.factories import MODEL, TENANT, a_report, a_request, an_artifact, submit
from workers.jobs import keys
from workers.jobs.connection import Connection
from workers.jobs.job import GenerationRequest, Job, Priority
from workers.jobs.leases import Attempt
from workers.jobs.lines import LOOKED_AT, Lines, Standing
from workers.jobs.pace import MeasuredRuns
from workers.jobs.versions import Version
from workers.models.catalogue import Catalogue, families
from workers.models.duration import ENOUGH_RUNS

#: As long as a run of `a_request` takes that reports `a_report`.
RUN = 4.3


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Stage:
    """A queue, what is foretold of it, and a clock that stands still."""

    queue: Queue
    outlook: Outlook
    clock: Clock = field(default_factory=Clock)

    def eta(self, job: Job, place: int | None = None) -> float | None:
        eta = self.outlook.of(self.queue.jobs.get(job.key), place)
        assert eta is not None
        return eta.seconds

    def measure(self, request: GenerationRequest | None = None) -> None:
        submit(self.queue, request)
        self.queue.leases.complete(self.start(), an_artifact(), a_report())
        self.clock.now += 1.0

    def start(self, worker: str = "w") -> Attempt:
        attempt = self.queue.leases.claim([MODEL], worker)
        assert attempt is not None
        return attempt


@pytest.fixture
def stage(redis_url: str) -> "Stage":
    queue, clock = Queue.open(redis_url), Clock()
    entry = a_model(MODEL)
    outlook = Outlook(queue.connection, queue.presence, Catalogue({entry.name: entry}, families()), clock)
    return Stage(queue, outlook, clock)


def soon(seconds: float) -> object:
    """Times of Redis go on while a test runs."""
    return pytest.approx(seconds, abs=0.9)


def test_a_waiting_job_is_there_once_those_before_it_are(stage: Stage) -> None:
    stage.measure()
    stage.queue.presence.announce("w", [MODEL], "idle")
    jobs = [submit(stage.queue) for _ in range(3)]
    assert [stage.eta(job) for job in jobs] == [soon(RUN), soon(2 * RUN), soon(3 * RUN)]
    urgent = submit(stage.queue, priority=Priority.HIGH)
    stage.clock.now += 0.1
    assert stage.eta(urgent) == soon(RUN)


def test_time_that_passes_is_not_waited_for_twice(stage: Stage) -> None:
    stage.measure()
    stage.queue.presence.announce("w", [MODEL], "idle")
    job = submit(stage.queue)
    before = stage.eta(job)
    stage.clock.now += 0.5
    after = stage.eta(job)
    assert before is not None and after == pytest.approx(before - 0.5)


def test_workers_that_run_something_are_waited_for(stage: Stage) -> None:
    stage.measure()
    running = submit(stage.queue)
    for name in ("w", "v"):
        stage.queue.presence.announce(name, [MODEL], "busy")
    stage.start("w")
    jobs = [submit(stage.queue) for _ in range(3)]
    assert [stage.eta(job) for job in jobs] == [soon(RUN), soon(2 * RUN), soon(2 * RUN)]
    assert stage.eta(running) == soon(RUN)


def test_workers_that_are_busy_with_another_model_are_waited_for(stage: Stage) -> None:
    stage.measure()
    other = submit(stage.queue, a_request(model="other"))
    attempt = stage.queue.leases.claim(["other"], "w")
    assert attempt is not None and attempt.job.id == other.id
    stage.queue.leases.complete(attempt, an_artifact(), a_report())
    submit(stage.queue, a_request(model="other"))
    stage.queue.leases.claim(["other"], "w")
    stage.queue.presence.announce("w", [MODEL, "other"], "busy")
    assert stage.eta(submit(stage.queue)) == soon(2 * RUN)


@pytest.mark.parametrize("state", ["loading", "failed", "draining"])
def test_without_a_worker_that_takes_jobs_nothing_is_promised(stage: Stage, state: str) -> None:
    stage.measure()
    stage.queue.presence.announce("w", [MODEL], state)  # type: ignore[arg-type]
    assert stage.outlook.of(submit(stage.queue)) == NO_WORKER


def test_nothing_is_known_before_anything_was_measured_but_what_a_jobs_own_steps_tell(stage: Stage) -> None:
    stage.queue.presence.announce("w", [MODEL], "idle")
    job = submit(stage.queue)
    assert stage.outlook.of(job) == NOT_MEASURED
    attempt = stage.start()
    assert stage.outlook.of(stage.queue.jobs.get(job.key)) == NOT_MEASURED
    told = stage.queue.jobs.get(job.key).model_copy(
        update={"decisions": "F" * 10, "step": 10, "full_step_seconds": 2.0, "stage": "denoise"}
    )
    assert stage.outlook.of(told) == Eta(soon(16.0))  # type: ignore[arg-type]
    stage.queue.leases.complete(attempt, an_artifact(), a_report())
    assert stage.outlook.of(stage.queue.jobs.get(job.key)) is None


def test_a_job_whose_kind_was_not_measured_makes_others_wait_as_long_as_any(stage: Stage) -> None:
    stage.measure()
    stage.queue.presence.announce("w", [MODEL], "idle")
    strange = submit(stage.queue, a_request().model_copy(update={"guidance": 1.0}))
    usual = submit(stage.queue)
    assert stage.outlook.of(strange) == NOT_MEASURED
    assert stage.eta(usual) == soon(2 * RUN)


def test_those_that_share_a_computation_are_there_with_it(stage: Stage) -> None:
    stage.measure()
    stage.queue.presence.announce("w", [MODEL], "idle")
    first, second = submit(stage.queue, shares=True), submit(stage.queue, shares=True)
    assert second.result_of == first.id
    assert stage.eta(second) == stage.eta(first) == soon(RUN)


def test_jobs_far_behind_are_told_by_the_rate_and_the_queue_is_asked_once_for_all(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.measure()
    stage.queue.presence.announce("w", [MODEL], "idle")
    jobs = [submit(stage.queue) for _ in range(LOOKED_AT + 50)]
    places = stage.queue.jobs.positions(jobs)
    assert [places[job.id] for job in jobs] == list(range(LOOKED_AT + 50))
    assert stage.eta(jobs[0]) == soon(RUN)
    asked = count_calls(monkeypatch)
    etas = [stage.outlook.of(job, places[job.id]) for job in jobs]
    assert [eta and eta.seconds for eta in etas] == [soon((place + 1) * RUN) for place in range(len(jobs))]
    assert asked == []


def test_a_job_that_would_come_behind_those_looked_at_starts_where_it_then_stands(stage: Stage) -> None:
    stage.measure()
    stage.queue.presence.announce("w", [MODEL], "idle")
    for _ in range(LOOKED_AT + 50):
        submit(stage.queue)

    def start(tenant: str, priority: Priority) -> float | None:
        place = stage.queue.inspection.waiting(MODEL, priority, tenant)
        live = stage.queue.presence.workers()
        return stage.outlook.expect(Newcomer(a_request(), priority, tenant), place, live).queued_seconds

    assert start(TENANT, Priority.NORMAL) == start("other", Priority.LOW) == soon((LOOKED_AT + 50) * RUN)
    assert start("other", Priority.NORMAL) == soon(RUN), "accounts take turns"
    assert start(TENANT, Priority.HIGH) == soon(0.0)


def count_calls(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    asked: list[object] = []
    run: Callable[..., object] = Connection.run
    monkeypatch.setattr(Connection, "run", lambda self, script: [asked.append(script), run(self, script)][1])
    return asked


def test_a_job_that_has_just_come_is_looked_for_but_not_at_each_call(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.measure()
    stage.queue.presence.announce("w", [MODEL], "idle")
    stage.eta(submit(stage.queue))
    second, third = submit(stage.queue), submit(stage.queue)
    asked = count_calls(monkeypatch)
    assert stage.outlook.of(third, 2) == Eta(soon(3 * RUN))  # type: ignore[arg-type]
    assert asked == [], "by its place"
    stage.clock.now += 0.1
    stage.outlook.of(third, 2)
    assert len(asked) == 2, "the queue and its workers"
    stage.outlook.of(second, 1)
    assert len(asked) == 2


@pytest.mark.parametrize(("software", "waits"), [("this gpu", 0.0), ("another gpu", 2.0)])
def test_a_job_is_not_waited_for_where_the_worker_will_fail_it_at_its_claim(
    stage: Stage, software: str, waits: float
) -> None:
    version = Version("this gpu", "")
    for _ in range(ENOUGH_RUNS):
        job = submit(stage.queue)
        stage.queue.leases.complete(stage.start(), an_artifact(), a_report(), version.of(job.request))
    stage.queue.presence.announce("w", [MODEL], "idle", versions={MODEL: Version(software, "")})
    submit(stage.queue, deadline_seconds=2.0)
    assert stage.eta(submit(stage.queue)) == soon(waits + RUN)


def test_jobs_that_nothing_is_foretold_of_are_not_looked_for_at_each_call(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.measure()
    jobs = [submit(stage.queue) for _ in range(3)]
    read = Lines.of

    def slowly(self: Lines, model: str, tenant: str = "") -> Standing:
        stage.clock.now += 20.0
        return read(self, model, tenant)

    monkeypatch.setattr(Lines, "of", slowly)
    began = stage.clock.now
    for place, job in enumerate(jobs):
        assert stage.outlook.of(job, place) == NO_WORKER
        stage.clock.now += 0.2
    assert stage.clock.now == pytest.approx(began + 20.6), "one slow read for all"


def test_estimates_take_what_was_measured_from_the_last_second(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.measure()
    asked, read = list[str](), MeasuredRuns.of
    monkeypatch.setattr(MeasuredRuns, "of", lambda self, model: asked.append(model) or read(self, model))
    for passed in (0.0, 0.9, 0.2):
        stage.clock.now += passed
        expected = stage.outlook.expect(Newcomer(a_request(), Priority.NORMAL, TENANT), 0, [])
        assert expected.run_seconds == soon(RUN)
    assert asked == [MODEL] * 2


def test_who_is_refused_comes_again_when_a_job_starts(stage: Stage) -> None:
    assert stage.outlook.next_start(MODEL, None) is None
    stage.measure()
    for tenant in ("a", "a", "b"):
        submit(stage.queue, tenant=tenant)
    assert stage.outlook.next_start(MODEL, None) is None, "without a worker"
    stage.queue.presence.announce("w", [MODEL], "busy")
    stage.start()
    stage.clock.now += 1.0
    assert stage.outlook.next_start(MODEL, None) == soon(RUN)
    assert sorted([stage.outlook.next_start(MODEL, "a"), stage.outlook.next_start(MODEL, "b")]) == [
        soon(RUN),
        soon(2 * RUN),
    ]
    assert stage.outlook.next_start(MODEL, "c") is None


def test_a_job_of_a_model_that_is_not_served_here_has_an_outlook_too(stage: Stage) -> None:
    assert stage.outlook.of(submit(stage.queue, a_request(model="other"))) == NOT_MEASURED


def test_a_job_without_a_tenants_name_does_no_harm(stage: Stage, redis_url: str) -> None:
    stage.measure()
    stage.queue.presence.announce("w", [MODEL], "idle")
    broken, job = submit(stage.queue), submit(stage.queue)
    with redis.Redis.from_url(redis_url) as raw:
        raw.hdel(keys.job(broken.id), "request", "tenant")
    assert stage.eta(job) == soon(RUN)
    assert job.tenant == TENANT
