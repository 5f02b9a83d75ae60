"""What the workers of a model saw of it in uncached runs, for all of them: a list that only grows.

Nothing in it ever changes or moves, so a number of runs names what was known at some time, on every worker alike.
"""

from typing import cast

from workers.jobs import keys, scripts
from workers.jobs.connection import Connection, redis_errors

MOST = 64
"""Observations that are kept of one model's weights; more would bring next to nothing."""
KEPT_SECONDS = 90 * 86_400
"""How long they are kept after the last one of them was read or added."""


class Observations:
    """Texts that mean something to workers alone: `workers.scalingcache.measured.MeasuredCovariance` as JSON."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, model: str, fingerprint: str, text: str) -> bool:
        """Add one to those of a model's weights; False when there are enough. Raises `QueueUnavailable`."""
        key = keys.observations(model, fingerprint)
        return bool(self._connection.run(scripts.Observe(key, MOST, KEPT_SECONDS, text)))

    def since(self, model: str, fingerprint: str, count: int) -> list[str]:
        """Those that came after the first `count`, in the order in which they came. Raises `QueueUnavailable`."""
        key = keys.observations(model, fingerprint)
        with redis_errors():
            texts = cast(list[str], self._connection.commands.lrange(key, count, -1))
            self._connection.commands.expire(key, KEPT_SECONDS)
        return texts
