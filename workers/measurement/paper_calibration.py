"""Measures the paper's coefficients of a model: full generations over prompts and seeds, reduced to one file."""

import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import diffusers
import numpy as np
import torch

from workers.engine.generation import ProgressCallbacks, run_pipeline
from workers.engine.loaded import LoadedModel, load_model
from workers.engine.paper_session import BlocksAttachment
from workers.engine.plan import RunPlan, plan_run
from workers.files import replacing
from workers.jobs.job import GenerationRequest
from workers.measurement.prompts import Prompt, same_kind
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


@dataclass(frozen=True)
class PaperCalibrationSettings:
    """What to measure. `work` keeps finished generations' statistics, so that an interrupted run goes on.

    steps: of every generation; the model's default when None.
    """

    model: str
    prompts: Sequence[Prompt]
    seeds: int
    steps: int | None
    max_skip: int
    final_full_steps: int
    work: Path


def calibrate_paper(
    catalogue: Catalogue, settings: PaperCalibrationSettings, progress: Callable[[int, int], None]
) -> Coefficients:
    """Run every prompt with every seed and reduce the recordings. progress: told (steps done, steps in all).

    Raises `InvalidRequest` when some prompts have an image and others none: no coefficients hold for both.
    """
    same_kind(settings.prompts)
    model = load_model(catalogue.entry(settings.model), catalogue.family(settings.model), coefficients=False)
    steps = settings.steps or model.entry.defaults.steps
    runs = [
        (prompt, _request(catalogue, settings.model, prompt, seed, steps))
        for seed in range(settings.seeds)
        for prompt in settings.prompts
    ]
    samples: list[Sample] = []

    def step_done(step: int) -> None:
        progress(len(samples) * steps + step, len(runs) * steps)

    for prompt, request in runs:
        samples.append(_sample(model, prompt, plan_run(model, request), settings.work, step_done))
        step_done(0)
    return _reduce(plan_run(model, runs[0][1]), samples, settings)


def _request(catalogue: Catalogue, model: str, prompt: Prompt, seed: int, steps: int) -> GenerationRequest:
    return catalogue.request(model, prompt.text, seed=seed, steps=steps, input_reference=prompt.reference).uncached


def _sample(model: LoadedModel, prompt: Prompt, plan: RunPlan, work: Path, step_done: Callable[[int], None]) -> Sample:
    """One generation's statistics, from an earlier, interrupted run if it got that far."""
    identity = json.dumps([asdict(plan.key), plan.request.model_dump()], sort_keys=True)
    path = work / f"{hashlib.sha256(identity.encode()).hexdigest()[:24]}.npz"
    if path.exists():
        with np.load(path) as stored:
            energy, cross, rho = (torch.from_numpy(stored[name]) for name in ("energy", "cross", "rho"))
            return Sample(energy, cross, rho, plan.segments)
    recorder = Recorder(model.blocks, segments=plan.segments)
    callbacks = ProgressCallbacks(step=lambda index, _kind, _seconds: step_done(index + 1))
    run_pipeline(model, plan, BlocksAttachment(recorder), callbacks, prompt.picture(plan.request))
    sample = recorder.sample()
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez(file, energy=sample.energy, cross=sample.cross, rho=sample.rho)
    return sample


def _reduce(plan: RunPlan, samples: list[Sample], settings: PaperCalibrationSettings) -> Coefficients:
    estimator = better_estimator(samples)
    alpha = ESTIMATORS[estimator](samples)
    rhos = [s.rho for s in samples]
    interval = IntervalSettings(REFERENCE_SF, 1.0, settings.max_skip, settings.final_full_steps)
    kappa = fit_kappa(samples, alpha, interval)

    def expected(scale: float) -> dict[int, float]:
        requests = [plan.request.model_copy(update={"sf": sf}) for sf in TABLE_OF_SF]
        intervals = [
            IntervalSettings(request.sf, scale, settings.max_skip, settings.final_full_steps)
            for request in requests
            if request.has_room_for_predictions
        ]
        return {each.sf: mean_full_steps(rhos, alpha, each, plan.segments) for each in intervals}

    return Coefficients(
        key=plan.key,
        alpha=alpha,
        spread=spread(samples),
        kappa=kappa,
        max_skip=settings.max_skip,
        final_full_steps=settings.final_full_steps,
        estimator=estimator,
        prompts=len(settings.prompts),
        seeds=settings.seeds,
        convergence=convergence(samples, estimator),
        groups=group_distances(samples, [prompt.group for prompt in settings.prompts] * settings.seeds, estimator),
        expected_full_steps=expected(kappa),
        expected_full_steps_kappa_1=expected(1.0),
        relative_change=torch.stack(rhos).mean(dim=(0, 2, 3)).tolist(),
        prediction_error=prediction_error(alpha, samples).tolist(),
        provenance={
            "command": " ".join(["python -m workers", *sys.argv[1:]]),
            "date": datetime.now(UTC).date().isoformat(),
            "torch": torch.__version__,
            "diffusers": diffusers.__version__,
        },
    )
