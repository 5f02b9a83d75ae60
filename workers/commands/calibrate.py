"""`python -m workers calibrate`: measure what a model's acceleration rests on."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress

from workers.commands.console import Done, console, interruptible, progress, use_threads
from workers.commands.destinations import check_coefficients, check_folder
from workers.commands.options import (
    CatalogueOption,
    ModelOption,
    PromptsFile,
    SourceOption,
    StepsOption,
    ThreadsOption,
    settings,
)
from workers.jobs.errors import InvalidRequest
from workers.measurement.prompts import Prompt, read_prompts, same_kind
from workers.models.catalogue import Catalogue
from workers.models.entry import Method

FEWEST_STEPS = 3
"""That leave one to predict after the first two."""

if TYPE_CHECKING:
    from workers.measurement.uncached_runs import UncachedRuns
    from workers.scalingcache.measured import MeasuredCovariance
    from workers.scalingcache.paper.coefficients import Coefficients


def calibrate(
    model: ModelOption,
    prompts: PromptsFile,
    seeds: Annotated[int, typer.Option(help="Generations for each prompt.", min=1)] = 1,
    limit: Annotated[
        int | None, typer.Option(help="Only so many of the prompts; one is enough to begin.", min=1)
    ] = None,
    plans: Annotated[
        int,
        typer.Option(
            help="Also choose by whole runs which steps are computed in full, with so many of the prompts after those "
            "of --limit; each takes as long as some 14 generations.",
            min=0,
        ),
    ] = 0,
    steps: StepsOption = None,
    method: Annotated[
        Method | None, typer.Option(help="What for: a covariance, or the paper's α. The catalogue's by default.")
    ] = None,
    max_skip: Annotated[
        int | None, typer.Option(help="Of the paper's method: longest run of predicted steps; 4 by default.", min=1)
    ] = None,
    final_full_steps: Annotated[
        int | None, typer.Option(help="Of the paper's method: full steps at the end; 1 by default.", min=0)
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="One of the entry's files, by its name, or any other path."),
    ] = None,
    colours_only: Annotated[
        bool,
        typer.Option(
            "--colours-only",
            help="Only add the colours of previews to a file that is there: two prompts and 20 --steps are enough.",
        ),
    ] = False,
    source: SourceOption = None,
    catalogue: CatalogueOption = None,
    work: Annotated[Path, typer.Option(help="Where an interrupted run keeps what it has.")] = Path("build/calibration"),
    threads: ThreadsOption = None,
) -> None:
    """Measure what a model's acceleration rests on, and write it with its figures.

    A covariance takes one uncached generation, better some four of different prompts: the table at the end says what
    more bring.
    The paper's coefficients take about 20 prompts of many kinds with 5 seeds each.
    """
    values = settings(catalogue, threads)
    models = values.whole_catalogue().changed(model, source=source)
    chosen = method or models.entry(model).method
    path = _destination(models, model, chosen, output)
    _check_options(chosen, colours_only, {"max-skip": max_skip, "final-full-steps": final_full_steps})
    each = models.entry(model).defaults.steps if steps is None else steps
    if each < FEWEST_STEPS:
        raise InvalidRequest("steps", f"--steps {each}: with fewer than {FEWEST_STEPS} none is left to predict")
    use_threads(values.torch_threads)
    from workers.measurement.uncached_runs import UncachedRuns

    found = read_prompts(prompts, None if limit is None else limit + plans)
    runs = UncachedRuns(model, found[:limit], seeds, steps, work)
    others = found[len(runs.prompts) :]
    if plans and (why := _no_plans(colours_only, chosen, plans - len(others), each)):
        raise InvalidRequest("plans", f"--plans {plans}: {why}")
    same_kind([*runs.prompts, *others])
    check_coefficients(path, chosen)
    check_folder(work, "work")
    with progress() as bar:
        done = Done(bar, f"{len(runs.prompts)} prompts × {seeds} seeds", len(runs.prompts) * seeds)
        with interruptible(lambda: f"{path} is as it was" if colours_only else _kept(done, work)):
            if colours_only:
                from workers.measurement.colours import with_colours

                with_colours(models, runs, path, done).save(path)
                figures = []
            elif chosen == "paper":
                from workers.measurement.paper_calibration import Interval, calibrate_paper

                interval = Interval(max_skip or 4, 1 if final_full_steps is None else final_full_steps)
                coefficients = calibrate_paper(models, runs, interval, done)
                figures = _saved_paper_calibration(coefficients, path)
            else:
                measured = _measured(models, runs, others, bar, done)
                figures = _saved_calibration(measured, path)
    console.print(f"wrote {', '.join(map(str, [path, *figures]))}", soft_wrap=True)


def _check_options(method: Method, colours_only: bool, paper: dict[str, int | None]) -> None:
    """Raises `InvalidRequest` for what would do nothing. paper: options of its method by their names."""
    if method != "paper" and (given := [name for name, value in paper.items() if value is not None]):
        raise InvalidRequest("method", f"--{given[0]} is of the paper's method, and this is of the method {method}")
    if method == "paper" and colours_only:
        raise InvalidRequest("colours-only", "--colours-only: coefficients of the paper's method have no colours")


def _no_plans(colours_only: bool, method: Method, missing: int, steps: int) -> str | None:
    """Why plans cannot be tried."""
    from workers.measurement.plan_choice import counts

    if colours_only:
        return "--colours-only changes nothing else of the file"
    if method == "paper":
        return "the paper's rule decides as a run goes; only a covariance has plans"
    if max(counts(steps), default=0) <= 3:  # The first two, and the last.
        return f"of {steps} steps all plans are the same, leave it out"
    return f"{missing} prompts too few are left after those of --limit, all without one" if missing > 0 else None


def _measured(
    models: Catalogue, runs: "UncachedRuns", others: Sequence[Prompt], bar: Progress, done: Done
) -> "MeasuredCovariance":
    """The covariance by all runs, with plans by whole runs of the other prompts if there are any."""
    from workers.measurement import calibration, plan_choice, tables
    from workers.measurement.uncached_runs import uncached_model

    model = uncached_model(models, runs.model)
    measured = calibration.calibrate(model, models, runs, done)
    if not others:
        return measured
    trials = Done(bar, f"plans by {len(others)} prompts", len(others))
    with interruptible(lambda: _kept(done, runs.work, f" and the plans of {trials.whole} of {trials.parts} prompts")):
        measured, tried = plan_choice.choose_plans(model, models, measured, others, runs.work, trials)
    console.print(tables.of_plans(tried))
    return measured


def _kept(done: Done, work: Path, more: str = "") -> str:
    finished = f"{done.whole} of {done.parts} generations{more} are finished"
    return f"{finished} and kept in {work}; the same command goes on after them"


def _saved_calibration(measured: "MeasuredCovariance", destination: Path) -> list[Path]:
    from workers.measurement import tables
    from workers.measurement.figures import save_covariance_figures

    if not measured.prior_shares and destination.exists() and '"prior_shares"' in destination.read_text():
        console.print("plans are by the expected error again: --plans chooses them by whole runs", soft_wrap=True)
    measured.save(destination)
    if measured.colours is None:
        console.print("without colours of previews, which no run has shown; the log says why", soft_wrap=True)
    for table in tables.of_covariance(measured):
        console.print(table)
    return save_covariance_figures(measured, destination.with_suffix(""))


def _saved_paper_calibration(coefficients: "Coefficients", destination: Path) -> list[Path]:
    from workers.measurement import tables
    from workers.measurement.figures import save_figures

    coefficients.save(destination)
    for table in tables.of_coefficients(coefficients):
        console.print(table)
    console.print(f"estimator: {coefficients.estimator}")
    return save_figures(coefficients, destination.with_suffix(""))


def _destination(models: Catalogue, model: str, method: Method, output: Path | None) -> Path:
    """Where a model's coefficients belong. Raises `InvalidRequest` where the catalogue names several files.

    output: one of the entry's files by its name alone is that file, wherever the command is run; anything else is a
        path.
    """
    named = models.entry(model).coefficients
    if output is not None:
        by_name = {Path(path).name: Path(path) for path in named}
        return by_name.get(str(output), output)
    if method != models.entry(model).method:
        return Path(f"alphas/{model}.{method}.json")  # Never over what the model is served with.
    if len(named) > 1:
        raise InvalidRequest("output", f"--output: {model} has several files, say which: {', '.join(named)}")
    return Path(named[0] if named else f"alphas/{model}.json")
