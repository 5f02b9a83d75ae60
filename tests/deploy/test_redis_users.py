"""Service and workers do all that they do with the rights that compose gives them, and nothing that it does not."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from demo.embedded_redis import EmbeddedRedis
from service.accounts import Accounts, Scope
from service.admission import Admission
from service.pairing import Pair
from service.studies import Studies
from service.webhook_secrets import WebhookSecrets
from tests.queues import Queue
from tests.redis_servers import every_redis
from tests.workers.factories import MODEL, TENANT, a_report, a_request, an_artifact, submit
from workers.jobs import keys
from workers.jobs.append_only import AppendOnlyFile
from workers.jobs.artifacts import ArtifactStore
from workers.jobs.colours import Colours
from workers.jobs.deliveries import Deliveries, Outbox
from workers.jobs.errors import QueueUnavailable
from workers.jobs.events import START, Events, JobEvent
from workers.jobs.finished import FinishedJobs
from workers.jobs.job import JobError, JobKey, JobState, Priority, new_job_id
from workers.jobs.leases import Leases
from workers.jobs.live import LiveEvent, LiveEvents
from workers.jobs.observations import Observations
from workers.jobs.reruns import Reruns
from workers.jobs.store_binding import StoreBinding
from workers.jobs.token_counts import Question, TokenCounts
from workers.jobs.usage import UsageRecords

pytestmark = every_redis
USERS = Path(__file__).parents[2] / "deploy" / "redis" / "users.acl"


@pytest.fixture
def addresses(own_redis: EmbeddedRedis) -> dict[str, str]:
    """The addresses of the server by user; the operator has none here."""
    lines = [line.split() for line in USERS.read_text().splitlines() if line.startswith("user ")]
    with redis.Redis.from_url(own_redis.url) as operator:
        for _, name, *rules in lines:
            if name != "default":
                operator.execute_command("ACL", "SETUSER", name, *rules)
    return {
        name: own_redis.url.replace("unix://", f"unix://{name}:{password(rules)}@")
        for _, name, *rules in lines
        if name != "default"
    }


def password(rules: list[str]) -> str:
    return next(rule[1:] for rule in rules if rule.startswith(">")).replace("<", "%3C").replace(">", "%3E")


@pytest.fixture
def service(addresses: dict[str, str]) -> Iterator[Queue]:
    queue = Queue.open(addresses["service"])
    yield queue
    queue.close()


@pytest.fixture
def worker(addresses: dict[str, str]) -> Iterator[Queue]:
    queue = Queue.open(addresses["worker"], retention_seconds=0)
    yield queue
    queue.close()


async def story(address: str, job_id: str) -> list[JobEvent]:
    events = Events(address)
    try:
        return await events.read({job_id: START})
    finally:
        await events.close()


async def heard(address: str, happen: Callable[[], object]) -> LiveEvent:
    async with LiveEvents(address).listening() as events:
        await asyncio.to_thread(happen)
        return await anext(events)


def test_the_service_hears_what_workers_and_itself_do(service: Queue, worker: Queue, addresses: dict[str, str]) -> None:
    job = submit(service)
    for happen in (lambda: worker.leases.claim([MODEL], "w"), lambda: service.jobs.cancel(job.key)):
        assert asyncio.run(heard(addresses["service"], happen)).job_id == job.id
    events = Events(addresses["service"])

    async def ask() -> None:
        assert len(await events.history(job.id, START)) == 2 and await events.last(job.id) and await events.moment()
        await events.close()

    asyncio.run(ask())
    assert service.jobs.places(MODEL) == {} and service.jobs.ended_since(TENANT, [MODEL], 0, 5) == []


def test_they_can_do_their_work(
    service: Queue, worker: Queue, addresses: dict[str, str], own_redis: EmbeddedRedis, tmp_path: Path
) -> None:
    service.connection.ping()
    for queue in (service, worker):
        StoreBinding(ArtifactStore(tmp_path), queue.connection).check()
        queue.presence.serve([MODEL])
        assert queue.presence.unserved() == []
    worker.presence.announce("w", [MODEL], "idle")
    assert [info.name for info in service.presence.workers()] == ["w"]

    done, failed, cancelled, queued, abandoned = (submit(service) for _ in range(5))
    key = JobKey(TENANT, new_job_id(MODEL))
    assert service.jobs.reserve(key, "k", "f", 60) == key
    service.jobs.remember(key, "f", 60)
    assert Admission(service.connection, 60, 3, None).take(TENANT, 1) is not None
    accounts = Accounts(service.connection, b"p" * 32)
    presented = accounts.create(TENANT, [Scope.READ])
    accounts.rotate(accounts.live()[0].id, 60)
    verified = accounts.verify(presented)
    assert verified is not None
    accounts.revoke(verified.id)
    assert service.jobs.remembered(TENANT, "f") == key
    assert service.jobs.position(queued) == service.inspection.waiting(MODEL, Priority.NORMAL, TENANT) - 2 == 3
    studies = Studies(service.connection, 3600)
    pair = Pair(model=MODEL, first=done.id, second=failed.id, setting="sf 10", baseline="uncached")
    study = studies.create(TENANT, "which sf", [pair], 2**31, now := int(time.time()))
    invitation, token = studies.invite(study, 2**31, 1, now)
    studies.vote(*studies.invited(token, now), "b", 0, "first")
    studies.revoke(study, invitation.id)
    assert studies.all(TENANT) == [study] and studies.counts(study, [invitation]) == [1]
    assert len(studies.votes(study)) == len(studies.voted(study, invitation, "b")) == 1
    studies.delete(TENANT, study.id)
    assert service.jobs.position(queued) == 3
    attempt = worker.leases.claim([MODEL], "w")
    assert attempt is not None and worker.leases.is_referenced(attempt.key)
    worker.leases.beat(attempt, "denoise", 1)
    worker.leases.complete(attempt, an_artifact(), a_report())
    assert len(asyncio.run(story(addresses["service"], done.id))) == 4
    attempt = worker.leases.claim([MODEL], "w")
    assert attempt is not None
    worker.leases.fail(attempt, JobError(code="x", message="x"), 1)
    attempt = worker.leases.claim([MODEL], "w")
    assert attempt is not None
    assert service.jobs.cancel(cancelled.key).cancel_requested
    worker.leases.cancel(attempt)
    attempt = worker.leases.claim([MODEL], "w")
    assert attempt is not None
    worker.leases.release(attempt)
    attempt = worker.leases.claim([MODEL], "w")
    with redis.Redis.from_url(own_redis.url) as operator:
        operator.zadd(keys.leases(MODEL), {queued.id: 1})
        operator.zadd(keys.since(MODEL, "normal"), {abandoned.id: 1})
    assert Leases(worker.connection, most_running_of_tenant=1).claim([MODEL], "w") is None
    assert [job.job_id for job in worker.leases.reap(MODEL)] == [queued.id]
    worker.leases.wait([MODEL], 0.01)

    inspection = service.inspection
    assert inspection.depth(MODEL).queued == 2 and inspection.running(MODEL) == []
    assert [job.id for job in inspection.last_failures(MODEL, 5)] == [failed.id]
    usage = UsageRecords(service.connection)
    assert usage.loads([MODEL])[0].used.completed == 1 and usage.by_day(TENANT, [MODEL], [0]) == {}
    assert inspection.dead_letters(MODEL) == inspection.set_aside(MODEL) == 0 and inspection.persisting()
    assert len(service.jobs.list(TENANT, [MODEL], after=queued.id, limit=5, ascending=False)[0]) == 3
    service.jobs.delete(queued.key)
    assert worker.leases.abandon(MODEL) == [abandoned.id]
    assert service.jobs.get(abandoned.key).state is JobState.FAILED
    for due in worker.leases.expired(MODEL):
        worker.leases.forget(due)
    assert worker.leases.is_done(MODEL)
    worker.presence.forget(MODEL)
    worker.presence.leave("w")
    assert Observations(worker.connection).add(MODEL, "weights", a_request(), "shown") == "kept"
    assert Observations(worker.connection).knows(MODEL, "weights", a_request())
    assert Observations(worker.connection).since(MODEL, "weights", ()) == ["shown"]
    Colours(worker.connection).keep(MODEL, "weights", "bluish")
    assert Colours(worker.connection).get(MODEL, "weights") == "bluish"
    tokens = TokenCounts(service.connection, 0.01)
    assert tokens.ask(MODEL, "a prompt") == [] and TokenCounts(worker.connection).next([MODEL], 0.01) is None
    TokenCounts(worker.connection).answer(Question(id="1", model=MODEL, prompt="a prompt"), [])
    reruns = Reruns(worker.connection, lease_seconds=60, kept_seconds=60)
    assert not reruns.offer("shadow", "weights", done), "its record is gone"
    ran_again = submit(service)
    attempt = worker.leases.claim([MODEL], "w")
    assert attempt is not None and attempt.job.id == ran_again.id
    Leases(worker.connection, retention_seconds=60).complete(attempt, an_artifact(), a_report(), "torch-1")
    assert reruns.offer("shadow", "weights", ran_again)
    finished = FinishedJobs(service.connection).like(TENANT, ran_again.request, "torch-1")
    assert finished is not None and finished.id == ran_again.id
    reused = submit(service, shares=True, result_of=finished.id)
    assert (reused.state, reused.result_of) == (JobState.COMPLETED, ran_again.id)
    rerun, _ = reruns.take("shadow", MODEL, "weights")
    assert rerun is not None and reruns.go_on(rerun) and reruns.give_back(rerun)
    overdue = submit(service, deadline_seconds=60)
    with redis.Redis.from_url(own_redis.url) as operator:
        operator.zadd(f"{keys.root(MODEL)}:deadlines", {overdue.id: 1})
    assert service.jobs.end_overdue(MODEL) == [overdue.id]
    computed, shares = submit(service, shares=True), submit(service, shares=True)
    more = submit(service, shares=True)
    attempt = worker.leases.claim([MODEL], "w")
    assert attempt is not None and attempt.job.id == computed.id and shares.result_of == computed.id
    worker.leases.beat(attempt, "denoise", 1)
    service.jobs.cancel(computed.key)
    worker.leases.cancel(attempt)
    assert service.jobs.position(service.jobs.get(more.key)) == 0 and service.jobs.end_overdue(MODEL) == []
    attempt = worker.leases.claim([MODEL], "w")
    assert attempt is not None and attempt.job.id == shares.id
    worker.leases.complete(attempt, an_artifact(), a_report())
    assert not service.jobs.delete(shares.key) and worker.leases.is_referenced(attempt.key)
    for due in worker.leases.expired(MODEL):
        worker.leases.forget(due)
    assert AppendOnlyFile(worker.connection).rewrite_daily()


def test_the_sender_does_its_work_and_sees_no_prompt(service: Queue, worker: Queue, addresses: dict[str, str]) -> None:
    sender = Queue.open(addresses["webhooks"])
    key = JobKey(TENANT, new_job_id(MODEL))
    service.jobs.submit(
        key, priority=Priority.NORMAL, request=a_request(), metadata={}, webhook_url="https://hooks.example.com"
    )
    service.jobs.cancel(key)
    secrets = WebhookSecrets(service.connection, b"root")
    secrets.create(TENANT, 0)
    outbox, deliveries = Outbox(sender.connection), Deliveries(service.connection)
    assert WebhookSecrets(sender.connection, b"root").signatures(TENANT, "m", 0, "{}")
    assert sender.presence.unserved() == []
    [leased] = outbox.lease(MODEL, [])
    outbox.retry(leased, 0, status=500, error="x", seconds=1)
    [leased] = outbox.lease(MODEL, [])
    assert outbox.release(leased)
    [leased] = outbox.lease(MODEL, [])
    assert outbox.delivered(leased, status=200, seconds=1) and outbox.backlog(MODEL).pending == 0
    assert deliveries.redeliver(TENANT, leased.delivery.id).state == "pending"
    assert len(deliveries.page(TENANT, [MODEL], after=None, limit=5)[0]) == 1
    with pytest.raises(QueueUnavailable, match=r"can't access|permission"):
        sender.jobs.cancel(key)
    with redis.Redis.from_url(addresses["webhooks"]) as raw, pytest.raises(redis.exceptions.NoPermissionError):
        raw.hgetall(keys.job(key.job_id))
    sender.close()


@pytest.mark.parametrize("user", ["service", "webhooks", "worker"])
@pytest.mark.parametrize(
    "command",
    [
        "CONFIG SET dir /tmp", "CONFIG GET *", "FLUSHALL", "KEYS *", "ACL LIST", "MODULE LIST", "SHUTDOWN NOSAVE",
        "REPLICAOF NO ONE", "SCRIPT FLUSH", "CLIENT LIST", "MONITOR", "EVAL return 0", "GET elsewhere", "SORT a",
        "SET elsewhere 1", "SAVE", "PUBLISH elsewhere x", "SUBSCRIBE elsewhere",
    ],
)  # fmt: skip
def test_they_can_change_neither_the_server_nor_what_is_not_theirs(
    addresses: dict[str, str], user: str, command: str
) -> None:
    with redis.Redis.from_url(addresses[user]) as client, pytest.raises(redis.exceptions.NoPermissionError):
        client.execute_command(*command.split())


def test_the_service_cannot_take_a_job_and_where_it_tries_nothing_is_written(
    service: Queue, worker: Queue, own_redis: EmbeddedRedis
) -> None:
    job = submit(service, a_request())
    with redis.Redis.from_url(own_redis.url) as operator:
        before = {key: operator.dump(key) for key in operator.scan_iter()}
        with pytest.raises(QueueUnavailable, match=r"can't run this command|no permissions"):
            service.leases.claim([MODEL], "service")
        assert {key: operator.dump(key) for key in operator.scan_iter()} == before
    attempt = worker.leases.claim([MODEL], "w")
    assert attempt is not None and (attempt.job.id, attempt.job.attempts) == (job.id, 1)
