"""What workers saw of a model, for all of them."""

import pytest
import redis

from tests.queues import Queue
from tests.waiting import wait_until
from tests.workers.factories import a_request
from workers.jobs import keys, observations
from workers.jobs.observations import Observations


@pytest.fixture
def known(queue: Queue) -> Observations:
    return Observations(queue.connection)


def test_two_workers_add_to_one_list_and_none_overwrites(queue: Queue, known: Observations) -> None:
    other = Observations(queue.connection)
    known.add("m", "weights", a_request("1"), "first")
    other.add("m", "weights", a_request("2"), "second")
    known.add("m", "weights", a_request("3"), "third")
    assert known.since("m", "weights", ()) == other.since("m", "weights", ()) == ["first", "second", "third"]
    assert other.since("m", "weights", ["first", "second"]) == ["third"]
    assert other.since("m", "weights", ["first", "second", "third"]) == []


def test_who_was_told_of_a_list_that_redis_has_lost_is_not_told_of_the_new_one_as_its_end(known: Observations) -> None:
    known.add("m", "weights", a_request("1"), "of now")
    assert known.since("m", "weights", ["of before"]) is None
    assert known.since("m", "weights", ["of now"]) == []
    assert known.since("m", "nothing", ["of before"]) is None


def test_other_weights_and_other_models_have_a_list_of_their_own(known: Observations) -> None:
    known.add("m", "weights", a_request("1"), "first")
    assert known.since("m", "others", ()) == known.since("n", "weights", ()) == []


def test_a_full_list_keeps_what_it_has(known: Observations, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observations, "MOST", 2)
    assert [known.add("m", "weights", a_request(text), text) for text in "abc"] == ["kept", "kept", "full"]
    assert known.since("m", "weights", ()) == ["a", "b"]


def test_one_request_is_observed_once_whatever_its_speed(queue: Queue, known: Observations) -> None:
    request = a_request("1", sf=10)
    assert not known.knows("m", "weights", request)
    assert known.add("m", "weights", request.uncached, "first") == "kept"
    assert known.knows("m", "weights", request.model_copy(update={"basis_runs": 3}))
    assert Observations(queue.connection).add("m", "weights", request, "again") == "known"
    assert known.since("m", "weights", ()) == ["first"]
    assert known.knows("m", "weights", request.model_copy(update={"fps": request.fps + 1}))
    assert known.knows("m", "weights", request.model_copy(update={"steps": request.steps - 2})), "the same picture"
    assert not known.knows("m", "others", request)
    assert not known.knows("m", "weights", request.model_copy(update={"seed": request.seed + 1}))


def test_a_request_is_known_no_longer_than_its_job_is_kept_and_never_by_its_prompt(
    queue: Queue, redis_url: str
) -> None:
    brief = Observations(queue.connection, known_seconds=2.0)
    with redis.Redis.from_url(redis_url) as raw:
        before = raw.time()[0]
        brief.add("m", "weights", a_request("a secret"), "first")
        after = raw.time()[0]
        [(digest, forgotten_at)] = raw.zrange(keys.observed_requests("m", "weights"), 0, -1, withscores=True)
        assert b"secret" not in digest
        assert before + 2 <= forgotten_at <= after + 2
        wait_until(lambda: not raw.exists(keys.observed_requests("m", "weights")))
    assert not brief.knows("m", "weights", a_request("a secret"))


def test_a_text_that_rests_on_fewer_entries_than_there_are_is_not_added(known: Observations) -> None:
    assert known.add("m", "weights", a_request("1"), "first", 0) == "kept"
    assert known.add("m", "weights", a_request("2"), "second", 0) == "behind"
    assert not known.knows("m", "weights", a_request("2"))
    assert known.add("m", "weights", a_request("2"), "second", 1) == "kept"
    assert known.since("m", "weights", ()) == ["first", "second"]
