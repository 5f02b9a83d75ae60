"""What the workers of a model saw of it in uncached runs, for all of them: a list that only grows.

Nothing in it ever changes or moves, so a number of runs names what was known at some time, on every worker alike.
"""

import hashlib
from collections.abc import Sequence
from typing import Literal, cast

from workers.jobs import keys, scripts
from workers.jobs.connection import Connection, redis_errors
from workers.jobs.job import LEAST_SF, GenerationRequest

MOST = 64
"""Observations that are kept of one model's weights; more would bring next to nothing."""
KEPT_SECONDS = 90 * 86_400
"""How long they are kept after the last one of them was read or added."""


class Observations:
    """Texts that mean something to workers alone: `workers.engine.learning.ObservedRun` as JSON.

    known_seconds: how long a request's second observation is told from a new one. What is kept for that is a digest,
    no longer than jobs are.
    """

    def __init__(self, connection: Connection, known_seconds: float = 86_400.0) -> None:
        self._connection = connection
        self._known_seconds = known_seconds

    def add(
        self, model: str, fingerprint: str, request: GenerationRequest, text: str, told: int | None = None
    ) -> Literal["kept", "known", "full", "behind"]:
        """Add what an uncached run of a request has shown to what is known of a model's weights.

        told: how many entries the text rests on, where it does not hold after others.
        `known`: such a run of it was added already; `full`: there are enough; `behind`: others have come since those
        that were told. Raises `QueueUnavailable`.
        """
        names = keys.observations(model, fingerprint), keys.observed_requests(model, fingerprint)
        digest, after = _digest(request), -1 if told is None else told
        observe = scripts.Observe(*names, MOST, KEPT_SECONDS, digest, self._known_seconds, text, after)
        return self._connection.run(observe)

    def knows(self, model: str, fingerprint: str, request: GenerationRequest) -> bool:
        """Whether an uncached run of the request was added. Raises `QueueUnavailable`."""
        with self._connection.asking():
            key = keys.observed_requests(model, fingerprint)
            return self._connection.commands.zscore(key, _digest(request)) is not None

    def since(self, model: str, fingerprint: str, told: Sequence[str]) -> list[str] | None:
        """Those that came after the ones told, in the order in which they came.

        None where the list does not go on from those: Redis has lost it. Raises `QueueUnavailable`.
        """
        key = keys.observations(model, fingerprint)
        with redis_errors():
            texts = cast(list[str], self._connection.commands.lrange(key, max(0, len(told) - 1), -1))
            self._connection.commands.expire(key, KEPT_SECONDS)
        if not told:
            return texts
        return texts[1:] if texts[:1] == [told[-1]] else None


def _digest(request: GenerationRequest) -> str:
    """The same for all requests with one uncached run: of their fps only the file knows, and with other steps it shows
    the same picture."""
    anyhow = {"basis_runs": None, "allow_uncalibrated": False, "fps": 1, "steps": 1}
    alike = request.uncached.model_copy(update={**anyhow, "sf": LEAST_SF})
    return hashlib.sha256(alike.model_dump_json().encode()).hexdigest()[:32]
