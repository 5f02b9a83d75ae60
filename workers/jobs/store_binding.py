"""Which Redis a folder of results belongs to. Both carry the same random id, so that a wrong address, a wrong folder or
one that is not mounted is seen before anything is written to it or deleted from it."""

import secrets
from pathlib import Path

from workers.files import replacing
from workers.jobs import keys, removal
from workers.jobs.connection import Connection
from workers.jobs.errors import StoreMismatch

#: The file in the store that carries its id.
MARKER = ".scalingcache-store"


class StoreBinding:
    """Folder and Redis of one installation. Safe to share between threads.

    A folder without results is bound to a Redis without a store at the first check, whoever makes it.
    """

    def __init__(self, root: Path, connection: Connection) -> None:
        self._marker, self._root, self._connection = root / MARKER, root, connection
        self._proven: str | None = None

    def check(self) -> None:
        """Raises `StoreMismatch` when they do not belong together, `OSError`, `QueueUnavailable`."""
        held, known = self._in_folder(), self._in_redis()
        if known is None:
            if held is not None and held == self._proven:
                known = self._tell_redis(held)  # Redis came back empty, and this process knows that it is the same one.
            elif held is None or not any(removal.attempts(self._root)):
                known = self._bind()
                held = self._in_folder()
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
            with replacing(self._marker) as partial:
                partial.write_text(f"{ours}\n")
        return id

    def _tell_redis(self, id: str) -> str:
        """The id that Redis has then: another process may have been faster."""
        with self._connection.asking():
            self._connection.commands.set(keys.STORE, id, nx=True)
        return self._in_redis() or id

    def _in_redis(self) -> str | None:
        with self._connection.asking():
            id = self._connection.commands.get(keys.STORE)
        return None if id is None else str(id)

    def _in_folder(self) -> str | None:
        try:
            return self._marker.read_text(errors="replace").strip()
        except FileNotFoundError:
            return None
