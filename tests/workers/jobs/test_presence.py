import json

import pytest
import redis

from tests.queues import Queue
from tests.redis_servers import every_redis
from workers.jobs.job import JobError
from workers.jobs.presence import WORKER_TTL_SECONDS

pytestmark = every_redis


def test_announced_workers_are_listed_by_name(queue: Queue) -> None:
    queue.presence.announce("b", ["wan-tiny", "flux"], "busy")
    queue.presence.announce("a", [], "loading")
    live = queue.presence.workers()
    assert [(worker.name, worker.models, worker.state) for worker in live] == [
        ("a", (), "loading"),
        ("b", ("wan-tiny", "flux"), "busy"),
    ]
    assert all(0 <= worker.beat_age_seconds < WORKER_TTL_SECONDS for worker in live)


def test_a_later_announcement_replaces_the_earlier(queue: Queue) -> None:
    queue.presence.announce("a", [], "loading")
    queue.presence.announce("a", ["wan-tiny"], "idle")
    [worker] = queue.presence.workers()
    assert (worker.models, worker.state) == (("wan-tiny",), "idle")


def test_a_worker_that_leaves_is_gone_at_once(queue: Queue) -> None:
    queue.presence.announce("a", [], "idle")
    queue.presence.leave("a")
    queue.presence.leave("a")
    assert queue.presence.workers() == []


def test_a_worker_says_what_it_is_there_for_and_why_it_cannot(queue: Queue) -> None:
    problem = JobError(code="model_load_failed", message="no such folder")
    queue.presence.announce("a", [], "failed", {"flux": "bfloat16 on cuda"}, problem)
    [worker] = queue.presence.workers()
    assert (worker.models, dict(worker.serves), worker.problem) == ((), {"flux": "bfloat16 on cuda"}, problem)


def test_a_silent_worker_is_gone_and_its_traces_with_the_next_announcement(queue: Queue, raw: "redis.Redis") -> None:
    queue.presence.announce("silent", [], "idle")
    raw.zadd("{workers}:beats", {"silent": 1})
    assert queue.presence.workers() == []
    queue.presence.announce("b", [], "idle")
    assert raw.hkeys("{workers}:infos") == ["b"]


def test_an_announcement_of_a_newer_version_is_understood(queue: Queue, raw: "redis.Redis") -> None:
    queue.presence.announce("a", ["wan-tiny"], "idle")
    newer = json.loads(str(raw.hget("{workers}:infos", "a"))) | {"driver": "1.2"}
    newer["problem"] = {"code": "x", "message": "y", "since": 1}
    raw.hset("{workers}:infos", "a", json.dumps(newer))
    [worker] = queue.presence.workers()
    assert (worker.models, worker.problem) == (("wan-tiny",), JobError(code="x", message="y"))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"name": "a"}', '{"name": "a", "models": [], "state": "asleep"}', "\udcff"]
)
def test_an_announcement_that_cannot_be_read_costs_itself_alone(queue: Queue, raw: "redis.Redis", text: str) -> None:
    for name in ("a", "b"):
        queue.presence.announce(name, ["wan-tiny"], "idle")
    raw.hset("{workers}:infos", "a", text.encode("utf-8", "surrogateescape"))
    unreadable, fine = queue.presence.workers()
    assert (unreadable.name, unreadable.state, unreadable.models) == ("a", "failed", ())
    assert unreadable.problem and unreadable.problem.code == "announcement_unreadable"
    assert fine.takes("wan-tiny")
