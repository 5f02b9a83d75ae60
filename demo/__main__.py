"""`python -m demo run`: the same prompt and seed, uncached and accelerated, through the running product.
`python -m demo up`: the product, left running."""

import signal
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from demo import generations
from demo.embedded_redis import RedisServerMissing
from demo.stack import Stack, StackFailed, running_stack
from demo.summary import summary
from demo.vocabulary import warnings
from workers.jobs.errors import ScalingCacheError
from workers.measurement.contact_sheet import Row, compared, save_contact_sheet
from workers.measurement.fidelity import Video, psnr, ssim
from workers.media.mp4 import read_mp4
from workers.media.png import read_png
from workers.process.settings import Settings

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
console = Console()

PROMPT = "a red circle moving to the right on a black background"
ModelOption = Annotated[str, typer.Option(help="A model of models.toml.")]


@app.command()
def run(
    prompt: Annotated[str, typer.Option(help="What the video shows.")] = PROMPT,
    sf: Annotated[int, typer.Option(help="The speed knob of the accelerated job.", min=2)] = 10,
    seed: Annotated[int, typer.Option(help="The same for both jobs.")] = 7,
    model: ModelOption = "wan-tiny",
    image: Annotated[
        Path | None, typer.Option(help="First frame, for models that take one.", exists=True, dir_okay=False)
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("out/demo"),
) -> None:
    """Generate one video or image uncached and once with ScalingCache, and compare them."""
    warn_of_unknown_words(model, prompt)
    with ExitStack() as undo:
        with console.status("starting Redis, the service and a worker"):
            stack = undo.enter_context(running_stack(model))
        compare(stack, {"model": model, "prompt": prompt, "seed": seed}, sf, image, output)


@app.command()
def up(model: ModelOption = "wan-tiny", port: Annotated[int, typer.Option(help="Of the service.")] = 8000) -> None:
    """Start Redis, the service and a worker, and leave them running until Ctrl-C."""
    with running_stack(model, port=port) as stack:
        console.print(
            f"page     {stack.url}/  open it in a browser\nAPI      {stack.url}/v1  documented at {stack.url}/docs"
        )
        console.print(f"worker   {stack.metrics_url}")
        console.print(f"redis    {stack.redis_url}\nlogs     {stack.logs}\nCtrl-C stops everything.")
        with suppress(KeyboardInterrupt):
            while True:
                time.sleep(1)
                stack.check()
    console.print("stopped")


def warn_of_unknown_words(model: str, prompt: str) -> None:
    """Print which words of the prompt mean nothing to the model, or are beyond what it reads.

    Raises `CatalogueError`, `ModelNotFound`.
    """
    settings = Settings()
    entry = settings.whole_catalogue().entry(model)
    for line in warnings(model, Path(entry.source), prompt, entry.defaults.max_sequence_length):
        console.print(line, style="yellow", markup=False, soft_wrap=True)


def compare(stack: Stack, request: dict[str, Any], sf: int, first_frame: Path | None, output: Path) -> None:
    """Run the two jobs over HTTP, save both results and a contact sheet, and print what was measured."""
    with httpx.Client(base_url=stack.url, timeout=30) as client:
        model = client.get(f"/v1/models/{request['model']}").raise_for_status().json()
        asked = {"uncached": model["defaults"]["steps"], f"sf={sf}": sf}
        make = generations.image if model["media"] == "image" else generations.video
        made = {
            label: make(client, stack, console, label, request | {"sf": n}, first_frame) for label, n in asked.items()
        }
    output.mkdir(parents=True, exist_ok=True)
    paths = {label: output / f"{label.replace('=', '-')}{each.suffix}" for label, each in made.items()}
    for label, path in paths.items():
        path.write_bytes(made[label].content)
    pictures = {label: read_png(p)[None] if p.suffix == ".png" else read_mp4(p) for label, p in paths.items()}
    reports = {label: each.report for label, each in made.items()}
    sheet = output / "contact-sheet.png"
    save_contact_sheet(sheet, request["prompt"], compared(_rows(reports, pictures)))
    console.print(f"{sheet}  shows both, and where they differ", soft_wrap=True)
    console.print(_table(reports, pictures))
    console.print("\n".join(str(path) for path in paths.values()), soft_wrap=True)
    first, second = asked
    fidelity = psnr(pictures[second], pictures[first])
    console.print(summary(reports[first], reports[second], fidelity, model["media"], model["id"]), soft_wrap=True)


def _rows(jobs: dict[str, dict[str, Any]], videos: dict[str, Video]) -> list[Row]:
    """What the contact sheet shows: the uncached job first."""
    uncached, *others = jobs
    seconds = jobs[uncached]["timings"]["denoise"]
    rows = [Row(f"{uncached}: {jobs[uncached]['full_steps']} steps in {seconds:.2f} s", videos[uncached])]
    for label in others:
        job, fidelity = jobs[label], psnr(videos[label], videos[uncached])
        steps = f"{job['full_steps']} of {job['full_steps'] + job['cached_steps']} steps in full"
        speedup = seconds / job["timings"]["denoise"]
        rows.append(Row(f"{label}: {steps}, {speedup:.2f} times faster, {fidelity:.1f} dB", videos[label]))
    return rows


def _table(jobs: dict[str, dict[str, Any]], videos: dict[str, Video]) -> Table:
    table = Table("", *jobs)
    reference = next(iter(videos.values()))
    denoise = [job["timings"]["denoise"] for job in jobs.values()]
    rows = {
        "full steps": [str(job["full_steps"]) for job in jobs.values()],
        "cached steps": [str(job["cached_steps"]) for job in jobs.values()],
        "denoise, s": [f"{seconds:.2f}" for seconds in denoise],
        "speedup in the job": [f"{job['speedup']['measured']:.2f}x" for job in jobs.values()],
        "predictions rest on": [_basis(job) for job in jobs.values()],
        "error of predictions, expected / measured": [_mispredicted(job) for job in jobs.values()],
        "speedup to uncached": [f"{denoise[0] / seconds:.2f}x" for seconds in denoise],
        "PSNR, dB": ["-", *(f"{psnr(video, reference):.2f}" for video in list(videos.values())[1:])],
        "SSIM": ["-", *(f"{ssim(video, reference):.4f}" for video in list(videos.values())[1:])],
    }
    for name, cells in rows.items():
        table.add_row(name, *cells)
    return table


def _basis(job: dict[str, Any]) -> str:
    basis = job["basis"]
    return "-" if basis is None else f"{basis['kind']}, {basis['runs']} uncached runs"


def _mispredicted(job: dict[str, Any]) -> str:
    """Root mean squares relative to the outputs, over the full steps that came after predicted ones."""
    found = job["mispredictions"]
    if not found:
        return "-"
    return " / ".join(f"{fmean(each[key] for each in found) ** 0.5:.2%}" for key in ("expected", "measured"))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that both signals stop the processes in order
    try:
        app()
    except (StackFailed, RedisServerMissing, ScalingCacheError) as error:
        console.print(f"[red]error:[/red] {escape(str(error))}", highlight=False)
        raise SystemExit(1) from error
