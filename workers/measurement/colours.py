"""Adds the colours of previews to a coefficient file that was measured without them; all else that it says stays."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from pathlib import Path

from workers.engine.coefficient_files import read_coefficients
from workers.engine.generation import Generation, ProgressCallbacks, generate
from workers.engine.latent_colours import ColourFit, LatentColours
from workers.engine.latent_preview import Previews
from workers.engine.loaded import LoadedModel
from workers.engine.plan import RunPlan
from workers.jobs.errors import CoefficientsMismatch, GenerationFailed
from workers.measurement.prompts import Prompt
from workers.measurement.uncached_runs import UncachedRuns, show_all, uncached_model
from workers.models.catalogue import Catalogue
from workers.scalingcache.measured import Array, MeasuredCovariance


def with_colours(
    catalogue: Catalogue, runs: UncachedRuns, path: Path, progress: Callable[[int, int], None]
) -> MeasuredCovariance:
    """The file with colours by what the runs decode. progress, and what it raises: as for `show_all`.

    Raises `CoefficientsMismatch` where the file is no covariance, or was measured on other weights,
    and `GenerationFailed` where no run shows any.
    """
    measured = read_coefficients(path)
    if not isinstance(measured, MeasuredCovariance):
        raise CoefficientsMismatch(f"coefficient file {path} is of the paper's method, which has no colours")

    def show(
        model: LoadedModel, prompt: Prompt, plan: RunPlan, _work: Path, step_done: Callable[[int], None]
    ) -> ColourFit | None:
        if model.fingerprint != measured.kind.fingerprint:
            raise CoefficientsMismatch(
                f"coefficient file {path} was measured on weights {measured.kind.fingerprint}, but {runs.model} has "
                f"{model.fingerprint}: measure all of it again"
            )
        return generated(model, prompt, plan, step_done)[1]

    _, fits = show_all(uncached_model(catalogue, runs.model), catalogue, runs, show, progress)
    if (colours := weights_of(fits)) is None:
        raise GenerationFailed("no run has shown how latents are coloured; the log says why")
    return replace(measured, colours=colours)


def generated(
    model: LoadedModel, prompt: Prompt, plan: RunPlan, step_done: Callable[[int], None]
) -> tuple[Generation, ColourFit | None]:
    """One generation, and what it shows of colours; None where that cannot be told."""
    callbacks = ProgressCallbacks(step=lambda index, _kind, _seconds: step_done(index + 1))
    colours = LatentColours(model.latent_channels)
    made = generate(model, plan.request, callbacks, prompt.picture(plan.request), previews=Previews(colours))
    return made, colours.fit


def weights_of(fits: Sequence[ColourFit | None]) -> Array | None:
    """By all that are known alike; None without one."""
    known = [fit for fit in fits if fit is not None]
    return reduce(lambda one, other: one.then(other, kept=1.0), known).weights() if known else None
