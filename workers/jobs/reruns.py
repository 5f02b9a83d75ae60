"""Completed jobs that an idle worker is to run again, uncached: to compare, or to learn of the model.

Only ids are kept; what is run is read from the job's own record, so nothing is run of a job that is gone.
"""

import secrets
from dataclasses import dataclass
from typing import Literal, NamedTuple

from workers.jobs import keys, rerun_scripts
from workers.jobs.connection import Connection
from workers.jobs.job import Job
from workers.jobs.records import job_from

#: `shadow`: to compare with what was delivered; `calibration`: to learn of the model.
Work = Literal["shadow", "calibration"]

#: `given_up`: a job came; `stopped`: the worker ends, or Redis is away; `gone`: the job, or a file of it, is, or it was
#: begun often enough; `known`: such a run was seen already; `not_needed`: enough are known; `failed`: it ended with an
#: error, or made no progress.
End = Literal["completed", "given_up", "stopped", "gone", "known", "not_needed", "failed"]

MOST = 100
"""How many wait of one model, weights and work; the oldest give way."""
TRIES = 3
"""How often one is begun: what ends its worker, or never gets the time, is left alone."""


@dataclass(frozen=True, slots=True)
class Rerun:
    """A worker's right to run a completed job again. fingerprint: of the weights that it ran with."""

    work: Work
    fingerprint: str
    job: Job
    token: str

    @property
    def place(self) -> str:
        """Where it came from."""
        return _list(self.work, self.fingerprint)


class Taken(NamedTuple):
    """rerun: None when none waits. dropped: how many were left out for good, their jobs gone or tried too often."""

    rerun: Rerun | None
    dropped: int


class Reruns:
    """Each is one worker's at a time, for `lease_seconds`, which `go_on` renews.

    Every method raises `QueueUnavailable`. A worker that dies leaves its rerun to others when that time is over.
    kept_seconds: after the last that was offered.
    """

    def __init__(self, connection: Connection, *, lease_seconds: float, kept_seconds: float) -> None:
        self._connection = connection
        self._lease_seconds, self._kept_seconds = lease_seconds, max(1, int(kept_seconds))

    def offer(self, work: Work, fingerprint: str, job: Job) -> bool:
        """Note a job for later; False when it is not completed."""
        root = keys.root_of(job.id)
        offer = rerun_scripts.Offer(root, job.id, _list(work, fingerprint), MOST, self._kept_seconds)
        return bool(self._connection.run(offer))

    def take(self, work: Work, model: str, fingerprint: str) -> Taken:
        """The newest one that nobody runs. Raises `QueueUnavailable`."""
        token, place = secrets.token_hex(16), _list(work, fingerprint)
        take = rerun_scripts.Take(keys.root(model), place, token, self._lease_seconds, TRIES, self._kept_seconds)
        record, dropped = self._connection.run(take)
        if not record:
            return Taken(None, dropped)
        try:
            return Taken(Rerun(work, fingerprint, job_from(record), token), dropped)
        except ValueError:  # Of another version: it stays taken until it has been tried too often.
            return Taken(None, dropped + 1)

    def go_on(self, rerun: Rerun) -> bool:
        """Renew the right to it; False when it is another worker's, or its job is gone."""
        return self._hold(rerun, str(self._lease_seconds))

    def give_back(self, rerun: Rerun) -> bool:
        """Leave it to whoever is idle next."""
        return self._hold(rerun, "0")

    def end(self, rerun: Rerun) -> bool:
        """It is done with; False when it is another worker's, or its job is gone: what it gave is to be dropped."""
        return self._hold(rerun, "")

    def _hold(self, rerun: Rerun, seconds: str) -> bool:
        root = keys.root_of(rerun.job.id)
        return bool(self._connection.run(rerun_scripts.Hold(root, rerun.job.id, rerun.place, rerun.token, seconds)))


def _list(work: Work, fingerprint: str) -> str:
    """Reruns by other weights would say nothing of what was delivered."""
    return f"{work}:{fingerprint}"
