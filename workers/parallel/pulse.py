"""Each rank tells the others that it lives, and notices within seconds when one does not: it died, or it was stopped.

A rank that is lost takes the group with it: whoever waits for it in a collective would wait for nothing.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch.distributed import Store  # type: ignore[attr-defined]  # it has no list of its names

BEAT_SECONDS = 0.5
#: A rank that has not told for so long is lost.
SILENT_SECONDS = 7.0
#: While a model is read the interpreter may be held for many seconds.
LOADING_SECONDS = 120.0


@dataclass
class _Heard:
    beat: bytes
    at: float
    patience: float


class Pulse(threading.Thread):
    """Beats, and listens to other ranks' beats. patience: how long the others are to wait for the next beat."""

    def __init__(
        self,
        store: Store,
        rank: int,
        watched: Sequence[int],
        lost: Callable[[str], None],
        ended: Callable[[], str | None] = lambda: None,
    ) -> None:
        """
        store: a connection for this alone.
        lost: called once, in this thread, with what happened. ended: what is known to have ended without listening.
        """
        super().__init__(name="pulse", daemon=True)
        self._store, self._rank, self._watched, self._lost, self._ended = store, rank, watched, lost, ended
        self._heard: dict[int, _Heard] = {}
        self._answered_at = time.monotonic()
        self._problem: str | None = None
        self._over = threading.Event()
        self.patience = LOADING_SECONDS

    def stop(self) -> None:
        """End without calling anything lost."""
        self._over.set()

    def run(self) -> None:
        """Until a rank is lost, or `stop`."""
        # A call to a store whose process is stopped does not return, whatever its timeout.
        threading.Thread(target=self._talk, name="beats", daemon=True).start()
        last = time.monotonic()
        while not self._over.wait(BEAT_SECONDS):
            now = time.monotonic()
            if now - last > 3 * BEAT_SECONDS:  # This process was held up itself, so all that it heard is old.
                self._answered_at = now
                for heard in list(self._heard.values()):
                    heard.at = now
            last = now
            if (cause := self._cause(now)) is not None and not self._over.is_set():
                self._lost(cause)
                return

    def _cause(self, now: float) -> str | None:
        """What was lost, if anything."""
        if (cause := self._ended() or self._problem) is not None:
            return cause
        if now - self._answered_at > SILENT_SECONDS:
            return f"the group's store has not answered for {SILENT_SECONDS:g} seconds"
        for rank, heard in list(self._heard.items()):
            if now - heard.at > heard.patience:
                return f"rank {rank} has not been heard of for {heard.patience:g} seconds"
        return None

    def _talk(self) -> None:
        beats = 0
        try:
            while not self._over.wait(BEAT_SECONDS):
                beats += 1
                self._store.set(f"beat/{self._rank}", f"{beats} {self.patience}")
                for rank in self._watched:
                    self._hear(rank)
                self._answered_at = time.monotonic()
        except RuntimeError as error:  # the store's, which rank 0 serves
            self._problem = f"the group's store is gone: {str(error).splitlines()[0][:200]}"

    def _hear(self, rank: int) -> None:
        key = f"beat/{rank}"
        if not self._store.check([key]):
            return  # Not there yet; the group's start has a limit of its own.
        beat, heard = self._store.get(key), self._heard.get(rank)
        if heard is None or heard.beat != beat:
            self._heard[rank] = _Heard(beat, time.monotonic(), float(beat.split()[1]))
