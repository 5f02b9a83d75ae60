"""Whether full steps may be left out where predictions were better than expected.

`python -m bench.adaptive --model flux-tiny`, some minutes a model on a CPU.
A run whose prediction was off by less than a part of the expected square goes without the next full step of its plan.
Such runs are compared with plans of as many full steps, which they should be better than at equal mean cost.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Annotated
from unittest.mock import patch

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bench.program import CatalogueOption, run_command
from bench.rivals.prompts import sweep_cases
from bench.rivals.rival import Case
from workers.engine import covariance_session
from workers.engine.generation import Generation, generate
from workers.engine.loaded import LoadedModel, load_model
from workers.measurement.fidelity import psnr
from workers.models.catalogue import Catalogue
from workers.scalingcache.forecast import Forecast, Innovation
from workers.scalingcache.schedule import LONGEST

PLANNED_SF = (6, 7, 8, 9, 10, 12, 14, 17)
ADAPTIVE_SF = (10, 12, 14, 17)
PARTS = (1.5, 3.0)
"""How many times less than expected a squared error is where a step is left out."""


def without_next(schedule: tuple[int, ...], step: int) -> tuple[int, ...]:
    """A schedule without its first step after `step`; the same where that is its last one or the gap grew too long."""
    later = [each for each in schedule if each > step]
    if len(later) < 2 or later[1] - step > LONGEST:
        return schedule
    return tuple(each for each in schedule if each != later[0])


@contextmanager
def leaving_out(part: float) -> Iterator[None]:
    """Runs leave out steps where the squared error is so many times less than expected."""

    class AdaptiveForecast(Forecast):
        def _guard(self, innovation: Innovation) -> None:
            super()._guard(innovation)
            if innovation.measured * part < innovation.expected:
                self.schedule = without_next(self.schedule, innovation.step)

    with patch.object(covariance_session, "Forecast", AdaptiveForecast):
        yield


@dataclass(frozen=True)
class Point:
    """Means over prompts. worst: the lowest PSNR in dB."""

    full_steps: float
    psnr: float
    worst: float


@dataclass(frozen=True)
class Subject:
    """A model, what is asked of it, and the uncached frames of that."""

    model: LoadedModel
    cases: Sequence[Case]
    uncached: Sequence[NDArray[np.uint8]]

    def point(self, sf: int) -> Point:
        """What an sf brings."""
        runs = [self._run(case, sf) for case in self.cases]
        found = [psnr(run.frames, uncached) for run, uncached in zip(runs, self.uncached, strict=True)]
        return Point(fmean(run.report.full_steps for run in runs), fmean(found), min(found))

    def _run(self, case: Case, sf: int) -> Generation:
        return generate(self.model, case.request.model_copy(update={"sf": sf}), image=case.image)


def planned_at(points: Sequence[Point], full_steps: float) -> Point:
    """What plans bring at a mean number of full steps, between the nearest two."""
    counts = [each.full_steps for each in points]
    mean = np.interp(full_steps, counts, [each.psnr for each in points])
    worst = np.interp(full_steps, counts, [each.worst for each in points])
    return Point(full_steps, float(mean), float(worst))


def compared(subject: Subject) -> Table:
    """Runs that leave steps out beside plans of as many full steps."""
    planned = [subject.point(sf) for sf in PLANNED_SF]
    columns = ("left out from", "sf", "full steps", "PSNR, dB", "of plans", "worst prompt", "of plans")
    table = Table(*columns, title=f"{subject.model.entry.name}: steps left out where the error was less than expected")
    for part in PARTS:
        for sf in ADAPTIVE_SF:
            with leaving_out(part):
                left = subject.point(sf)
            plans = planned_at(planned, left.full_steps)
            cells = [left.full_steps, left.psnr, plans.psnr, left.worst, plans.worst]
            table.add_row(f"{part:g} times less", str(sf), *(f"{cell:.2f}" for cell in cells))
    return table


def main(
    model: Annotated[list[str], typer.Option(help="A model of the catalogue; may be given several times.")],
    prompts: Annotated[int, typer.Option(help="Of the model's benchmark.", min=1)] = 8,
    catalogue: CatalogueOption = Path("models.toml"),
) -> None:
    """Print a table for each model."""
    known = Catalogue.read(catalogue)
    for name in model:
        loaded, cases = load_model(known.entry(name), known.family(name)), sweep_cases(known, name, prompts, None)
        uncached = [generate(loaded, case.request.uncached, image=case.image).frames for case in cases]
        Console(width=120).print(compared(Subject(loaded, cases, uncached)))


if __name__ == "__main__":
    run_command("bench.adaptive", main)
