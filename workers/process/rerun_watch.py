"""One rerun, from its start to its end: the supervisor's side. It ends for a job that comes, within a step."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from workers.jobs.errors import QueueUnavailable
from workers.jobs.leases import Attempt
from workers.jobs.reruns import End, Rerun, Reruns
from workers.process.child import Child, ChildDied
from workers.process.events import Again, Event, Failed, LeftOut, RanAgain, StageStarted, StepDone, Stop, Stopped
from workers.process.settings import Settings
from workers.process.shutdown import Shutdown

#: Longest single wait for a job, and so for what the process says; a job ends the wait at once.
WATCH_SECONDS = 0.25


class Ended(NamedTuple):
    """attempt: the job that the rerun was given up for."""

    how: End
    result: RanAgain | None = None
    attempt: Attempt | None = None


class RerunWatch:
    """Waits for a job while the child works, and for the child only beside.

    A job is claimed before the child has stopped: nothing else may take the time until then. Its attempt then begins
    while the child ends its step.

    wait: until there may be a job, at most so many seconds. claim: the job, if there is one.
    """

    def __init__(
        self,
        rerun: Rerun,
        child: Child,
        reruns: Reruns,
        wait: Callable[[float], bool],
        claim: Callable[[], Attempt | None],
        settings: Settings,
        shutdown: Shutdown,
    ) -> None:
        self._rerun, self._child, self._reruns = rerun, child, reruns
        self._wait, self._claim, self._settings, self._shutdown = wait, claim, settings, shutdown
        self._progress_at = self._renewed_at = time.monotonic()

    def run(self) -> Ended:
        """Returns when it is over, or given up. The child may be dead then.

        Raises `QueueUnavailable`: the rerun is given up, since nobody would see a job come.
        """
        job = self._rerun.job
        delivered = job.artifact if self._rerun.work == "shadow" else None
        try:
            self._child.send(Again(self._rerun.token, job.key, job.request, delivered))
            return self._watch()
        except ChildDied:
            self._reruns.end(self._rerun)
            return Ended("failed")
        except QueueUnavailable:
            self._stop()
            raise

    def _watch(self) -> Ended:
        while True:
            came = self._wait(WATCH_SECONDS)
            if came and (attempt := self._claim()) is not None:
                with suppress(ChildDied, QueueUnavailable):  # Whatever comes now, the job must not be lost.
                    self._give_up()
                return Ended("given_up", attempt=attempt)
            if self._shutdown.requested:
                self._give_up()
                return Ended("stopped")
            # Where a job came and could not be claimed the wait would end at once, again and again.
            if (ended := self._heard(WATCH_SECONDS if came else 0.0)) is not None:
                return ended
            now = time.monotonic()
            if now - self._progress_at > self._settings.step_timeout_seconds:
                self._child.kill()
                raise ChildDied("it made no progress")
            if now - self._renewed_at > self._settings.beat_seconds:
                self._renewed_at = now
                if not self._reruns.go_on(self._rerun):
                    self._stop()
                    return Ended("gone")

    def _heard(self, timeout_seconds: float) -> Ended | None:
        """What the child has said meanwhile, as far as it is of this rerun."""
        event = self._child.receive(timeout_seconds)
        while event is not None:
            if (ended := self._take_in(event)) is not None:
                return ended
            event = self._child.receive(0)
        return None

    def _take_in(self, event: Event) -> Ended | None:
        token = self._rerun.token
        match event:
            case RanAgain(id) if id == token:
                return Ended("completed", result=event) if self._reruns.end(self._rerun) else Ended("gone")
            case LeftOut(id, why) if id == token:
                self._reruns.end(self._rerun)
                return Ended(why)
            case Failed(id) if id == token:
                self._reruns.end(self._rerun)
                if event.poisons_process:
                    self._child.kill()
                return Ended("failed")
            case StageStarted(id) | StepDone(id) | Stopped(id) if id == token:
                self._progress_at = time.monotonic()
        return None

    def _give_up(self) -> None:
        """The child is told first: the job must not wait for Redis."""
        self._stop()
        self._reruns.give_back(self._rerun)

    def _stop(self) -> None:
        self._child.send(Stop(self._rerun.token))
