"""Measures the paper's coefficients of a model: full generations over prompts and seeds, reduced to one file."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from workers.engine.generation import ProgressCallbacks, run_pipeline
from workers.engine.loaded import LoadedModel
from workers.engine.paper_session import BlocksAttachment
from workers.engine.plan import RunPlan
from workers.files import replacing
from workers.measurement.kept import reading
from workers.measurement.prompts import Prompt
from workers.measurement.provenance import provenance
from workers.measurement.uncached_runs import UncachedRuns, show_all, uncached_model
from workers.models.catalogue import Catalogue
from workers.scalingcache.paper.coefficients import Coefficients
from workers.scalingcache.paper.controller import IntervalSettings, mean_full_steps
from workers.scalingcache.paper.estimation import (
    ESTIMATORS,
    Recorder,
    Sample,
    better_estimator,
    convergence,
    fit_kappa,
    group_distances,
    prediction_error,
    spread,
)

REFERENCE_SF = 10  # where sf has to mean the same on every model
TABLE_OF_SF = (2, 4, 6, 8, 10, 12, 14, 16, 20, 25, 30, 40)


class Interval(NamedTuple):
    """Of `IntervalSettings`, what calibration does not choose."""

    max_skip: int
    final_full_steps: int


def calibrate_paper(
    catalogue: Catalogue, runs: UncachedRuns, interval: Interval, progress: Callable[[int, int], None]
) -> Coefficients:
    """Reduce the recordings of the runs. progress, and what it raises: as for `show_all`."""
    plan, samples = show_all(uncached_model(catalogue, runs.model), catalogue, runs, _sample, progress)
    return _reduce(plan, samples, runs, interval)


def _sample(model: LoadedModel, prompt: Prompt, plan: RunPlan, work: Path, step_done: Callable[[int], None]) -> Sample:
    """One generation's statistics, from an earlier, interrupted run if it got that far."""
    identity = json.dumps([model.version, asdict(plan.key), plan.request.model_dump()], sort_keys=True)
    path = work / f"{hashlib.sha256(identity.encode()).hexdigest()[:24]}.npz"
    if path.exists():
        with reading(path), path.open("rb") as kept, np.load(kept) as stored:
            energy, cross, rho = (torch.from_numpy(stored[name]) for name in ("energy", "cross", "rho"))
            return Sample(energy, cross, rho, plan.segments)
    recorder = Recorder(model.blocks, segments=plan.segments)
    callbacks = ProgressCallbacks(step=lambda index, _kind, _seconds: step_done(index + 1))
    run_pipeline(model, plan, BlocksAttachment(recorder), callbacks, prompt.picture(plan.request))
    sample = recorder.sample()
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez(file, energy=sample.energy, cross=sample.cross, rho=sample.rho)
    return sample


def _reduce(plan: RunPlan, samples: list[Sample], runs: UncachedRuns, interval: Interval) -> Coefficients:
    estimator = better_estimator(samples)
    alpha = ESTIMATORS[estimator](samples)
    rhos = [s.rho for s in samples]
    kappa = fit_kappa(samples, alpha, IntervalSettings(REFERENCE_SF, 1.0, *interval))

    def expected(scale: float) -> dict[int, float]:
        requests = [plan.request.model_copy(update={"sf": sf}) for sf in TABLE_OF_SF]
        intervals = [
            IntervalSettings(request.sf, scale, *interval) for request in requests if request.has_room_for_predictions
        ]
        return {each.sf: mean_full_steps(rhos, alpha, each, plan.segments) for each in intervals}

    return Coefficients(
        key=plan.key,
        alpha=alpha,
        spread=spread(samples),
        kappa=kappa,
        max_skip=interval.max_skip,
        final_full_steps=interval.final_full_steps,
        estimator=estimator,
        prompts=len(runs.prompts),
        seeds=runs.seeds,
        convergence=convergence(samples, estimator),
        groups=group_distances(samples, [prompt.group for prompt in runs.prompts] * runs.seeds, estimator),
        expected_full_steps=expected(kappa),
        expected_full_steps_kappa_1=expected(1.0),
        relative_change=torch.stack(rhos).mean(dim=(0, 2, 3)).tolist(),
        prediction_error=prediction_error(alpha, samples).tolist(),
        provenance=provenance(),
    )
