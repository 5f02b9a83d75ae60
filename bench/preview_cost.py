"""What part of a run's time its previews take, by what they really cost.

python -m bench.preview_cost --model wan-tiny
"""

import time
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from bench.program import CatalogueOption, ThreadsOption, run_command
from workers.commands.options import PromptsFile
from workers.engine.generation import generate
from workers.engine.latent_colours import LatentColours
from workers.engine.latent_preview import Previews
from workers.engine.loaded import load_model
from workers.engine.preview_budget import PreviewBudget
from workers.measurement.prompts import read_prompts
from workers.media.animation import animation
from workers.models.catalogue import Catalogue


class WatchedBudget(PreviewBudget):
    """Notes what was spent."""

    spent: list[float]

    def begin(self) -> None:
        self.spent = []
        super().begin()

    def spend(self, seconds: float) -> None:
        self.spent.append(seconds)
        super().spend(seconds)


def main(
    model: Annotated[str, typer.Option(help="A model of models.toml whose file has colours.")] = "wan-tiny",
    prompts: PromptsFile = Path("demo/prompts/bench.txt"),
    limit: Annotated[int, typer.Option(help="How many of the prompts, one run each.", min=1)] = 4,
    sf: Annotated[int, typer.Option(help="Of every run.", min=2)] = 10,
    threads: ThreadsOption = 2,
    catalogue: CatalogueOption = Path("models.toml"),
) -> None:
    """Run generations as a worker does, and hold each one's previews against its denoising."""
    torch.set_num_threads(threads)
    models = Catalogue.read(catalogue)
    loaded = load_model(models.entry(model), models.family(model))
    animation(np.zeros((2, 8, 8, 3), np.uint8), 8, 8)  # as a worker does when it loads a model
    budget, sent = WatchedBudget(), list[bytes]()
    colours = LatentColours(loaded.latent_channels, loaded.colours)
    previews = Previews(colours, lambda _index, picture: sent.append(picture), budget)
    of_previews = of_steps = 0.0
    for number, prompt in enumerate(read_prompts(prompts, limit)):
        began = time.perf_counter()
        request = models.request(model, prompt.text, sf=sf, seed=number)
        seconds = generate(loaded, request, previews=previews).report.timings["denoise"]
        spent = sum(budget.spent)
        of_previews, of_steps = of_previews + spent, of_steps + seconds - spent
        typer.echo(
            f"run {number}: {len(budget.spent)} previews, {spent * 1000:.1f} ms of {seconds - spent:.2f} s of steps, "
            f"{spent / (seconds - spent):.2%}; {time.perf_counter() - began:.1f} s in all"
        )
    sizes = sorted(map(len, sent)) or [0]
    typer.echo(f"all: {of_previews / of_steps:.2%} of the steps' time; median size {sizes[len(sizes) // 2]} bytes")


if __name__ == "__main__":
    run_command("bench.preview_cost", main)
