"""Measures a model's covariance: uncached generations, reduced to one file and its figures."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from workers.caching.solver import measured_response
from workers.engine.latent_colours import ColourFit
from workers.engine.loaded import LoadedModel
from workers.engine.plan import RunPlan
from workers.files import replacing
from workers.measurement.colours import generated, weights_of
from workers.measurement.kept import reading
from workers.measurement.prompts import Prompt
from workers.measurement.provenance import provenance
from workers.measurement.uncached_runs import UncachedRuns, show_all
from workers.models.catalogue import Catalogue
from workers.scalingcache import budget, priors
from workers.scalingcache.covariance import Covariance, mean, signal_to_noise
from workers.scalingcache.held_out import held_out_errors
from workers.scalingcache.measured import MeasuredCovariance
from workers.scalingcache.planning import planned
from workers.scalingcache.response import Response
from workers.scalingcache.trajectory import expected_error

TABLE_OF_SF = (2, 3, 4, 6, 8, 10, 12, 14, 16, 20, 25, 30)
REFERENCE_SF = 10  # of 50 steps: what the held-out errors are told for


@dataclass(frozen=True)
class Shown:
    """What one generation shows; colours: None of one that a version without them has kept."""

    covariance: Covariance
    colours: ColourFit | None


def calibrate(
    model: LoadedModel, catalogue: Catalogue, runs: UncachedRuns, progress: Callable[[int, int], None]
) -> MeasuredCovariance:
    """Reduce what the runs show. progress, and what it raises: as for `show_all`."""
    plan, shown = show_all(model, catalogue, runs, _shown, progress)
    measured = _reduced(plan, [each.covariance for each in shown], measured_response(plan.scheduler, plan.sigmas))
    return replace(measured, colours=weights_of([each.colours for each in shown]))


def _shown(model: LoadedModel, prompt: Prompt, plan: RunPlan, work: Path, step_done: Callable[[int], None]) -> Shown:
    """What one generation shows, from an earlier, interrupted run if it got that far."""
    # The version is also that of the text encoders and the VAE, which colours of previews are from.
    identity = json.dumps([model.version, asdict(plan.kind), plan.request.model_dump()], sort_keys=True)
    path = work / f"{hashlib.sha256(identity.encode()).hexdigest()[:24]}.covariance.npz"
    if path.exists():
        return _kept(path)
    measured_response(plan.scheduler, plan.sigmas)  # refuses at once what could not be reduced after all runs
    generation, fit = generated(model, prompt, plan, step_done)
    assert generation.covariance is not None  # uncached runs have one
    one = generation.covariance.covariance
    kept: dict[str, Any] = {"sigmas": one.sigmas, "matrix": one.matrix, "energy": one.energy, "power": one.power}
    if fit is not None:
        kept |= {"squares": fit.squares, "products": fit.products}
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez(file, **kept)
    return Shown(one, fit)


def _kept(path: Path) -> Shown:
    with reading(path), path.open("rb") as file, np.load(file) as stored:
        energy, power = float(stored["energy"]), float(stored["power"])
        covariance = Covariance(stored["sigmas"], stored["matrix"], energy, power, runs=1)
        fit = ColourFit(1, stored["squares"], stored["products"]) if "squares" in stored else None
    return Shown(covariance, fit)


def _reduced(plan: RunPlan, runs: Sequence[Covariance], response: Response) -> MeasuredCovariance:
    covariance = mean(runs)
    steps = response.steps
    reference = budget.full_steps(max(2, round(REFERENCE_SF * steps / 50)), steps)
    return MeasuredCovariance(
        kind=plan.kind,
        covariance=covariance,
        held_out=held_out_errors(runs, reference) if budget.worthwhile(reference, steps) else {},
        expected_snr=expected_snrs(covariance, response),
        provenance=provenance(),
    )


def expected_snrs(
    covariance: Covariance, response: Response, prior_share: Callable[[int], float] = lambda _: 0.0
) -> dict[int, float]:
    """By sf, of the latents in dB. prior_share: of runs with so many full steps, see `planned`."""
    start, found = priors.combined(covariance, covariance.sigmas), {}
    for sf in TABLE_OF_SF:
        count = budget.full_steps(sf, response.steps)
        if budget.worthwhile(count, response.steps):
            error = expected_error(response, start.matrix, planned(start, count, prior_share(count)))
            found[sf] = round(signal_to_noise(covariance, error), 2)
    return found
