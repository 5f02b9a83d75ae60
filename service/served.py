"""Which models are served: what this service says of itself, and which ones nobody serves any more."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from starlette.concurrency import run_in_threadpool

from workers.jobs.errors import CoefficientsMismatch, ModelLoadFailed, ModelUnavailable, QueueUnavailable
from workers.jobs.presence import Presence, WorkerInfo

SAY_SECONDS = 60.0
#: What ends by nobody's waiting: an operator has to put a file right.
_UNLOADABLE = frozenset({ModelLoadFailed.code, CoefficientsMismatch.code})


async def say_served(presence: Presence, models: Sequence[str]) -> None:
    """Never returns. While Redis is away it tries again as often."""
    while True:
        with suppress(QueueUnavailable):
            await run_in_threadpool(presence.serve, models)
        await asyncio.sleep(SAY_SECONDS)


def check_loadable(workers: Sequence[WorkerInfo], model: str) -> None:
    """Raise `ModelUnavailable` where all workers of the model, of these live ones, say that it cannot be loaded.

    Without any worker jobs wait for one. The cause names folders, so it is told by its code alone.
    """
    problems = [worker.problem_with(model) for worker in workers if model in worker.serves]
    codes = {problem.code for problem in problems if problem is not None}
    if problems and None not in problems and codes <= _UNLOADABLE:
        raise ModelUnavailable(
            f"model {model} cannot be loaded ({', '.join(sorted(codes))}): nothing is accepted for it until its "
            "operator has put right what `python -m service status` names"
        )


def known_models(presence: Presence, served: Sequence[str]) -> list[str]:
    """The models that are served here, then those that nobody serves any more but of which jobs may be left. Raises
    `QueueUnavailable`."""
    return [*served, *(model for model in presence.unserved() if model not in served)]
