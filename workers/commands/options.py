"""The options that several commands have."""

from pathlib import Path
from typing import Annotated, Any

import typer

from workers.models.entry import Method
from workers.process.settings import MOST_TORCH_THREADS, Settings

CatalogueOption = Annotated[
    Path | None, typer.Option("--catalogue", help="The TOML file; SCALINGCACHE_CATALOGUE by default.")
]
ModelOption = Annotated[str, typer.Option("--model", help="A model of the catalogue.")]
SourceOption = Annotated[
    str | None, typer.Option("--source", help="Another checkpoint for the model's entry: a folder, or a hub id.")
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        "--threads",
        help="CPU threads of torch; SCALINGCACHE_TORCH_THREADS by default.",
        min=1,
        max=MOST_TORCH_THREADS,
    ),
]
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


def settings(catalogue: Path | None, threads: int | None = None) -> Settings:
    """The settings that also workers and service read, with a command's own options over them.

    Raises `ConfigurationError`.
    """
    given: dict[str, Any] = {"catalogue": catalogue, "torch_threads": threads}
    return Settings(**{name: value for name, value in given.items() if value is not None})
