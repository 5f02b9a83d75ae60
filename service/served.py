"""Which models are served: what this service says of itself, and which ones nobody serves any more."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from starlette.concurrency import run_in_threadpool

from workers.jobs.errors import QueueUnavailable
from workers.jobs.presence import Presence

SAY_SECONDS = 60.0


async def say_served(presence: Presence, models: Sequence[str]) -> None:
    """Never returns. While Redis is away it tries again as often."""
    while True:
        with suppress(QueueUnavailable):
            await run_in_threadpool(presence.serve, models)
        await asyncio.sleep(SAY_SECONDS)


def known_models(presence: Presence, served: Sequence[str]) -> list[str]:
    """The models that are served here, then those that nobody serves any more but of which jobs may be left. Raises
    `QueueUnavailable`."""
    return [*served, *(model for model in presence.unserved() if model not in served)]
