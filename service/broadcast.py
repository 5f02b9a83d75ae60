"""What happens to jobs, passed on to all who watch: one connection to Redis, and one reading of each event, for all."""

import asyncio
from collections import defaultdict

import structlog

from service.errors import Overloaded, TooManyStreams
from service.metrics import Metrics
from service.telling import Telling
from service.watch import Watch
from workers.jobs.errors import QueueUnavailable, ScalingCacheError
from workers.jobs.job import JobKey
from workers.jobs.live import LiveEvent, LiveEvents

log = structlog.get_logger("service")

#: How long a stream waits to hear what happens, before it begins.
LISTEN_SECONDS = 2.0
#: How often those who watch a job that waits are told of its place in the queue, where that is another one.
POSITION_SECONDS = 2.0


class Broadcast:
    """Listens while anybody watches, and holds nothing once nobody does. Belongs to one event loop."""

    def __init__(
        self, live: LiveEvents, telling: Telling, metrics: Metrics, *, most: int, most_of_account: int
    ) -> None:
        """most, most_of_account: how many may watch at a time, of all and of one account."""
        self._live, self._telling, self._metrics = live, telling, metrics
        self._most, self._most_of_account = most, most_of_account
        self._watches: dict[str, set[Watch]] = defaultdict(set)
        self._listening: asyncio.Task[None] | None = None
        self._heard: asyncio.Future[None] | None = None
        self._over = False

    def __len__(self) -> int:
        """How many watch."""
        return sum(map(len, self._watches.values()))

    async def watch(self, tenant: str, job_id: str | None = None) -> Watch:
        """What happens from now on to a job of an account, or to all of its jobs. To be closed by who asks.

        Raises `TooManyStreams`, `Overloaded`, `QueueUnavailable`.
        """
        if len(self._watches.get(tenant, ())) >= self._most_of_account:
            raise TooManyStreams(
                f"{self._most_of_account} streams of yours are open, which is the most that may be; close one"
            )
        if self._over or len(self) >= self._most:
            raise Overloaded("too many streams are open; try again")
        watch = Watch(tenant, job_id, self._close, self._metrics.stream_behind)
        self._watches[tenant].add(watch)
        self._metrics.streams_open(len(self))
        try:
            async with asyncio.timeout(LISTEN_SECONDS):
                await asyncio.shield(self._begun())
        except BaseException as error:
            self._close(watch)
            if isinstance(error, TimeoutError):
                raise QueueUnavailable("Redis: too slow") from None
            raise
        return watch

    def end(self) -> None:
        """End all streams: the service does."""
        self._over = True
        self._end_all(None)

    def _begun(self) -> "asyncio.Future[None]":
        """Done once events are heard. Whoever comes first has it begin."""
        if self._heard is None:
            self._heard = asyncio.get_running_loop().create_future()
            self._listening = asyncio.create_task(self._listen(self._heard))
        return self._heard

    def _close(self, watch: Watch) -> None:
        watches = self._watches.get(watch.tenant, set())
        watches.discard(watch)
        if not watches:
            self._watches.pop(watch.tenant, None)
        self._metrics.streams_open(len(self))
        if not self._watches and self._listening is not None:
            self._listening.cancel()
            self._listening = self._heard = None
            self._telling.forget()

    def _end_all(self, error: ScalingCacheError | None) -> None:
        for watches in self._watches.values():
            for watch in watches:
                watch.end(error)

    async def _listen(self, heard: "asyncio.Future[None]") -> None:
        try:
            async with self._live.listening() as events, asyncio.TaskGroup() as group:
                heard.set_result(None)
                positions = group.create_task(self._tell_positions())
                async for event in events:
                    await self._pass_on(event)
                positions.cancel()
        except* Exception as errors:
            first = errors.exceptions[0]
            if not isinstance(first, QueueUnavailable):
                log.error("streams broke", exc_info=first)
            self._break(heard, first if isinstance(first, ScalingCacheError) else ScalingCacheError())

    def _break(self, heard: "asyncio.Future[None]", error: ScalingCacheError) -> None:
        """Those who watch are told; whoever comes next has it begin anew."""
        if self._heard is heard:
            self._listening = self._heard = None
        if heard.done():
            self._end_all(error)
        else:
            heard.set_exception(error)
            heard.exception()  # Seen, also where whoever waited for it has left.

    async def _pass_on(self, event: LiveEvent) -> None:
        if not self._watching(event):
            return
        frame = await self._telling.of(event)
        if frame is not None:
            for watch in self._watching(event):
                watch.put(frame)

    def _watching(self, event: LiveEvent) -> list[Watch]:
        return [watch for watch in self._watches.get(event.tenant, ()) if watch.wants(event.job_id)]

    async def _tell_positions(self) -> None:
        while True:
            await asyncio.sleep(POSITION_SECONDS)
            waiting = [watch for watches in self._watches.values() for watch in watches if watch.waits_at is not None]
            jobs = {JobKey(watch.tenant, watch.job_id) for watch in waiting if watch.job_id}
            frames = await self._telling.waiting(jobs) if jobs else {}
            for watch in waiting:
                moved = frames.get(watch.job_id or "")
                if moved is not None and watch.waits_at not in (None, moved.waits_at):  # It may have begun meanwhile.
                    watch.put(moved)
