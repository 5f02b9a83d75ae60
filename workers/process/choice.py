"""Which completed jobs are run again. Pure, and the same on every worker."""

import hashlib

from workers.jobs.job import RunReport
from workers.jobs.reruns import Work
from workers.models.entry import ModelEntry
from workers.scalingcache.budget import CALIBRATION_RUNS


def work_of(entry: ModelEntry, job_id: str, report: RunReport) -> Work | None:
    """What an idle worker is to do with a completed job of the model."""
    if not report.engaged:
        return None  # It was the uncached run itself.
    if is_chosen(job_id, entry.shadow_share):
        return "shadow"
    basis = None if report.account is None else report.account.basis
    if entry.calibrate_when_idle and basis is not None and basis.runs < CALIBRATION_RUNS:
        return "calibration"
    return None


def is_chosen(job_id: str, share: float) -> bool:
    """Whether a job is among this share of all. By its id, so that the share holds whoever runs which jobs."""
    return int.from_bytes(hashlib.sha256(job_id.encode()).digest()[:8]) < share * 2**64
