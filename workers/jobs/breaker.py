"""Keeps many callers from waiting, one behind the other, for a Redis that is known to be away."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import redis

from workers.jobs.errors import QueueUnavailable

#: After a call that got no answer, others fail at once for this long; then one tries again on behalf of all.
PAUSE_SECONDS = 1.0


class Breaker:
    """A circuit breaker. Safe to share between threads.

    Only a server that does not answer in time opens it: one that refuses, be it the connection, costs nobody a wait.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._again_at: float | None = None

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Around a call. While the server is away, raises `QueueUnavailable` in its place."""
        self._enter()
        try:
            yield
        except redis.TimeoutError:
            self._again_at = self._clock() + PAUSE_SECONDS
            raise
        self._again_at = None

    def _enter(self) -> None:
        with self._lock:
            if self._again_at is None:
                return
            now = self._clock()
            if now < self._again_at:
                raise QueueUnavailable("Redis: did not answer a moment ago")
            self._again_at = now + PAUSE_SECONDS  # This call tries; the others do not wait for what comes of it.
