"""`python -m workers`: run a worker, generate without a queue, calibrate a model."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from workers.jobs.errors import ScalingCacheError
from workers.jobs.job import RunReport
from workers.models.catalogue import Catalogue

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
console = Console(stderr=True)

CatalogueOption = Annotated[Path, typer.Option("--catalogue", envvar="SCALINGCACHE_CATALOGUE", help="The TOML file.")]
ModelOption = Annotated[str, typer.Option("--model", help="A model of the catalogue.")]
ThreadsOption = Annotated[int | None, typer.Option("--threads", help="CPU threads of torch.", min=1)]


@app.command()
def generate(
    model: ModelOption,
    prompt: Annotated[str, typer.Option(help="What the video shows.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The MP4 to write.")],
    sf: Annotated[int | None, typer.Option(help="Full steps at the start; as many as steps runs uncached.")] = None,
    steps: Annotated[int | None, typer.Option(help="Denoising steps.")] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same video; random by default.")] = None,
    width: Annotated[int | None, typer.Option(help="Pixels.")] = None,
    height: Annotated[int | None, typer.Option(help="Pixels.")] = None,
    frames: Annotated[int | None, typer.Option(help="Number of frames.")] = None,
    guidance: Annotated[float | None, typer.Option(help="Guidance scale; 1 runs without guidance.")] = None,
    negative_prompt: Annotated[str | None, typer.Option(help="What the video does not show.")] = None,
    catalogue: CatalogueOption = Path("models.toml"),
    threads: ThreadsOption = None,
) -> None:
    """Generate one video, without service, queue or Redis."""
    known = Catalogue.read(catalogue)
    request = known.request(
        model, prompt, sf=sf, steps=steps, seed=seed, width=width, height=height, frames=frames,
        guidance=guidance, negative_prompt=negative_prompt,
    )  # fmt: skip
    _set_threads(threads)
    from workers.generation import Watcher
    from workers.generation import generate as run
    from workers.loaded import load_model
    from workers.video import write_mp4

    with console.status(f"loading {model}"):
        loaded = load_model(known.entry(model), known.family(model))
    with _progress() as progress:
        task = progress.add_task("denoise", total=request.steps)
        generation = run(loaded, request, Watcher(step=lambda *_: progress.advance(task)))
    write_mp4(output, generation.frames, request.fps)
    console.print(_report_table(generation.report, request.seed))
    console.print(f"wrote {output}")


@app.command()
def calibrate(
    model: ModelOption,
    prompts: Annotated[Path, typer.Option(help="One prompt a line; about 20 of them.", exists=True, dir_okay=False)],
    seeds: Annotated[int, typer.Option(help="Generations for each prompt.", min=1)] = 5,
    max_skip: Annotated[int, typer.Option(help="Longest run of predicted steps.", min=1)] = 6,
    final_full_steps: Annotated[int, typer.Option(help="Full steps at the end.", min=0)] = 1,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The catalogue's file by default.")] = None,
    catalogue: CatalogueOption = Path("models.toml"),
    work: Annotated[Path, typer.Option(help="Where an interrupted run keeps what it has.")] = Path("build/calibration"),
    threads: ThreadsOption = None,
) -> None:
    """Measure a model's coefficients and write them with their figures."""
    known = Catalogue.read(catalogue)
    destination = output or Path(known.entry(model).coefficients or f"alphas/{model}.json")
    _set_threads(threads)
    from workers.calibrate import Calibration, read_prompts
    from workers.calibrate import calibrate as measure
    from workers.figures import save_figures

    what = Calibration(model, read_prompts(prompts), seeds, max_skip, final_full_steps, work)
    with _progress() as progress:
        task = progress.add_task(f"{len(what.prompts)} prompts × {seeds} seeds", total=None)
        coefficients = measure(known, what, lambda done, total: progress.update(task, completed=done, total=total))
    destination.parent.mkdir(parents=True, exist_ok=True)
    coefficients.save(destination)
    figures = save_figures(coefficients, destination.with_suffix(""))

    table = Table("sf", f"full steps, κ = {coefficients.kappa:g}", "full steps, κ = 1", title="expected of the rule")
    for sf, expected in coefficients.expected_full_steps.items():
        table.add_row(str(sf), f"{expected:.1f}", f"{coefficients.expected_full_steps_literal[sf]:.1f}")
    console.print(table)
    console.print(f"estimator: {coefficients.estimator}; wrote {destination}, {', '.join(str(f) for f in figures)}")


@app.command()
def run(
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Print the settings in force, secrets masked, and end.")
    ] = False,
) -> None:
    """Serve jobs from the queue until SIGTERM. Set up by SCALINGCACHE_ variables, see docs/configuration.md."""
    from workers import logs
    from workers.settings import Settings
    from workers.shutdown import Shutdown
    from workers.supervisor import Supervisor

    settings = Settings()
    if print_config:
        typer.echo(settings.shown())
        return
    logs.configure(settings.log_format)
    shutdown = Shutdown()
    shutdown.install()
    Supervisor(settings, Catalogue.read(settings.catalogue), shutdown).run()


@app.command()
def health() -> None:
    """Whether this host's worker has loaded its models and takes jobs: exit code 0. For health checks of containers."""
    from workers.health import WorkerUnwell, check
    from workers.settings import Settings

    settings = Settings()
    try:
        typer.echo(check(settings.metrics_host, settings.metrics_port))
    except WorkerUnwell as error:
        typer.echo(error, err=True)
        raise typer.Exit(1) from error


def _set_threads(threads: int | None) -> None:
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, TimeRemainingColumn(), console=console)


def _report_table(report: RunReport, seed: int) -> Table:
    table = Table(show_header=False)
    table.add_row("seed", str(seed))
    table.add_row("decisions", report.decisions)
    table.add_row("full steps", str(report.full_steps))
    table.add_row("cached steps", str(report.cached_steps))
    table.add_row("speedup", f"{report.speedup_measured:.2f}x measured, {report.speedup_estimated:.2f}x by steps")
    if report.reason is not None:
        table.add_row("not accelerated", report.reason)
    for stage, seconds in report.timings.items():
        table.add_row(stage, f"{seconds:.2f} s")
    return table


def main() -> None:
    """Run the command line; errors of this project are one readable line and exit code 1."""
    try:
        app()
    except ScalingCacheError as error:
        console.print(f"[red]{error.code}[/red]: {error}", highlight=False, soft_wrap=True)
        raise SystemExit(1) from error
    except ValidationError as error:  # of a setting; pydantic names the variable and what is allowed
        console.print(str(error), markup=False, highlight=False, soft_wrap=True)
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()
