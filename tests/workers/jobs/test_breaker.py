"""Nobody waits for a Redis that did not answer a moment ago."""

import pytest
import redis

from workers.jobs.breaker import PAUSE_SECONDS, Breaker
from workers.jobs.errors import QueueUnavailable


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def ask(breaker: Breaker, error: Exception | None = None) -> str:
    """What becomes of a call that ends with the error, or well."""
    try:
        with breaker.guard():
            if error is not None:
                raise error
    except QueueUnavailable:
        return "not made"
    except redis.RedisError:
        return "failed"
    return "done"


def test_after_a_call_without_an_answer_others_are_not_made_until_one_tries_again() -> None:
    breaker = Breaker(clock := Clock())
    assert ask(breaker) == "done"
    assert ask(breaker, redis.TimeoutError()) == "failed"
    assert [ask(breaker) for _ in range(3)] == ["not made"] * 3
    clock.now += PAUSE_SECONDS
    assert [ask(breaker, redis.TimeoutError()), ask(breaker)] == ["failed", "not made"]
    clock.now += PAUSE_SECONDS
    assert [ask(breaker), ask(breaker)] == ["done", "done"]


def test_while_one_tries_the_others_do_not_wait_with_it() -> None:
    breaker = Breaker(clock := Clock())
    ask(breaker, redis.TimeoutError())
    clock.now += PAUSE_SECONDS
    with breaker.guard():
        assert ask(breaker) == "not made"
    assert ask(breaker) == "done"


@pytest.mark.parametrize("error", [redis.ConnectionError(), redis.OutOfMemoryError(), redis.ResponseError()])
def test_a_redis_that_refuses_is_there(error: redis.RedisError) -> None:
    breaker = Breaker(Clock())
    assert [ask(breaker, error), ask(breaker)] == ["failed", "done"]
