"""`python -m workers evaluate`: speed and fidelity of each sf."""

from pathlib import Path
from typing import Annotated

import typer

from workers.commands.console import Done, console, interruptible, progress, status, use_threads
from workers.commands.destinations import UNREADABLE, check_evaluation, check_folder
from workers.commands.options import (
    CatalogueOption,
    MethodOption,
    ModelOption,
    PromptsFile,
    SourceOption,
    StepsOption,
    ThreadsOption,
    UncalibratedOption,
    settings,
)
from workers.jobs.connection import Connection
from workers.jobs.errors import InvalidRequest
from workers.jobs.observations import Observations
from workers.measurement.prompts import read_prompts, same_kind
from workers.models.basis import read_measured
from workers.models.catalogue import Catalogue
from workers.models.entry import ModelEntry
from workers.models.evaluation import EvaluationError
from workers.process.settings import Settings
from workers.scalingcache.budget import LEAST_STEPS


def evaluate(
    model: ModelOption,
    prompts: PromptsFile,
    sf: Annotated[list[int], typer.Option(help="One or more.")] = [4, 6, 8, 10, 12, 14, 20],  # noqa: B006
    limit: Annotated[int | None, typer.Option(help="Only so many of the prompts.", min=1)] = None,
    seed: Annotated[int, typer.Option(help="Of the first prompt; each after it has the next.")] = 0,
    steps: StepsOption = None,
    lpips: Annotated[
        Path | None, typer.Option(help="Folder with alexnet-owt-7be5be79.pth and alex.pth; without it no LPIPS.")
    ] = None,
    clip: Annotated[Path | None, typer.Option(help="Folder of a CLIP checkpoint; without it no CLIP score.")] = None,
    method: MethodOption = None,
    coefficients: Annotated[Path | None, typer.Option(help="Instead of the catalogue's.", exists=True)] = None,
    allow_uncalibrated: UncalibratedOption = False,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The entry's file, by its name, or any other path. Default: the former."),
    ] = None,
    teach: Annotated[
        bool,
        typer.Option(
            "--teach", help="At the end, give the workers of SCALINGCACHE_REDIS_URL what the uncached runs have shown."
        ),
    ] = False,
    source: SourceOption = None,
    catalogue: CatalogueOption = None,
    work: Annotated[Path, typer.Option(help="Where an interrupted run keeps what it has.")] = Path("build/evaluation"),
    threads: ThreadsOption = None,
) -> None:
    """Measure speed and fidelity of each sf against uncached runs of the same prompts and seeds."""
    values = settings(catalogue, threads)
    models = values.whole_catalogue().changed(
        model, source=source, method=method, coefficients=coefficients and (str(coefficients),)
    )
    entry = models.entry(model)
    _check_method(entry, coefficients, allow_uncalibrated=allow_uncalibrated)
    texts = read_prompts(prompts, limit)
    destination = _destination(models, model, output, images=texts[0].image is not None)
    if teach:
        _teachable(entry, steps, {"source": source, "coefficients": coefficients, "method": method})
    observations = _observations(values) if teach else None
    use_threads(values.torch_threads)
    from workers.engine.loaded import load_model
    from workers.measurement import tables
    from workers.measurement.evaluation import EvaluationSettings, Measures, check_sf, save_evaluation
    from workers.measurement.evaluation import evaluate as measure
    from workers.measurement.perceptual import ClipScore, Lpips
    from workers.measurement.teaching import teach as teach_workers

    measures = Measures(Lpips.load(lpips) if lpips else None, ClipScore(clip) if clip else None)
    overrides = {"steps": steps, "allow_uncalibrated": allow_uncalibrated}
    wanted = EvaluationSettings(texts, sorted(set(sf)), seed, overrides, work)
    check_sf(wanted.sf, steps or entry.defaults.steps)
    same_kind(texts)
    check_evaluation(destination, replace=destination != output)
    check_folder(work, "work")
    with status(f"loading {model}"):
        loaded = load_model(entry, models.family(model))
    with progress() as bar:
        done = Done(bar, f"{len(texts)} prompts × {len(wanted.sf) + 1} runs", len(texts))
        with interruptible(lambda: _kept(done, work)):
            evaluated = measure(loaded, models, wanted, measures, done)
    console.print(tables.of_evaluation(evaluated.evaluation))
    written = save_evaluation(evaluated.evaluation, evaluated.sheet, destination)
    console.print(f"wrote {', '.join(str(path) for path in written)}", soft_wrap=True)
    if observations is not None:
        verdicts = teach_workers(loaded, observations, evaluated.uncached)
        told = ", ".join(f"{count} {verdict.replace('_', ' ')}" for verdict, count in verdicts.items())
        console.print(f"uncached runs, for the workers: {told}")


def _check_method(entry: ModelEntry, coefficients: Path | None, *, allow_uncalibrated: bool) -> None:
    """Raises `InvalidRequest` for what would do nothing with the entry's method."""
    if allow_uncalibrated and entry.method != "paper":
        raise InvalidRequest("allow-uncalibrated", f"--allow-uncalibrated is of the method paper, not {entry.method}")
    try:
        found = entry.method if coefficients is None else read_measured(coefficients).method
    except (OSError, *UNREADABLE):
        return  # Loading says what is wrong with it.
    if found != entry.method:
        raise InvalidRequest(
            "coefficients", f"--coefficients: {coefficients} is of the method {found}, not {entry.method}; see --method"
        )


def _teachable(entry: ModelEntry, steps: int | None, given: dict[str, object]) -> None:
    """Raises `InvalidRequest` where workers would learn nothing, or by other files and weights than they have."""
    if options := [f"--{name}" for name, value in given.items() if value is not None]:
        raise InvalidRequest("teach", f"--teach is for the model as its workers have it, without {', '.join(options)}")
    if entry.method == "paper":
        raise InvalidRequest("teach", f"--teach: {entry.name} has the method paper, which learns nothing from runs")
    if (each := steps or entry.defaults.steps) < LEAST_STEPS:
        raise InvalidRequest("teach", f"--teach needs runs of {LEAST_STEPS} steps or more, not {each}")


def _observations(values: Settings) -> Observations:
    """The list that workers share. Raises `QueueUnavailable` before anything is measured, not after."""
    connection = Connection(values.redis_address)
    connection.ping()
    return Observations(connection, values.retention_seconds)


def _kept(done: Done, work: Path) -> str:
    finished = f"{done.whole} of {done.parts} prompts are finished"
    return f"{finished} and kept in {work}; the same command goes on after them"


def _destination(models: Catalogue, model: str, output: Path | None, images: bool) -> Path:
    """Where a model's evaluation belongs. Raises `InvalidRequest` where that would replace one of the other kind."""
    file = models.entry(model).evaluation
    if output is not None and not (file and str(output) == Path(file).name):
        return output
    try:
        earlier = models.evaluation(model)
    except EvaluationError:
        earlier = None  # One that cannot be read may be replaced.
    if earlier is not None and earlier.input_reference != images:
        kind = "with first frames" if earlier.input_reference else "without first frames"
        raise InvalidRequest("output", f"--output: {file} was measured {kind}; say where else")
    return Path(file or f"alphas/{model}.evaluation.json")
