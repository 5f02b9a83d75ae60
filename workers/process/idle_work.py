"""What a worker does while nothing is queued for any of its models: completed jobs again, uncached."""

import time
from collections.abc import Callable, Sequence
from typing import get_args

import structlog

from workers.jobs.errors import QueueUnavailable
from workers.jobs.job import Job
from workers.jobs.leases import Attempt
from workers.jobs.reruns import Rerun, Reruns, Work
from workers.models.catalogue import Catalogue
from workers.process.announcer import Announcer
from workers.process.child import Child
from workers.process.choice import work_of
from workers.process.events import Done
from workers.process.learning import Learning
from workers.process.metrics import Metrics
from workers.process.rerun_watch import Ended, RerunWatch
from workers.process.settings import Settings
from workers.process.shutdown import Shutdown

log = structlog.get_logger()


class IdleWork:
    """One rerun at a time, shadows before calibrations. Whether it may begin at all is the supervisor's to say."""

    def __init__(
        self,
        settings: Settings,
        catalogue: Catalogue,
        reruns: Reruns,
        learning: Learning,
        metrics: Metrics,
        announcer: Announcer,
        shutdown: Shutdown,
    ) -> None:
        self._settings, self._catalogue, self._reruns, self._learning = settings, catalogue, reruns, learning
        self._metrics, self._announcer, self._shutdown = metrics, announcer, shutdown

    def note(self, job: Job, done: Done) -> None:
        """A job has run: leave it to an idle worker where it is to run again. Whether it completed Redis knows."""
        model = job.request.model
        work = work_of(self._catalogue.entry(model), job.id, done.report)
        if work is None:
            return
        try:
            self._reruns.offer(work, self._learning.fingerprints[model], job)
        except QueueUnavailable as error:
            log.warning("rerun not noted", job=job.id, work=work, error=str(error))

    def work(
        self,
        child: Child,
        models: Sequence[str],
        wait: Callable[[float], bool],
        claim: Callable[[], Attempt | None],
    ) -> Attempt | None:
        """One rerun, if one waits; ends with the job that it was given up for.

        models: those that are loaded. wait, claim: as for `RerunWatch`.
        The child may be dead afterwards. Raises `QueueUnavailable`.
        """
        if (rerun := self._next(models)) is None:
            return None
        job, began = rerun.job, time.monotonic()
        log.info("rerun started", job=job.id, work=rerun.work)
        self._announcer.set_doing(f"{rerun.work} of {job.id}")
        self._learning.tell(child, job.request.model)
        watch = RerunWatch(rerun, child, self._reruns, wait, claim, self._settings, self._shutdown)
        ended = Ended("stopped")
        try:
            ended = watch.run()
        finally:
            self._announcer.set_doing(None)
            seconds = time.monotonic() - began
            self._metrics.reran(job.request.model, rerun.work, ended.how, seconds)
            log.info("rerun ended", job=job.id, work=rerun.work, end=ended.how, seconds=round(seconds, 3))
        self._take_in(rerun, ended)
        return ended.attempt

    def _next(self, models: Sequence[str]) -> Rerun | None:
        for work in get_args(Work):
            for entry in map(self._catalogue.entry, models):
                wanted = entry.shadow_share > 0 if work == "shadow" else entry.calibrate_when_idle
                if wanted and (rerun := self._next_of(work, entry.name)) is not None:
                    return rerun
        return None

    def _next_of(self, work: Work, model: str) -> Rerun | None:
        while True:
            rerun, dropped = self._reruns.take(work, model, self._learning.fingerprints[model])
            for _ in range(dropped):
                self._metrics.reran(model, work, "gone", 0.0)
            if rerun is None or work == "shadow" or not self._learning.knows(rerun.job.request):
                return rerun
            self._reruns.end(rerun)
            self._metrics.reran(model, work, "known", 0.0)

    def _take_in(self, rerun: Rerun, ended: Ended) -> None:
        if (result := ended.result) is None:
            return
        request = rerun.job.request
        self._learning.keep(request, result.learnt)
        if result.fidelity is not None:
            found = result.fidelity
            self._metrics.compared(request, found.psnr, found.ssim)
            log.info("job compared", job=rerun.job.id, psnr=round(found.psnr, 2), ssim=round(found.ssim, 4))
