"""One rival in one process: what a library patches does not always come off again.

Told on standard output as lines of JSON how far it is; what it found goes to a file.
"""

import json
import time
from pathlib import Path
from typing import Annotated

import torch
import typer

from bench.program import CatalogueOption, ThreadsOption, run_command
from bench.rivals.prompts import check_disjoint, fitting_cases, fitting_texts, held_out_cases, sweep_cases
from bench.rivals.records import Records
from bench.rivals.references import References
from bench.rivals.registry import chosen
from bench.rivals.rival import LEAST_STEPS
from bench.rivals.sweep import Bench, headline, sweep
from workers.engine.loaded import load_model
from workers.models.catalogue import Catalogue
from workers.models.entry import ModelEntry


def main(
    model: Annotated[str, typer.Option(help="A model of the catalogue.")],
    rival: Annotated[str, typer.Option(help="One of `bench.rivals.registry`.")],
    output: Annotated[Path, typer.Option(help="Where the result goes.")],
    work: Annotated[Path, typer.Option(help="The folder of finished measurements.")],
    catalogue: CatalogueOption = Path("models.toml"),
    prompts: Annotated[int, typer.Option(help="Of the sweep.", min=1)] = 8,
    steps: Annotated[
        int | None, typer.Option(help="Of every run; the model's default without.", min=LEAST_STEPS)
    ] = None,
    pairs: Annotated[int, typer.Option(help="Pairs of timed runs at a setting.", min=0)] = 5,
    held_out: Annotated[int, typer.Option(help="Prompts of the headline, in place of the sweep.", min=0)] = 0,
    seeds: Annotated[int, typer.Option(help="For each prompt of the headline.", min=1)] = 2,
    settings: Annotated[str, typer.Option(help="Of the headline, as JSON.")] = "[]",
    threads: ThreadsOption = 2,
) -> None:
    """Sweep one rival, or run its headline."""
    torch.set_num_threads(threads)
    (competitor,), known = chosen([rival]).values(), Catalogue.read(catalogue)
    cases = (
        held_out_cases(known, model, held_out, seeds, steps) if held_out else sweep_cases(known, model, prompts, steps)
    )
    check_disjoint(cases, fitting_texts())
    began = time.monotonic()

    def told(done: int, total: int) -> None:
        seconds = time.monotonic() - began
        print(json.dumps({"done": done, "total": total, "made": records.made, "seconds": seconds}), flush=True)

    loaded, records = load_model(of_both_methods(known.entry(model)), known.family(model)), Records(work)
    references = References(work.with_name("uncached"), loaded)
    bench = Bench(loaded, competitor, fitting_cases(known, model, steps), records, references)
    found = headline(bench, cases, json.loads(settings), told) if held_out else sweep(bench, cases, pairs, told)
    found.save(output)


def of_both_methods(entry: ModelEntry) -> ModelEntry:
    """The entry with the paper's coefficients, too, which lie beside its covariances where there are any."""
    beside = [Path(path).with_suffix(".paper.json") for path in entry.coefficients]
    both = (*entry.coefficients, *(str(path) for path in beside if path.exists()))
    return entry.model_copy(update={"method": "covariance", "coefficients": both})


if __name__ == "__main__":
    run_command("bench.rivals.process", main)
