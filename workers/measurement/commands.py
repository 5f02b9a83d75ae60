"""The commands that work on a model without service, queue or Redis. torch is loaded when one is carried out."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from workers.configuration import read_catalogue
from workers.jobs.errors import InvalidRequest
from workers.jobs.job import GenerationRequest
from workers.measurement.prompts import Prompt, read_prompts
from workers.models.catalogue import Catalogue
from workers.models.entry import Method
from workers.models.evaluation import EvaluationError

if TYPE_CHECKING:
    from workers.scalingcache.measured import MeasuredCovariance
    from workers.scalingcache.paper.coefficients import Coefficients

console = Console(stderr=True)

CatalogueOption = Annotated[Path, typer.Option("--catalogue", envvar="SCALINGCACHE_CATALOGUE", help="The TOML file.")]
ModelOption = Annotated[str, typer.Option("--model", help="A model of the catalogue.")]
SourceOption = Annotated[
    str | None, typer.Option("--source", help="Another checkpoint for the model's entry: a folder, or a hub id.")
]
ThreadsOption = Annotated[int | None, typer.Option("--threads", help="CPU threads of torch.", min=1)]
StepsOption = Annotated[int | None, typer.Option("--steps", help="Denoising steps.", min=1)]
MethodOption = Annotated[
    Method | None, typer.Option("--method", help="How steps are predicted; the catalogue's by default.")
]
PromptsFile = Annotated[
    Path, typer.Option(help="One prompt a line, VBench's .json or DrawBench's .csv.", exists=True, dir_okay=False)
]
UncalibratedOption = Annotated[
    bool,
    typer.Option(
        "--allow-uncalibrated", help="With the method paper: accelerate also where no coefficients fit, with alpha = 1."
    ),
]


def generate(
    model: ModelOption,
    output: Annotated[Path, typer.Option("-o", "--output", help="The file to write; a folder for several.")],
    prompt: Annotated[str | None, typer.Option(help="What the video shows.")] = None,
    prompts: Annotated[
        Path | None, typer.Option(help="Many prompts, as for evaluate.", exists=True, dir_okay=False)
    ] = None,
    image: Annotated[
        Path | None, typer.Option(help="First frame, with --prompt: PNG, JPEG or WebP.", exists=True, dir_okay=False)
    ] = None,
    sf: Annotated[
        list[int] | None,
        typer.Option(help="The speed knob; as many as steps runs uncached. Several: side by side."),
    ] = None,
    steps: StepsOption = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same video; random by default.")] = None,
    width: Annotated[int | None, typer.Option(help="Pixels.")] = None,
    height: Annotated[int | None, typer.Option(help="Pixels.")] = None,
    frames: Annotated[int | None, typer.Option(help="Number of frames.")] = None,
    guidance: Annotated[float | None, typer.Option(help="Guidance scale; 1 runs without guidance.")] = None,
    negative_prompt: Annotated[str | None, typer.Option(help="What the video does not show.")] = None,
    method: MethodOption = None,
    allow_uncalibrated: UncalibratedOption = False,
    source: SourceOption = None,
    catalogue: CatalogueOption = Path("models.toml"),
    threads: ThreadsOption = None,
) -> None:
    """Generate one prompt or a file of them, each with one or several sf."""
    if (prompt is None) == (prompts is None):
        raise InvalidRequest("prompt", "give either --prompt or --prompts")
    if image is not None and prompt is None:
        raise InvalidRequest("image", "--image needs --prompt; in a file of prompts an image comes after a tab")
    texts = [Prompt(prompt, image=image)] if prompt is not None else read_prompts(prompts or Path())
    models = read_catalogue(catalogue).changed(model, source=source, method=method)
    groups = [
        _side_by_side(
            models, model, each, sf or [None], steps=steps, seed=seed, width=width, height=height, frames=frames,
            guidance=guidance, negative_prompt=negative_prompt, allow_uncalibrated=allow_uncalibrated,
        )
        for each in texts
    ]  # fmt: skip
    _set_threads(threads)
    from workers.engine.loaded import load_model
    from workers.measurement import tables
    from workers.measurement.samples import generate_files

    with console.status(f"loading {model}"):
        loaded = load_model(models.entry(model), models.family(model))
    with _progress() as progress:
        task = progress.add_task("denoise", total=sum(r.steps for group in groups for r in group))
        for done in generate_files(loaded, texts, groups, output, lambda: progress.advance(task)):
            console.print(tables.of_report(done.generation.report, done.request))
            console.print(f"wrote {done.path}", soft_wrap=True)


def _side_by_side(
    models: Catalogue, model: str, prompt: Prompt, sf: list[int] | list[None], **values: object
) -> list[GenerationRequest]:
    """Requests that differ in sf alone: also a seed that is drawn is the same for all."""
    values["input_reference"] = prompt.reference
    first = models.request(model, prompt.text, **values, sf=sf[0])
    return [models.request(model, prompt.text, **values | {"seed": first.seed}, sf=each) for each in sf]


def calibrate(
    model: ModelOption,
    prompts: PromptsFile,
    seeds: Annotated[int, typer.Option(help="Generations for each prompt.", min=1)] = 1,
    limit: Annotated[
        int | None, typer.Option(help="Only so many of the prompts; one is enough to begin.", min=1)
    ] = None,
    steps: StepsOption = None,
    method: Annotated[
        Method | None, typer.Option(help="What for: a covariance, or the paper's α. The catalogue's by default.")
    ] = None,
    max_skip: Annotated[int, typer.Option(help="Of the paper's method: longest run of predicted steps.", min=1)] = 4,
    final_full_steps: Annotated[int, typer.Option(help="Of the paper's method: full steps at the end.", min=0)] = 1,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The catalogue's file by default.")] = None,
    source: SourceOption = None,
    catalogue: CatalogueOption = Path("models.toml"),
    work: Annotated[Path, typer.Option(help="Where an interrupted run keeps what it has.")] = Path("build/calibration"),
    threads: ThreadsOption = None,
) -> None:
    """Measure what a model's acceleration rests on, and write it with its figures.

    A covariance takes one uncached generation, better some four of different prompts: the table at the end says what
    more bring.
    The paper's coefficients take about 20 prompts of many kinds with 5 seeds each.
    """
    models = read_catalogue(catalogue).changed(model, source=source)
    chosen = method or models.entry(model).method
    destination = output or _coefficients_file(models, model, chosen)
    _set_threads(threads)
    from workers.measurement.uncached_runs import UncachedRuns

    runs = UncachedRuns(model, read_prompts(prompts, limit), seeds, steps, work)
    with _progress() as progress:
        report_progress = _reporter(progress, f"{len(runs.prompts)} prompts × {seeds} seeds")
        if chosen == "paper":
            from workers.measurement.paper_calibration import Interval, calibrate_paper

            coefficients = calibrate_paper(models, runs, Interval(max_skip, final_full_steps), report_progress)
            figures = _saved_paper_calibration(coefficients, destination)
        else:
            from workers.measurement.calibration import calibrate as measure

            measured = measure(models, runs, report_progress)
            figures = _saved_calibration(measured, destination)
    console.print(f"wrote {destination}, {', '.join(str(figure) for figure in figures)}", soft_wrap=True)


def _saved_calibration(measured: "MeasuredCovariance", destination: Path) -> list[Path]:
    from workers.measurement import tables
    from workers.measurement.figures import save_covariance_figures

    measured.save(destination)
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
        Path | None, typer.Option("-o", "--output", help="Default: the catalogue's file, or beside the coefficients.")
    ] = None,
    source: SourceOption = None,
    catalogue: CatalogueOption = Path("models.toml"),
    work: Annotated[Path, typer.Option(help="Where an interrupted run keeps what it has.")] = Path("build/evaluation"),
    threads: ThreadsOption = None,
) -> None:
    """Measure speed and fidelity of each sf against uncached runs of the same prompts and seeds."""
    models = read_catalogue(catalogue).changed(
        model, source=source, method=method, coefficients=coefficients and (str(coefficients),)
    )
    texts = read_prompts(prompts, limit)
    destination = output or _evaluation_file(models, model, images=texts[0].image is not None)
    _set_threads(threads)
    from workers.engine.loaded import load_model
    from workers.measurement import tables
    from workers.measurement.evaluation import EvaluationSettings, Measures, save_evaluation
    from workers.measurement.evaluation import evaluate as measure
    from workers.measurement.perceptual import ClipScore, Lpips

    measures = Measures(Lpips.load(lpips) if lpips else None, ClipScore(clip) if clip else None)
    overrides = {"steps": steps, "allow_uncalibrated": allow_uncalibrated}
    settings = EvaluationSettings(texts, sorted(set(sf)), seed, overrides, work)
    with console.status(f"loading {model}"):
        loaded = load_model(models.entry(model), models.family(model))
    with _progress() as progress:
        report_progress = _reporter(progress, f"{len(texts)} prompts × {len(settings.sf) + 1} runs")
        evaluation, sheet = measure(loaded, models, settings, measures, report_progress)
    console.print(tables.of_evaluation(evaluation))
    written = save_evaluation(evaluation, sheet, destination)
    console.print(f"wrote {', '.join(str(path) for path in written)}", soft_wrap=True)


def _coefficients_file(models: Catalogue, model: str, method: Method) -> Path:
    """Where a model's coefficients belong. Raises `InvalidRequest` where the catalogue names several files."""
    if method != models.entry(model).method:
        return Path(f"alphas/{model}.{method}.json")  # Never over what the model is served with.
    named = models.entry(model).coefficients
    if len(named) > 1:
        raise InvalidRequest("output", f"--output: {model} has several files, say which: {', '.join(named)}")
    return Path(named[0] if named else f"alphas/{model}.json")


def _evaluation_file(models: Catalogue, model: str, images: bool) -> Path:
    """Where a model's evaluation belongs. Raises `InvalidRequest` where that would replace one of the other kind."""
    file = models.entry(model).evaluation
    try:
        earlier = models.evaluation(model)
    except EvaluationError:
        earlier = None  # One that cannot be read may be replaced.
    if earlier is not None and earlier.input_reference != images:
        kind = "with first frames" if earlier.input_reference else "without first frames"
        raise InvalidRequest("output", f"--output: {file} was measured {kind}; say where else")
    return Path(file or f"alphas/{model}.evaluation.json")


def _set_threads(threads: int | None) -> None:
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, TimeRemainingColumn(), console=console)


def _reporter(progress: Progress, title: str) -> Callable[[int, int], None]:
    task = progress.add_task(title, total=None)
    return lambda done, total: progress.update(task, completed=done, total=total)
