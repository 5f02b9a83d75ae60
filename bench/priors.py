"""How good the guesses are that stand for a covariance before one was measured, and how many steps should come first.

`python -m bench.priors --model wan-tiny --model hunyuan-tiny`, a minute or two a model on a CPU.
Uncached runs of the benchmark's prompts are recorded, and each schedule with its weights is judged by the outputs that
these had. No accelerated run is made, so what its own errors do to later outputs is not in it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from bench.program import CatalogueOption, run_command
from bench.rivals.prompts import sweep_cases
from workers.caching.solver import measured_response
from workers.engine.generation import generate
from workers.engine.knowledge import known_covariance
from workers.engine.loaded import load_model
from workers.engine.plan import plan_run
from workers.models.catalogue import Catalogue
from workers.scalingcache import priors, schedule
from workers.scalingcache.budget import full_steps, opening
from workers.scalingcache.covariance import Array, Covariance, mean, signal_to_noise
from workers.scalingcache.response import Response
from workers.scalingcache.trajectory import expected_error

SF = (4, 6, 10, 14)
Guess = tuple[float, float]
"""Length and jitter of a kernel."""
GUESSES: tuple[Guess, ...] = tuple(product((0.5, *priors.LENGTHS), priors.JITTERS))
FIRST: dict[str, Callable[[int], int]] = {
    "2": lambda count: 2,
    "a sixth": lambda count: max(2, count // 6),
    "a quarter": lambda count: max(2, count // 4),
    "a third": lambda count: max(2, count // 3),
    "half": lambda count: max(2, count // 2),
}
"""How many of so many full steps come first."""


@dataclass(frozen=True)
class Recorded:
    """A model's uncached runs, each as a covariance of its own, and its solver."""

    model: str
    response: Response
    runs: tuple[Covariance, ...]

    @property
    def sigmas(self) -> Array:
        return self.runs[0].sigmas

    @property
    def counts(self) -> list[int]:
        """The full steps of each of `SF`."""
        return [full_steps(sf, self.response.steps) for sf in SF]

    def snr(self, matrix: Array, full: Sequence[int], truths: Sequence[Covariance]) -> float:
        """Of results by a schedule and by weights from a matrix, in dB, over runs."""
        errors = [expected_error(self.response, matrix, full, truth=truth.matrix) for truth in truths]
        return fmean(signal_to_noise(truth, error) for truth, error in zip(truths, errors, strict=True))

    def guessed(self, guess: Guess, count: int) -> float:
        """What a kernel brings on all runs."""
        matrix = priors.kernel(self.sigmas, *guess)
        return self.snr(matrix, schedule.plan(matrix, count, opening(count, len(self.sigmas), 0)), self.runs)

    def likeliest(self, count: int) -> Guess:
        """The kernel that the full steps of accelerated runs, all together, make most probable."""
        full = schedule.plan(priors.usual(self.sigmas).matrix, count, opening(count, len(self.sigmas), 0))
        matrices = np.stack([priors.kernel(self.sigmas, *guess) for guess in GUESSES])
        evidence = sum(priors.evidence(matrices, run.matrix, full) for run in self.runs)
        return GUESSES[int(np.argmax(evidence))]

    def measured(self, first: int, count: int) -> float:
        """What the mean of the other runs brings on each, with so many full steps first."""
        found = []
        for left_out in self.runs:
            others = [run for run in self.runs if run is not left_out]
            matrix = priors.combined(mean(others), self.sigmas).matrix
            found.append(self.snr(matrix, schedule.plan(matrix, count, first), [left_out]))
        return fmean(found)


def recorded(catalogue: Catalogue, name: str, prompts: int) -> Recorded:
    """Some uncached runs of a model."""
    model = load_model(catalogue.entry(name), catalogue.family(name))
    runs = []
    for case in sweep_cases(catalogue, name, prompts, None):
        plan = plan_run(model, case.request)
        shown = generate(model, case.request, image=case.image).covariance
        covariance = known_covariance([shown] if shown else [], [], plan)
        assert covariance is not None, "an uncached run shows its covariance"
        runs.append(covariance)
    return Recorded(name, measured_response(plan.scheduler, plan.sigmas), tuple(runs))


def guesses(models: Sequence[Recorded]) -> Table:
    """The usual guess beside the best one, that of the other models, and that of accelerated runs."""
    table = Table(*_columns("guess", models[0].counts), title="SNR of the latents by the guess, dB")
    for model in models:
        bring = {count: {guess: model.guessed(guess, count) for guess in GUESSES} for count in model.counts}
        elsewhere = _best([other for other in models if other is not model])
        chosen: dict[str, dict[int, Guess]] = {
            "the usual one": dict.fromkeys(model.counts, priors.USUAL),
            "the best of all": {count: max(bring[count], key=bring[count].__getitem__) for count in model.counts},
            "by the full steps of accelerated runs": {count: model.likeliest(count) for count in model.counts},
        }
        if elsewhere:
            chosen["the best on the other models"] = dict.fromkeys(model.counts, elsewhere)
        for title, by_count in chosen.items():
            cells = [f"{bring[count][guess]:.1f} ({_shown(guess)})" for count, guess in by_count.items()]
            table.add_row(model.model, title, *cells)
    return table


def first_steps(models: Sequence[Recorded]) -> Table:
    """How many of the full steps should come first where the model was measured."""
    table = Table(*_columns("first", models[0].counts), title="SNR of the latents by measured covariances, dB")
    for model in models:
        for title, first in FIRST.items():
            cells = [f"{model.measured(first(count), count):.1f}" for count in model.counts]
            table.add_row(model.model, title, *cells)
    return table


def _best(models: Sequence[Recorded]) -> Guess | None:
    """By the mean over models and numbers of full steps."""
    if not models:
        return None
    return max(GUESSES, key=lambda guess: fmean(each.guessed(guess, n) for each in models for n in each.counts))


def _columns(what: str, counts: Sequence[int]) -> list[str]:
    return ["model", what, *(f"{count} full steps" for count in counts)]


def _shown(guess: Guess) -> str:
    return f"{guess[0]:g}, {guess[1]:g}"


def main(
    model: Annotated[list[str], typer.Option(help="A model of the catalogue; may be given several times.")],
    prompts: Annotated[int, typer.Option(help="Of the model's benchmark.", min=2)] = 4,
    catalogue: CatalogueOption = Path("models.toml"),
) -> None:
    """Print both tables."""
    known = Catalogue.read(catalogue)
    models = [recorded(known, name, prompts) for name in model]
    console = Console(width=160)
    console.print(guesses(models))
    console.print(first_steps(models))


if __name__ == "__main__":
    run_command("bench.priors", main)
