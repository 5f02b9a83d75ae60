"""Each rank tells the others that it lives and where it is, and notices within seconds when one is lost.

It died, it was stopped, or it does not go on from where the others have gone on.

A rank that is lost takes the group with it: whoever waits for it in a collective would wait for nothing.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from torch.distributed import Store  # type: ignore[attr-defined]  # it has no list of its names

from workers.parallel.loss import Loss
from workers.parallel.pace import Pace
from workers.parallel.progress import Place, Progress

BEAT_SECONDS = 0.5
#: A rank that has not told for so long is lost, and one that others have waited for so long.
SILENT_SECONDS = 7.0
#: While a model is read, or compiled, the interpreter may be held for many seconds.
LOADING_SECONDS = 120.0

#: What was lost, and why for people.
Lost = tuple[Loss, str]


@dataclass
class _Heard:
    """The last beat, as text and as what it says: how long to wait for the next one, where the rank is."""

    beat: bytes
    at: float
    patience: float
    place: Place
    signs: int

    @classmethod
    def read(cls, beat: bytes, now: float) -> "_Heard":
        _, patience, command, count, signs = beat.split()
        return cls(beat, now, float(patience), (int(command), int(count)), int(signs))


class Pulse(threading.Thread):
    """Beats, and listens to other ranks' beats. Rank 0's also looks whether all go on."""

    def __init__(
        self,
        store: Store,
        rank: int,
        watched: Sequence[int],
        progress: Progress,
        lost: Callable[[Loss, str], None],
        ended: Callable[[], Lost | None] = lambda: None,
    ) -> None:
        """
        store: a connection for this alone. progress: of this rank.
        lost: called once, in this thread, with what happened. ended: what is known to have ended without listening.
        """
        super().__init__(name="pulse", daemon=True)
        self._store, self._rank, self._watched, self._lost, self._ended = store, rank, watched, lost, ended
        self.progress = progress
        self._heard: dict[int, _Heard] = {}
        self._pace = Pace()
        self._answered_at = time.monotonic()
        self._problem: Lost | None = None
        self._over, self._told = threading.Event(), threading.Event()
        self._patient = 1  # Until all have met.

    def stop(self) -> None:
        """End without calling anything lost."""
        self._over.set()

    def met(self) -> None:
        """The group has started: this rank is to be heard of as often as it says, and the others are to be heard of."""
        self._patient -= 1
        for rank in self._watched:
            self._heard.setdefault(rank, _Heard(b"", time.monotonic(), LOADING_SECONDS, (-1, 0), 0))

    def find(self) -> None:
        """A collective has failed: wait until the pulse has looked why. Where it finds a loss, that says more."""
        self._over.wait(3 * BEAT_SECONDS)

    @contextmanager
    def patient(self) -> Iterator[None]:
        """Inside, the others wait long for this rank to beat, and to go on. Begins when they have been told."""
        self._patient += 1
        self._told.clear()
        self._told.wait(4 * BEAT_SECONDS)
        try:
            yield
        finally:
            self._patient -= 1

    @property
    def _patience(self) -> float:
        return LOADING_SECONDS if self._patient else SILENT_SECONDS

    def run(self) -> None:
        """Until a rank is lost, or `stop`."""
        # A call to a store whose process is stopped does not return, whatever its timeout.
        threading.Thread(target=self._talk, name="beats", daemon=True).start()
        last = self._answered_at = time.monotonic()
        while not self._over.wait(BEAT_SECONDS):
            now = time.monotonic()
            if now - last > 3 * BEAT_SECONDS:  # This process was held up itself, so all that it heard is old.
                self._answered_at = now
                self._pace.forget()
                for heard in list(self._heard.values()):
                    heard.at = now
            last = now
            if (cause := self._cause(now)) is not None and not self._over.is_set():
                self._lost(*cause)
                return

    def _cause(self, now: float) -> Lost | None:
        """What was lost, if anything."""
        if (cause := self._ended() or self._problem) is not None:
            return cause
        if now - self._answered_at > SILENT_SECONDS:
            return Loss.STORE, f"the group's store has not answered for {SILENT_SECONDS:g} seconds"
        heard_of = dict(self._heard)
        for rank, heard in heard_of.items():
            if now - heard.at > heard.patience:
                return Loss.SILENT, f"rank {rank} has not been heard of for {heard.patience:g} seconds"
        return self._held_up(heard_of, now) if self._rank == 0 else None

    def _held_up(self, heard_of: dict[int, _Heard], now: float) -> Lost | None:
        self._pace.note(self._rank, self.progress.place, self.progress.signs, now)
        for rank, heard in heard_of.items():
            self._pace.note(rank, heard.place, heard.signs, now)
        patience = {rank: heard.patience for rank, heard in heard_of.items()} | {self._rank: self._patience}
        if (last := self._pace.held_up(patience, now)) is None:
            return None
        return Loss.HELD_UP, f"rank {last} does not go on, and the others wait for it"

    def _talk(self) -> None:
        beats = 0
        try:
            while not self._over.wait(BEAT_SECONDS):
                beats += 1
                patient, (command, count) = self._patient, self.progress.place
                signs = self.progress.signs if self._rank else 0  # That of rank 0 is read where it is judged.
                self._store.set(f"beat/{self._rank}", f"{beats} {self._patience} {command} {count} {signs}")
                if patient == self._patient:
                    self._told.set()
                for rank in self._watched:
                    self._hear(rank)
                self._answered_at = time.monotonic()
        except RuntimeError as error:  # the store's, which rank 0 serves
            self._problem = Loss.STORE, f"the group's store is gone: {str(error).splitlines()[0][:200]}"

    def _hear(self, rank: int) -> None:
        key = f"beat/{rank}"
        if not self._store.check([key]):
            return  # Not there yet; the group's start has a limit of its own.
        beat, heard = self._store.get(key), self._heard.get(rank)
        if heard is None or heard.beat != beat:
            self._heard[rank] = _Heard.read(beat, time.monotonic())
