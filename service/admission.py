"""Whether an account may submit: how much one request may cost, and how many requests may come in a time."""

from dataclasses import dataclass

from starlette.requests import Request

from service.errors import CostTooHigh, RateLimited
from workers.jobs import account_scripts, keys
from workers.jobs.connection import Connection
from workers.jobs.cost import cost_of
from workers.jobs.job import GenerationRequest

#: The name of the one policy, in the answers' headers.
POLICY = "submissions"


@dataclass(frozen=True, slots=True)
class Quota:
    """What is left of an account's submissions, and whether this one was in it.

    seconds: until there are `most` again, or, where this one was not in it, until it would be.
    """

    taken: bool
    most: int
    window_seconds: float
    left: int
    seconds: float

    @property
    def headers(self) -> dict[str, str]:
        """As in draft-ietf-httpapi-ratelimit-headers-11."""
        return {
            "ratelimit-policy": f'"{POLICY}";q={self.most};w={_whole(self.window_seconds)}',
            "ratelimit": f'"{POLICY}";r={self.left};t={_whole(self.seconds)}',
        }


class Admission:
    """Safe to share between threads.

    per_minute: how many images and videos an account may submit a minute; None for any number. burst: how many of
    them at once. most_cost: of one request, in pixels x frames x steps; None for any.
    """

    def __init__(
        self, connection: Connection, per_minute: float | None, burst: int | None, most_cost: int | None
    ) -> None:
        self._connection, self._per_minute, self._most_cost = connection, per_minute, most_cost
        self._burst = burst or max(1, round(per_minute or 1))

    def check_cost(self, request: GenerationRequest) -> None:
        """Raises `CostTooHigh`."""
        cost = cost_of(request)
        if self._most_cost is not None and cost > self._most_cost:
            raise CostTooHigh(
                "size",
                f"size {request.width}x{request.height}, frames {request.frames}, steps {request.steps} cost "
                f"{cost} (their product); allowed: at most {self._most_cost}",
            )

    def take(self, tenant: str, count: int) -> Quota | None:
        """Count submissions of an account; None where any number is allowed. Raises `QueueUnavailable`."""
        if self._per_minute is None:
            return None
        rate = self._per_minute / 60
        spend = account_scripts.Spend(keys.submissions(tenant), rate, self._burst, min(count, self._burst))
        taken, left, seconds = self._connection.run(spend)
        return Quota(bool(taken), self._burst, self._burst / rate, left, float(seconds))

    def admit(self, request: Request, tenant: str, count: int = 1) -> None:
        """Let submissions in, or not; the answer tells what is left. Raises `RateLimited`, `QueueUnavailable`."""
        quota = self.take(tenant, count)
        if quota is None:
            return
        request.state.headers = quota.headers
        if not quota.taken:
            raise RateLimited(
                f"{self._per_minute:g} submissions a minute are allowed, {self._burst} at once; try again in "
                f"{_whole(quota.seconds)} s",
                quota.seconds,
            )


def _whole(seconds: float) -> int:
    return int(-(-seconds // 1))
