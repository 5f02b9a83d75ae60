"""Messages that jobs have ended: made with the end itself, leased to one sender at a time, never lost."""

import pytest
import redis

from tests.queues import Queue
from tests.redis_servers import every_redis
from tests.workers.factories import MODEL, TENANT, a_report, a_request, an_artifact
from tests.workers.jobs.leases import claim, end_lease
from workers.jobs import keys
from workers.jobs.deliveries import Deliveries, Leased, Most, Outbox
from workers.jobs.errors import DeliveryNotFound, InvalidRequest, WorkerCrashed
from workers.jobs.job import Job, JobError, JobKey, JobState, Priority, new_job_id

pytestmark = every_redis
URL = "https://hooks.example.com/done?a=1"
LANE = f"{TENANT} https://hooks.example.com"
ERROR = JobError(code="x", message="x")


@pytest.fixture
def outbox(queue: Queue) -> Outbox:
    return Outbox(queue.connection)


@pytest.fixture
def deliveries(queue: Queue) -> Deliveries:
    return Deliveries(queue.connection)


def submit(queue: Queue, url: str | None = URL, tenant: str = TENANT) -> Job:
    key = JobKey(tenant, new_job_id(MODEL))
    return queue.jobs.submit(key, priority=Priority.NORMAL, request=a_request(), metadata={}, webhook_url=url)


def cancelled(queue: Queue, url: str = URL, tenant: str = TENANT) -> Job:
    """A job that has ended in the quickest way."""
    return queue.jobs.cancel(submit(queue, url, tenant).key)


def one(outbox: Outbox) -> Leased:
    [leased] = outbox.lease(MODEL, [])
    return leased


def make_due(raw: "redis.Redis", leased: Leased) -> None:
    """As if the time to its next attempt, or the lease of its sender, had gone by."""
    lane = leased.delivery.lane
    raw.zadd(f"{keys.root(MODEL)}:outbox:{lane}", {leased.delivery.id: 1}, xx=True)
    raw.zadd(f"{keys.root(MODEL)}:outbox", {lane: 1}, xx=True)


def test_a_completed_job_is_told_of(queue: Queue, outbox: Outbox) -> None:
    job = submit(queue)
    assert outbox.lease(MODEL, []) == []
    attempt = claim(queue)
    assert outbox.lease(MODEL, []) == []
    queue.leases.complete(attempt, an_artifact(), a_report())
    delivery = one(outbox).delivery
    assert (delivery.job, delivery.type, delivery.url, delivery.lane) == (job.id, "video.completed", URL, LANE)
    assert (delivery.id, delivery.state, delivery.attempts) == (job.webhook_id, "sending", 1)


def test_a_failed_job_is_told_of_once_it_runs_no_more(queue: Queue, outbox: Outbox) -> None:
    submit(queue)
    queue.leases.fail(claim(queue), ERROR, max_attempts=2)
    assert outbox.lease(MODEL, []) == []
    assert queue.leases.fail(claim(queue), ERROR, max_attempts=2).state is JobState.DEAD
    assert one(outbox).delivery.type == "video.failed"


def test_a_job_whose_worker_was_lost_for_good_is_told_of(queue: Queue, outbox: Outbox, raw: "redis.Redis") -> None:
    submit(queue)
    for _ in range(WorkerCrashed.max_attempts):
        end_lease(raw, claim(queue))
        queue.leases.reap(MODEL)
    assert one(outbox).delivery.type == "video.failed"


def test_a_job_of_a_model_that_nobody_serves_is_told_of(queue: Queue, outbox: Outbox) -> None:
    submit(queue)
    queue.leases.abandon(MODEL)
    assert one(outbox).delivery.type == "video.failed"


@pytest.mark.parametrize("runs", [False, True], ids=["queued", "running"])
def test_a_cancelled_job_is_told_of(queue: Queue, outbox: Outbox, runs: bool) -> None:
    job = submit(queue)
    attempt = claim(queue) if runs else None
    queue.jobs.cancel(job.key)
    if attempt:
        assert outbox.lease(MODEL, []) == []
        queue.leases.cancel(attempt)
    assert one(outbox).delivery.type == "video.cancelled"


@pytest.mark.parametrize("runs", [False, True], ids=["queued", "running"])
def test_a_deleted_job_is_told_of_by_nobody(queue: Queue, outbox: Outbox, raw: "redis.Redis", runs: bool) -> None:
    job = submit(queue)
    attempt = claim(queue) if runs else None
    queue.jobs.delete(job.key)
    if attempt:
        queue.leases.cancel(attempt)
    assert outbox.lease(MODEL, []) == [] and not raw.exists(keys.undelivered(MODEL))


def test_nobody_is_told_who_did_not_ask(queue: Queue, outbox: Outbox) -> None:
    queue.jobs.cancel(submit(queue, None).key)
    assert outbox.lease(MODEL, []) == [] and outbox.backlog(MODEL).pending == 0


def test_a_job_submitted_twice_keeps_its_message(queue: Queue, outbox: Outbox) -> None:
    job = submit(queue)
    again = queue.jobs.submit(
        job.key, priority=Priority.NORMAL, request=a_request(), metadata={}, webhook_url="https://elsewhere"
    )
    assert (again.webhook_id, again.webhook_url) == (job.webhook_id, URL)


def test_an_end_that_is_told_twice_makes_one_message(queue: Queue, outbox: Outbox) -> None:
    submit(queue)
    attempt = claim(queue)
    for _ in range(2):  # The reply to the first was lost.
        queue.leases.complete(attempt, an_artifact(), a_report())
    one(outbox)
    assert outbox.backlog(MODEL).pending == 1


def test_a_message_has_one_sender_until_its_lease_ends(queue: Queue, outbox: Outbox, raw: "redis.Redis") -> None:
    cancelled(queue)
    first = one(outbox)
    assert outbox.lease(MODEL, []) == []
    make_due(raw, first)
    second = one(outbox)
    assert (second.delivery.id, second.delivery.attempts) == (first.delivery.id, 2)
    assert not outbox.delivered(first, status=200, seconds=0.1), "its lease has ended"
    assert outbox.delivered(second, status=200, seconds=0.1)
    assert outbox.lease(MODEL, []) == [] and outbox.backlog(MODEL).pending == 0


def test_a_delivered_message_is_shown(queue: Queue, outbox: Outbox, deliveries: Deliveries, raw: "redis.Redis") -> None:
    job = cancelled(queue)
    outbox.delivered(one(outbox), status=204, seconds=0.25)
    shown = deliveries.get(TENANT, job.webhook_id or "")
    assert (shown.state, shown.status, shown.error, shown.seconds) == ("delivered", 204, None, 0.25)
    assert shown.attempted_at is not None and shown.due_at is None
    assert 0 < raw.ttl(keys.delivery(shown.id)) <= 7 * 86_400
    assert not raw.exists(f"{keys.root(MODEL)}:outbox"), "an empty lane is gone"


def test_a_message_in_vain_is_due_again_after_its_delay(
    queue: Queue, outbox: Outbox, deliveries: Deliveries, raw: "redis.Redis"
) -> None:
    job = cancelled(queue)
    leased = one(outbox)
    assert outbox.retry(leased, 300.0, status=500, error="the receiver answered 500", seconds=1.0)
    shown = deliveries.get(TENANT, job.webhook_id or "")
    assert (shown.state, shown.attempts, shown.error) == ("pending", 1, "the receiver answered 500")
    assert shown.due_at == pytest.approx((shown.attempted_at or 0) + 300, abs=0.001)
    assert outbox.lease(MODEL, []) == [], "it is not due yet"
    assert raw.ttl(keys.delivery(shown.id)) == -1, "what is pending does not expire"
    make_due(raw, leased)
    outbox.delivered(one(outbox), status=200, seconds=0.1)
    shown = deliveries.get(TENANT, job.webhook_id or "")
    assert (shown.state, shown.attempts, shown.error) == ("delivered", 2, None)


def test_a_released_message_has_lost_no_attempt(queue: Queue, outbox: Outbox) -> None:
    cancelled(queue)
    assert outbox.release(one(outbox))
    assert one(outbox).delivery.attempts == 1


def test_a_message_is_sent_again_by_hand(queue: Queue, outbox: Outbox, deliveries: Deliveries) -> None:
    job = cancelled(queue)
    outbox.failed(one(outbox), status=410, error="gone", seconds=0.1)
    assert outbox.backlog(MODEL).pending == 0
    again = deliveries.redeliver(TENANT, job.webhook_id or "")
    assert (again.id, again.state, again.attempts) == (job.webhook_id, "pending", 0)
    assert outbox.backlog(MODEL).pending == 1
    assert one(outbox).delivery.attempts == 1


def test_a_message_that_is_being_sent_is_not_sent_beside(queue: Queue, outbox: Outbox, deliveries: Deliveries) -> None:
    cancelled(queue)
    leased = one(outbox)
    assert deliveries.redeliver(TENANT, leased.delivery.id).state == "sending"
    assert outbox.lease(MODEL, []) == []
    assert outbox.delivered(leased, status=200, seconds=0.1)


def test_another_tenant_has_no_part_in_it(queue: Queue, deliveries: Deliveries) -> None:
    job = cancelled(queue)
    for call in (deliveries.get, deliveries.redeliver):
        with pytest.raises(DeliveryNotFound):
            call("other", job.webhook_id or "")
    assert deliveries.page("other", [MODEL], after=None, limit=5) == ([], False)
    with pytest.raises(InvalidRequest, match="after"):
        deliveries.page("other", [MODEL], after=job.webhook_id, limit=5)


@pytest.mark.parametrize("message", ["", "msg_x", "video_wan-tiny_" + "0" * 32, "msg_wan-tiny_" + "0" * 32, "{q:a}"])
def test_what_is_no_message_is_not_found(deliveries: Deliveries, message: str) -> None:
    with pytest.raises(DeliveryNotFound):
        deliveries.get(TENANT, message)
    with pytest.raises(DeliveryNotFound):
        deliveries.redeliver(TENANT, message)


def test_pages_lead_from_the_newest_to_the_oldest_once_each(queue: Queue, deliveries: Deliveries) -> None:
    made = [cancelled(queue).webhook_id for _ in range(5)]
    seen: list[str] = []
    more, after = True, None
    while more:
        page, more = deliveries.page(TENANT, [MODEL, "other"], after=after, limit=2)
        seen += [delivery.id for delivery in page]
        after = seen[-1]
    assert seen == made[::-1]


def test_what_has_expired_ends_no_list(queue: Queue, deliveries: Deliveries, raw: "redis.Redis") -> None:
    oldest, *newer = [cancelled(queue).webhook_id or "" for _ in range(8)]
    raw.delete(*map(keys.delivery, newer))
    page, more = deliveries.page(TENANT, [MODEL], after=None, limit=2)
    assert ([delivery.id for delivery in page], more) == ([oldest], False)


def test_a_receiver_has_so_many_at_a_time_and_leaves_the_rest_of_the_room_to_others(queue: Queue) -> None:
    outbox = Outbox(queue.connection, most=Most(in_all=10, of_lane=2, of_tenant=5))
    for _ in range(4):
        cancelled(queue, "https://slow.example.com/a")
    other = cancelled(queue, "https://fast.example.com")
    first = [leased.delivery for leased in outbox.lease(MODEL, [])]
    assert [delivery.url for delivery in first].count("https://slow.example.com/a") == 2
    assert [delivery.job for delivery in first if delivery.url == "https://fast.example.com"] == [other.id]
    assert outbox.lease(MODEL, first) == []
    assert len(outbox.lease(MODEL, first[1:])) == 1, "one has ended"


def test_a_tenant_with_many_receivers_leaves_room_to_others(queue: Queue) -> None:
    outbox = Outbox(queue.connection, most=Most(in_all=10, of_lane=2, of_tenant=3))
    for number in range(6):
        cancelled(queue, f"https://{number}.example.com")
    theirs = cancelled(queue, "https://0.example.com", "other")
    first = [leased.delivery for leased in outbox.lease(MODEL, [])]
    assert [delivery.tenant for delivery in first] == [TENANT] * 3 + ["other"]
    assert first[-1].job == theirs.id
    assert outbox.lease(MODEL, first) == []


def test_no_more_are_taken_than_there_is_room_for(queue: Queue) -> None:
    outbox = Outbox(queue.connection, most=Most(in_all=2, of_lane=9, of_tenant=9))
    for _ in range(3):
        cancelled(queue)
    first = [leased.delivery for leased in outbox.lease(MODEL, [])]
    assert len(first) == 2
    assert outbox.lease(MODEL, first) == []


def test_the_backlog_says_how_many_and_for_how_long(queue: Queue, outbox: Outbox, raw: "redis.Redis") -> None:
    assert outbox.backlog(MODEL).oldest_seconds == outbox.backlog(MODEL).overdue_seconds == 0
    first = cancelled(queue)
    cancelled(queue)
    raw.zadd(keys.undelivered(MODEL), {first.webhook_id or "": raw.time()[0] - 100})
    backlog = outbox.backlog(MODEL)
    assert backlog.pending == 2 and 100 <= backlog.oldest_seconds < 160
    assert backlog.overdue_seconds < 60
    raw.zadd(f"{keys.root(MODEL)}:outbox", {LANE: 1}, xx=True)
    assert outbox.backlog(MODEL).overdue_seconds > 1_000_000


def test_a_model_with_a_message_left_is_not_forgotten(queue: Queue, outbox: Outbox) -> None:
    job = cancelled(queue)
    queue.leases.forget(job.key)
    assert not queue.leases.is_done(MODEL)
    outbox.delivered(one(outbox), status=200, seconds=0.1)
    assert queue.leases.is_done(MODEL)


def test_a_message_without_its_record_is_set_aside(queue: Queue, outbox: Outbox, raw: "redis.Redis") -> None:
    job = cancelled(queue)
    raw.delete(keys.delivery(job.webhook_id or ""))
    assert outbox.lease(MODEL, []) == [] and outbox.backlog(MODEL).pending == 0
    assert queue.inspection.set_aside(MODEL) == 1


def test_a_strange_message_holds_up_no_other(queue: Queue, outbox: Outbox, raw: "redis.Redis") -> None:
    strange, sound = cancelled(queue), cancelled(queue)
    raw.hset(keys.delivery(strange.webhook_id or ""), "new_field", "1")
    assert [leased.delivery.job for leased in outbox.lease(MODEL, [])] == [sound.id]
    assert raw.hget(keys.delivery(strange.webhook_id or ""), "state") == "failed"


def test_nobody_fills_redis(queue: Queue, outbox: Outbox, deliveries: Deliveries, raw: "redis.Redis") -> None:
    oldest = cancelled(queue)
    raw.zadd(keys.deliveries(MODEL, TENANT), {f"msg_{number}": raw.time()[0] + 9 for number in range(9999)})
    cancelled(queue)
    with pytest.raises(DeliveryNotFound):
        deliveries.get(TENANT, oldest.webhook_id or "")
    assert outbox.backlog(MODEL).pending == 1 and len(outbox.lease(MODEL, [])) == 1
