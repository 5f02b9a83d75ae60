"""What one client of a stream has still to be sent, within bounds."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from service.frames import Frame
from workers.jobs.errors import ScalingCacheError

#: Frames that wait for a client. They are shared with all who get them, so it is their number that is held per client.
MOST_WAITING = 256


class Watch:
    """Of one job, or of all of an account. A client that is too far behind loses what waits, and is told so."""

    def __init__(
        self, tenant: str, job_id: str | None, close: Callable[["Watch"], None], behind: Callable[[], None]
    ) -> None:
        """close: called once the client has left. behind: called whenever it loses what waits."""
        self.tenant, self.job_id = tenant, job_id
        #: The job's place in the queue, as the client knows it; None where it does not wait, or there are many jobs.
        self.waits_at: int | None = None
        self._close, self._lost = close, behind
        self._frames: deque[Frame] = deque()
        self._news = asyncio.Event()
        self._behind = False
        self._over = False
        self._error: ScalingCacheError | None = None

    def close(self) -> None:
        """The client has left."""
        self._close(self)

    def wants(self, job_id: str) -> bool:
        """Whether it is told of a job of its account."""
        return self.job_id in (None, job_id)

    def put(self, frame: Frame) -> None:
        """Tell the client."""
        if len(self._frames) >= MOST_WAITING:
            self._frames.clear()
            self._behind = True
            self._lost()
        if not self._behind:
            self._frames.append(frame)
        self.note([frame])
        self._news.set()

    def note(self, frames: Sequence[Frame]) -> None:
        """What the client is told."""
        if self.job_id is not None and frames:
            self.waits_at = frames[-1].waits_at

    def end(self, error: ScalingCacheError | None = None) -> None:
        """Nothing more comes. error: why, where that is before its time."""
        self._over, self._error = True, error
        self._news.set()

    async def news(self, seconds: float) -> list[Frame] | None:
        """What has come since, waiting at most so many seconds for it. None where something was lost: then the client
        is to be told how things stand. Raises the error that ended it, and `Ended`."""
        if not self._news.is_set():
            try:
                async with asyncio.timeout(seconds):
                    await self._news.wait()
            except TimeoutError:
                return []
        if self._behind:
            self._behind = False
            return None
        frames = list(self._frames)
        self._frames.clear()
        if self._over and not frames:
            raise self._error or Ended
        if not self._over:
            self._news.clear()
        return frames


class Ended(Exception):
    """The service ends, and its streams with it."""
