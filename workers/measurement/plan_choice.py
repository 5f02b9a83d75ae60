"""By what a model's runs are best planned: whole runs tell plans apart that the expected error does not."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from statistics import fmean

from PIL.Image import Image

from workers.caching.solver import measured_response
from workers.engine.generation import Frames, generate
from workers.engine.loaded import LoadedModel
from workers.engine.plan import plan_run
from workers.files import replacing
from workers.jobs.errors import InvalidRequest, NotFinite
from workers.jobs.job import GenerationRequest
from workers.measurement.calibration import expected_snrs
from workers.measurement.fidelity import psnr
from workers.measurement.kept import reading
from workers.measurement.prompts import Prompt
from workers.models.catalogue import Catalogue
from workers.scalingcache import budget, priors
from workers.scalingcache.covariance import Covariance
from workers.scalingcache.forecast import GUARD
from workers.scalingcache.measured import MeasuredCovariance
from workers.scalingcache.planning import planned

SHARES = (0.0, 0.67, 1.0)
"""Of the prior in the covariance that is planned by: what was measured, both, the prior."""
SPEEDUPS = (1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0)
SFS = (4, 6, 8, 10, 12, 14, 16, 20)
"""Of 50 steps."""
Plan = tuple[int, ...]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Tried:
    """What whole runs have shown of some plans, of one number of full steps. psnr: in dB, of each prompt, by plan."""

    count: int
    shares: dict[Plan, float]
    psnr: dict[Plan, list[float]]

    @property
    def best(self) -> float:
        """The share whose plan is nearest to uncached runs: by the mean of all prompts and of the worst one."""
        return self.shares[max(self.psnr, key=lambda plan: fmean(self.psnr[plan]) + min(self.psnr[plan]))]


def counts(steps: int) -> list[int]:
    """The numbers of full steps that plans are tried for."""
    of_sf = {budget.full_steps(max(2, round(sf * steps / 50)), steps) for sf in SFS}
    of_speedup = {budget.full_steps_of_speedup(speedup, steps) for speedup in SPEEDUPS}
    return sorted(count for count in of_sf | of_speedup if budget.worthwhile(count, steps))


def candidates(covariance: Covariance, count: int) -> dict[Plan, float]:
    """The plans that differ, each with the least share of the prior that makes it."""
    start = priors.combined(covariance, covariance.sigmas)
    return {planned(start, count, share): share for share in reversed(SHARES)}


def choose_plans(
    model: LoadedModel,
    catalogue: Catalogue,
    measured: MeasuredCovariance,
    prompts: Sequence[Prompt],
    work: Path,
    progress: Progress,
) -> tuple[MeasuredCovariance, list[Tried]]:
    """The same with a choice for each number of full steps that has several plans, and what whole runs have shown of
    these.

    prompts: others than it was measured with, of the same kind; each runs uncached, and with each plan.
    work: keeps what finished runs have shown. progress: told (runs done, runs in all), the uncached ones left out.
    Raises `InvalidRequest` where there is nothing to choose from.
    """
    model = replace(model, entry=model.entry.model_copy(update={"method": "covariance"}))
    name, steps = model.entry.name, measured.steps
    requests = [
        catalogue.request(name, prompt.text, seed=seed, steps=steps, input_reference=prompt.reference).uncached
        for seed, prompt in enumerate(prompts)
    ]
    plan = plan_run(model, requests[0])
    known = measured.covariance.at(plan.sigmas.double().numpy())
    tried = [Tried(count, plans, {}) for count in counts(steps) if len(plans := candidates(known, count)) > 1]
    if not tried:
        raise InvalidRequest("plans", f"--plans: of {steps} steps all plans are the same, leave it out")
    trials = [(each, full, share) for each in tried for full, share in each.shares.items()]
    for number, (prompt, request) in enumerate(zip(prompts, requests, strict=True)):
        run = _Runs(model, measured, request, prompt, work)
        for done, (each, full, share) in enumerate(trials, number * len(trials)):
            progress(done, len(prompts) * len(trials))
            each.psnr.setdefault(full, []).append(run.psnr(each.count, full, share))
        progress((number + 1) * len(trials), len(prompts) * len(trials))
    shares = {each.count: each.best for each in tried}
    response = measured_response(plan.scheduler, plan.sigmas)
    expected = expected_snrs(known, response, lambda count: shares.get(count, 0.0))
    by = measured.provenance | {"plans": f"by whole runs of {len(prompts)} more prompts"}
    return replace(measured, prior_shares=shares, expected_snr=expected, provenance=by), tried


@dataclass(frozen=True)
class _Runs:
    """Those of one prompt."""

    model: LoadedModel
    measured: MeasuredCovariance
    request: GenerationRequest
    prompt: Prompt
    work: Path

    @cached_property
    def uncached(self) -> Frames:
        return generate(self.model, self.request, image=self.picture).frames

    @cached_property
    def picture(self) -> Image | None:
        return self.prompt.picture(self.request)

    def psnr(self, count: int, plan: Plan, share: float) -> float:
        """In dB, from an earlier, interrupted command if it got that far."""
        request = self.request.model_copy(update={"sf": 2, "full_steps": count})
        what = [self.model.version, self.measured.covariance.table(), GUARD, request.model_dump(), plan]
        path = self.work / f"{hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:24]}.plan.json"
        if path.exists():
            with reading(path):
                return float(json.loads(path.read_text()))
        model = replace(self.model, covariances=(replace(self.measured, prior_shares={count: share}),))
        uncached = self.uncached  # Out here: where it is not finite there is nothing to choose by.
        try:
            found = psnr(generate(model, request, image=self.picture).frames, uncached)
        except NotFinite:
            found = 0.0  # It went astray, which no other plan has to.
        with replacing(path) as partial:
            partial.write_text(json.dumps(found))
        return found
