"""The process that tells clients' receivers that jobs have ended: `python -m service webhooks`."""

import asyncio
import random
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import structlog
from anyio import to_thread

from service.webhook_metrics import WebhookMetrics
from service.webhook_post import Outcome, Receivers, body_of
from service.webhook_secrets import WebhookSecrets
from workers.jobs.deliveries import Delivery, Leased, Outbox
from workers.jobs.errors import QueueUnavailable

#: Seconds from each attempt to the next, a day in all; after the last one the message is given up.
DELAYS = (5, 30, 120, 600, 1800, 3600, 7200, 14_400, 28_800, 29_845)
#: Each is up to so much longer, so that receivers that were away do not get everything at once.
JITTER = 0.2
#: How soon to look for new messages again.
PAUSE_SECONDS = 0.5
GONE = 410
NO_SECRET = "the account has no secret to sign with; POST /v1/webhooks/secrets makes one"


def next_delay(attempts: int, status: int | None) -> float | None:
    """Seconds until the next attempt, after so many in vain; None where there is to be none: it was the last one, or
    the receiver said that it is gone."""
    if status == GONE or attempts > len(DELAYS):
        return None
    return float(DELAYS[max(0, attempts - 1)])


class Sender:
    """Leases what is due and sends it, many messages at a time. A method at a time, in one event loop.

    models: those whose messages it looks for. clock: tells Unix seconds.
    """

    def __init__(
        self,
        outbox: Outbox,
        secrets: WebhookSecrets,
        receivers: Receivers,
        models: Callable[[], Sequence[str]],
        metrics: WebhookMetrics,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._outbox, self._secrets, self._receivers = outbox, secrets, receivers
        self._models, self._metrics, self._clock = models, metrics, clock
        self._under_way: dict[asyncio.Task[None], Delivery] = {}
        self._room = asyncio.Event()
        self._log = structlog.get_logger("webhooks")

    async def run(self, stopping: asyncio.Event) -> None:
        """Send until `stopping` is set; then end what is under way, which takes no longer than an attempt may."""
        away = False
        while not stopping.is_set():
            try:
                await self.round()
                away = False
            except QueueUnavailable as error:
                if not away:
                    self._log.error("queue unavailable", cause=type(error.__cause__ or error).__name__)
                away = True
            self._room.clear()
            await _first(stopping.wait(), self._room.wait(), timeout=PAUSE_SECONDS)
        await self.idle()

    async def round(self) -> int:
        """Begin to send what is due, as much as there is room for; how much that is. Raises `QueueUnavailable`."""
        begun = 0
        for model in await to_thread.run_sync(self._models):
            for leased in await to_thread.run_sync(self._outbox.lease, model, list(self._under_way.values())):
                task = asyncio.create_task(self._send(leased))
                self._under_way[task] = leased.delivery
                task.add_done_callback(self._ended)
                begun += 1
        self._metrics.round_done(len(self._under_way))
        return begun

    async def idle(self) -> None:
        """Wait until nothing is under way."""
        while self._under_way:
            await asyncio.wait(list(self._under_way))

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._under_way[task]
        self._room.set()

    async def _send(self, leased: Leased) -> None:
        delivery = leased.delivery
        try:
            outcome = await self._attempt(delivery)
            state = await to_thread.run_sync(self._settle, leased, outcome)
        except QueueUnavailable:  # Its lease will end, and it goes out again under the same id.
            self._log.warning("delivery not recorded", delivery=delivery.id, job=delivery.job)
            return
        except Exception:
            self._log.exception("delivery failed within", delivery=delivery.id, job=delivery.job)
            return
        self._metrics.attempted(state, outcome.seconds)
        self._log.info(
            "delivery",
            delivery=delivery.id,
            job=delivery.job,
            type=delivery.type,
            attempt=delivery.attempts,
            state=state,
            status=outcome.status,
            seconds=round(outcome.seconds, 3),
        )

    async def _attempt(self, delivery: Delivery) -> Outcome:
        body, timestamp = body_of(delivery), int(self._clock())
        signatures = await to_thread.run_sync(self._secrets.signatures, delivery.tenant, delivery.id, timestamp, body)
        if not signatures:
            return Outcome(None, NO_SECRET, 0.0)
        return await self._receivers.post(delivery, body, signatures=signatures, timestamp=timestamp)

    def _settle(self, leased: Leased, outcome: Outcome) -> str:
        """What the attempt was, in a word. Raises `QueueUnavailable`."""
        delivery, status = leased.delivery, outcome.status
        if outcome.error is None:
            mine = self._outbox.delivered(leased, status=status or 0, seconds=outcome.seconds)
            return "delivered" if mine else "lost"
        error, seconds = outcome.error, outcome.seconds
        delay = next_delay(delivery.attempts, status)
        if delay is None:
            return "failed" if self._outbox.failed(leased, status=status, error=error, seconds=seconds) else "lost"
        delay *= 1 + JITTER * random.random()
        mine = self._outbox.retry(leased, delay, status=status, error=error, seconds=seconds)
        return "retried" if mine else "lost"


async def _first(*waits: Coroutine[Any, Any, object], timeout: float) -> None:
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
