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
from workers.measurement.prompts import Prompt
from workers.measurement.provenance import provenance
from workers.measurement.uncached_runs import UncachedRuns, show_all
from workers.models.catalogue import Catalogue
from workers.scalingcache import budget
from workers.scalingcache.covariance import Covariance, mean, signal_to_noise
from workers.scalingcache.held_out import held_out_errors
from workers.scalingcache.measured import MeasuredCovariance
from workers.scalingcache.quadrature import Response, expected_error
from workers.scalingcache.start import begin, choose

TABLE_OF_SF = (2, 3, 4, 6, 8, 10, 12, 14, 16, 20, 25, 30)
CHOSEN_SF = (4, 6, 10, 14, 20)  # of 50 steps: for whose part of full steps constraints are chosen
REFERENCE_SF = 10  # of 50 steps: what the held-out errors are told for


@dataclass(frozen=True)
class Shown:
    """What one generation shows; colours: None of one that a version without them has kept."""

    covariance: Covariance
    colours: ColourFit | None


def calibrate(catalogue: Catalogue, runs: UncachedRuns, progress: Callable[[int, int], None]) -> MeasuredCovariance:
    """Reduce what the runs show. progress, and what it raises: as for `show_all`."""
    plan, shown = show_all(catalogue, runs, _shown, progress)
    measured = _reduced(plan, [each.covariance for each in shown], measured_response(plan.scheduler))
    return replace(measured, colours=weights_of([each.colours for each in shown]))


def _shown(model: LoadedModel, prompt: Prompt, plan: RunPlan, work: Path, step_done: Callable[[int], None]) -> Shown:
    """What one generation shows, from an earlier, interrupted run if it got that far."""
    identity = json.dumps([asdict(plan.kind), plan.request.model_dump()], sort_keys=True)
    path = work / f"{hashlib.sha256(identity.encode()).hexdigest()[:24]}.covariance.npz"
    if path.exists():
        return _kept(path)
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
    with np.load(path) as stored:
        energy, power = float(stored["energy"]), float(stored["power"])
        covariance = Covariance(stored["sigmas"], stored["matrix"], energy, power, runs=1)
        fit = ColourFit(1, stored["squares"], stored["products"]) if "squares" in stored else None
    return Shown(covariance, fit)


def _reduced(plan: RunPlan, runs: Sequence[Covariance], response: Response) -> MeasuredCovariance:
    steps = response.steps
    counts = {sf: budget.full_steps(sf, steps) for sf in TABLE_OF_SF}
    served = {sf: count for sf, count in counts.items() if budget.worthwhile(count, steps)}
    parts = {budget.full_steps(max(2, round(sf * steps / 50)), steps) for sf in CHOSEN_SF}
    chosen = choose(runs, response, [count for count in sorted(parts) if budget.worthwhile(count, steps)])
    covariance = mean(runs).under(chosen)
    reference = budget.full_steps(max(2, round(REFERENCE_SF * steps / 50)), steps)
    return MeasuredCovariance(
        kind=plan.kind,
        covariance=covariance,
        held_out=held_out_errors(runs, response, reference, chosen) if budget.worthwhile(reference, steps) else {},
        expected_snr={sf: round(expected_snr(covariance, response, count), 2) for sf, count in served.items()},
        provenance=provenance(),
    )


def expected_snr(covariance: Covariance, response: Response, count: int) -> float:
    """Of the latents with `count` full steps, in dB."""
    return signal_to_noise(covariance, expected_error(response, *planned(covariance, count)))


def planned(covariance: Covariance, count: int) -> tuple[np.ndarray, tuple[int, ...]]:
    """The matrix that a run with `count` full steps goes by, and which steps those are."""
    start, full = begin(covariance, covariance.sigmas, count)
    return start.matrix, full
