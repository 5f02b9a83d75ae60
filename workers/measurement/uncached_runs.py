"""The generations of a calibration: every prompt with every seed, uncached, one after the other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from workers.engine.loaded import LoadedModel, load_model
from workers.engine.plan import RunPlan, plan_run
from workers.measurement.prompts import Prompt, same_kind
from workers.models.catalogue import Catalogue

Shown = TypeVar("Shown")
#: What one generation shows, told (model, prompt, plan, folder of what is kept, what to call with the steps done).
Show = Callable[[LoadedModel, Prompt, RunPlan, Path, Callable[[int], None]], Shown]


@dataclass(frozen=True)
class UncachedRuns:
    """steps: of every generation; the model's default when None.

    work: keeps what finished generations have shown, so that an interrupted run goes on.
    """

    model: str
    prompts: Sequence[Prompt]
    seeds: int
    steps: int | None
    work: Path


def uncached_model(catalogue: Catalogue, name: str) -> LoadedModel:
    """A model for uncached runs: what is measured already may be of other weights."""
    return load_model(catalogue.entry(name), catalogue.family(name), coefficients=False)


def show_all(
    model: LoadedModel,
    catalogue: Catalogue,
    runs: UncachedRuns,
    show: Show[Shown],
    progress: Callable[[int, int], None],
) -> tuple[RunPlan, list[Shown]]:
    """The first run's plan, and what each run shows. progress: told (steps done, steps in all).

    Raises `InvalidRequest` when some prompts have an image and others none: nothing holds for both.
    """
    same_kind(runs.prompts)
    steps = runs.steps or model.entry.defaults.steps
    requests = [
        (
            prompt,
            catalogue.request(
                runs.model, prompt.text, seed=seed, steps=steps, input_reference=prompt.reference
            ).uncached,
        )
        for seed in range(runs.seeds)
        for prompt in runs.prompts
    ]
    shown: list[Shown] = []

    def step_done(step: int) -> None:
        # A run is done when what it has shown is kept, not with its last step.
        progress(len(shown) * steps + min(step, steps - 1), len(requests) * steps)

    for prompt, request in requests:
        shown.append(show(model, prompt, plan_run(model, request), runs.work, step_done))
        step_done(0)
    return plan_run(model, requests[0][1]), shown
