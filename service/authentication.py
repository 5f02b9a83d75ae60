"""Who calls: from the Authorization header to an account and what it may do."""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool

from service.accounts import Accounts, Scope
from service.errors import InvalidKey, MissingKey

#: How long a key that was found good is taken for that: so soon is a revocation in force in every process.
TRUST_SECONDS = 2.0
#: How many keys are remembered at a time; beyond it all are asked for anew.
REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose request it is. key_id: for the log; None where nobody has keys."""

    account: str
    scopes: frozenset[Scope]
    key_id: str | None = None


#: Without keys there is one account, which may do everything.
EVERYBODY = Caller("default", frozenset(Scope))


class Authentication:
    """Belongs to the event loop. accounts: None where no keys are asked for."""

    def __init__(self, accounts: Accounts | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._accounts, self._clock = accounts, clock
        self._trusted: dict[bytes, tuple[float, Caller]] = {}

    async def caller(self, authorization: Sequence[str]) -> Caller:
        """Whose request has these Authorization headers. Raises `MissingKey`, `InvalidKey`, `QueueUnavailable`."""
        if self._accounts is None:
            return EVERYBODY
        presented = presented_key(authorization)
        digest = hashlib.sha256(presented.encode()).digest()  # So that no key is kept.
        until, caller = self._trusted.get(digest, (0.0, EVERYBODY))
        if self._clock() < until:
            return caller
        asked_at = self._clock()
        key = await run_in_threadpool(self._accounts.verify, presented)
        if key is None:
            self._trusted.pop(digest, None)
            raise InvalidKey("the API key is not valid: it is mistyped, revoked, or its time is over")
        caller = Caller(key.account, key.scopes, key.id)
        if len(self._trusted) >= REMEMBERED:
            self._trusted.clear()
        self._trusted[digest] = asked_at + TRUST_SECONDS, caller
        return caller


def presented_key(authorization: Sequence[str], what: str = "an API key") -> str:
    """What is behind `Bearer` in these Authorization headers. Raises `MissingKey`, `InvalidKey`."""
    if len(authorization) > 1:
        raise InvalidKey("the Authorization header was sent more than once; send it once")
    scheme, _, key = (authorization[0] if authorization else "").partition(" ")
    if not authorization or not key.strip():
        raise MissingKey(f"{what} is required: send it as `Authorization: Bearer <key>`")
    if scheme.lower() != "bearer":
        raise InvalidKey("the Authorization header has another scheme; allowed: Bearer")
    return key.strip()
