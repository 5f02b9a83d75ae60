"""Which results can be set side by side: those that differ in how they were computed, and in nothing else."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from workers.jobs.errors import InvalidRequest
from workers.jobs.frozen import Frozen
from workers.jobs.job import Job


class Pair(Frozen):
    """Two results of one prompt and seed: `first` with the setting that is judged, `second` with its baseline."""

    model: str
    first: str
    second: str
    setting: str
    baseline: str


@dataclass(frozen=True, slots=True, order=True)
class Setting:
    """How a result was computed. The greatest of several is the baseline: uncached ones, then those with more steps
    in full."""

    uncached: bool
    full_steps: int
    label: str


def setting_of(job: Job) -> Setting:
    """By what was in force, whatever was asked for. Raises `InvalidRequest` for a job without a result."""
    report, request = job.report, job.request
    if report is None or job.artifact is None:
        raise InvalidRequest("ids", f"{job.id} is {job.state.value} and has no result; allowed: completed ones")
    if not report.cached_steps:
        label = f"uncached, {request.steps} steps"
    elif request.full_steps is not None:
        label = f"{request.full_steps} of {request.steps} steps"
    else:
        label = f"sf {request.sf}, {request.steps} steps"
    return Setting(not report.cached_steps, report.full_steps, label)


def scene_of(job: Job) -> str:
    """Equal for jobs that differ in their setting alone: a digest of all the rest, the first frame too."""
    anyhow = {"steps": 1, "sf": 2, "full_steps": None, "basis_runs": None, "allow_uncalibrated": False}
    text = job.request.model_copy(update=anyhow).model_dump_json()
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def paired(jobs: Iterable[Job]) -> list[Pair]:
    """Each result beside the baseline of its prompt and seed. Raises `InvalidRequest` for one that has no partner, or
    is computed as another one was."""
    alike: dict[str, list[tuple[Setting, Job]]] = defaultdict(list)
    for job in jobs:
        alike[scene_of(job)].append((setting_of(job), job))
    return [pair for group in alike.values() for pair in _pairs_of(group)]


def _pairs_of(group: Sequence[tuple[Setting, Job]]) -> list[Pair]:
    by_label: dict[str, Job] = {}
    for setting, job in group:
        if (twin := by_label.setdefault(setting.label, job)) is not job:
            raise InvalidRequest(
                "ids", f"{twin.id} and {job.id} are the same request, {setting.label}; name one of them"
            )
    if len(group) == 1:
        raise InvalidRequest(
            "ids",
            f"{group[0][1].id} has no partner: none of the others has its model, prompt, seed, size and other settings "
            "and differs in sf or steps",
        )
    *judged, (baseline, second) = sorted(group, key=lambda each: each[0])
    return [
        Pair(model=job.request.model, first=job.id, second=second.id, setting=setting.label, baseline=baseline.label)
        for setting, job in judged
    ]
