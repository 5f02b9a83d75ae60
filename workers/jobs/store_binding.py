"""Which Redis a store of results belongs to. Both carry the same random id, so that a wrong address, a wrong store or
one that is not mounted is seen before anything is written to it or deleted from it."""

import secrets
import time

from workers.jobs import keys
from workers.jobs.connection import Connection
from workers.jobs.errors import StoreMismatch
from workers.jobs.store import Store

#: A process that has told Redis of a store marks the store next; nobody is refused in between.
_TRIES, _PAUSE_SECONDS = 10, 0.1


class StoreBinding:
    """Store and Redis of one installation. Safe to share between threads.

    A store without results is bound to a Redis without a store at the first check, whoever makes it.
    """

    def __init__(self, store: Store, connection: Connection) -> None:
        self._store, self._connection = store, connection
        self._proven: str | None = None

    def check(self) -> None:
        """Raises `StoreMismatch` when they do not belong together, `OSError`, `QueueUnavailable`."""
        held, known = self._store.mark(), self._in_redis()
        if known is None:
            if held is not None and held == self._proven:
                known = self._tell_redis(held)  # Redis came back empty, and this process knows that it is the same one.
            elif held is None or not self._store.has_results():
                known, held = self._bind(), None
        if held is None:
            held = self._marked(known)
        if held is None:
            raise StoreMismatch("results belong to another folder: this one has no mark of this Redis; is it mounted?")
        if known is None:
            raise StoreMismatch("the folder's results belong to another Redis, or this one lost what it had")
        if held != known:
            raise StoreMismatch("folder and Redis belong to two different installations")
        self._proven = held

    def _bind(self) -> str:
        """Redis decides between several that come at the same time; the one that won marks the folder."""
        ours = secrets.token_hex(16)
        id = self._tell_redis(ours)
        if id == ours:
            self._store.set_mark(ours)
        return id

    def _marked(self, known: str | None) -> str | None:
        """The store's mark, once it is the one that is known, or what it is after a while."""
        for _ in range(_TRIES):
            if (held := self._store.mark()) == known:
                break
            time.sleep(_PAUSE_SECONDS)
        return held

    def _tell_redis(self, id: str) -> str:
        """The id that Redis has then: another process may have been faster."""
        with self._connection.asking():
            self._connection.commands.set(keys.STORE, id, nx=True)
        return self._in_redis() or id

    def _in_redis(self) -> str | None:
        with self._connection.asking():
            id = self._connection.commands.get(keys.STORE)
        return None if id is None else str(id)
