"""Measures a model's covariance: uncached generations, reduced to one file and its figures. One is enough to begin."""

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

from workers.caching.solver import measured_response
from workers.engine.generation import ProgressCallbacks, generate
from workers.engine.loaded import LoadedModel, load_model
from workers.engine.plan import RunPlan, plan_run
from workers.files import replacing
from workers.jobs.job import GenerationRequest
from workers.measurement.prompts import Prompt, same_kind
from workers.models.catalogue import Catalogue
from workers.scalingcache import budget, priors, schedule
from workers.scalingcache.covariance import Covariance, mean, signal_to_noise
from workers.scalingcache.held_out import held_out_errors
from workers.scalingcache.measured import MeasuredCovariance
from workers.scalingcache.quadrature import Response, expected_error

TABLE_OF_SF = (2, 3, 4, 6, 8, 10, 12, 14, 16, 20, 25, 30)
REFERENCE_SF = 10  # of 50 steps: what the held-out errors are told for


@dataclass(frozen=True)
class CalibrationSettings:
    """What to measure. `work` keeps what finished generations have shown, so that an interrupted run goes on.

    steps: of every generation; the model's default when None.
    """

    model: str
    prompts: Sequence[Prompt]
    seeds: int
    steps: int | None
    work: Path


def calibrate(
    catalogue: Catalogue, settings: CalibrationSettings, progress: Callable[[int, int], None]
) -> MeasuredCovariance:
    """Run every prompt with every seed and reduce what they show. progress: told (steps done, steps in all).

    Raises `InvalidRequest` when some prompts have an image and others none: no covariance holds for both.
    """
    same_kind(settings.prompts)
    model = load_model(catalogue.entry(settings.model), catalogue.family(settings.model), coefficients=False)
    steps = settings.steps or model.entry.defaults.steps
    runs = [
        (prompt, _request(catalogue, settings.model, prompt, seed, steps))
        for seed in range(settings.seeds)
        for prompt in settings.prompts
    ]
    shown: list[Covariance] = []

    def step_done(step: int) -> None:
        progress(len(shown) * steps + step, len(runs) * steps)

    for prompt, request in runs:
        shown.append(_shown(model, prompt, plan_run(model, request), settings.work, step_done))
        step_done(0)
    plan = plan_run(model, runs[0][1])
    return _reduced(plan, shown, measured_response(plan.scheduler))


def _request(catalogue: Catalogue, model: str, prompt: Prompt, seed: int, steps: int) -> GenerationRequest:
    return catalogue.request(model, prompt.text, seed=seed, steps=steps, input_reference=prompt.reference).uncached


def _shown(
    model: LoadedModel, prompt: Prompt, plan: RunPlan, work: Path, step_done: Callable[[int], None]
) -> Covariance:
    """What one generation shows, from an earlier, interrupted run if it got that far."""
    identity = json.dumps([asdict(plan.kind), plan.request.model_dump()], sort_keys=True)
    path = work / f"{hashlib.sha256(identity.encode()).hexdigest()[:24]}.covariance.npz"
    if path.exists():
        with np.load(path) as stored:
            energy, power = float(stored["energy"]), float(stored["power"])
            return Covariance(stored["sigmas"], stored["matrix"], energy, power, runs=1)
    callbacks = ProgressCallbacks(step=lambda index, _kind, _seconds: step_done(index + 1))
    generation = generate(model, plan.request, callbacks, prompt.picture(plan.request))
    assert generation.covariance is not None  # uncached runs have one
    one = generation.covariance.covariance
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez(file, sigmas=one.sigmas, matrix=one.matrix, energy=one.energy, power=one.power)
    return one


def _reduced(plan: RunPlan, runs: Sequence[Covariance], response: Response) -> MeasuredCovariance:
    covariance = mean(runs)
    steps = response.steps
    reference = budget.full_steps(max(2, round(REFERENCE_SF * steps / 50)), steps)
    return MeasuredCovariance(
        kind=plan.kind,
        covariance=covariance,
        held_out=held_out_errors(runs, response, reference) if budget.worthwhile(reference, steps) else {},
        expected_snr={
            sf: round(expected_snr(covariance, response, budget.full_steps(sf, steps)), 2)
            for sf in TABLE_OF_SF
            if budget.worthwhile(budget.full_steps(sf, steps), steps)
        },
        provenance={
            "command": " ".join(["python -m workers", *sys.argv[1:]]),
            "date": datetime.now(UTC).date().isoformat(),
            "torch": torch.__version__,
            "diffusers": diffusers.__version__,
        },
    )


def expected_snr(covariance: Covariance, response: Response, count: int) -> float:
    """Of the latents with `count` full steps, in dB."""
    return signal_to_noise(covariance, expected_error(response, *planned(covariance, count)))


def planned(covariance: Covariance, count: int) -> tuple[np.ndarray, tuple[int, ...]]:
    """The matrix that a run with `count` full steps goes by, and which steps those are."""
    matrix = priors.combined(covariance, covariance.sigmas).matrix
    return matrix, schedule.plan(matrix, count, budget.opening(count, covariance.runs))
