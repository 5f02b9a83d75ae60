"""Where the full steps of a model with two experts belong, and what holds for its outputs.

`python -m bench.two_experts`, some minutes on a CPU.
The checkpoint is wan-tiny twice, the second expert with noise in its weights and a guidance of its own, since no small
one with two trained experts exists. All schedules of one basis have the same number of full steps.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Annotated
from unittest.mock import patch

import torch
import typer
from safetensors.torch import load_file, save_file

from bench.program import run_command
from workers.engine.generation import generate
from workers.engine.loaded import LoadedModel, load_model
from workers.engine.plan import plan_run
from workers.jobs.job import GenerationRequest
from workers.measurement.fidelity import psnr
from workers.models.catalogue import Catalogue
from workers.scalingcache import schedule
from workers.scalingcache.covariance import Array
from workers.scalingcache.measured import MeasuredCovariance

BOUNDARY, STEPS, SF = 0.875, 40, 10
CHANGED = {"steps": STEPS, "guidance_2": 3.0, "flow_shift": 5.0, "frames": 17, "width": 64, "height": 64}
Plan = Callable[..., tuple[int, ...]]


def save_experts(wan_tiny: Path, folder: Path, noise: float) -> None:
    """Write the checkpoint. noise: of the second expert's matrices, in their standard deviations."""
    shutil.copytree(wan_tiny, folder)
    shutil.copytree(folder / "transformer", folder / "transformer_2")
    file = folder / "transformer_2" / "diffusion_pytorch_model.safetensors"
    generator = torch.Generator().manual_seed(0)
    weights = load_file(file)
    for name, weight in weights.items():
        if weight.ndim > 1:
            moved = noise * weight.float().std() * torch.randn(weight.shape, generator=generator)
            weights[name] = (weight.float() + moved).to(weight.dtype)
    save_file(weights, file, metadata={"format": "pt"})
    index = json.loads((folder / "model_index.json").read_text())
    experts = {"transformer_2": index["transformer"], "boundary_ratio": BOUNDARY}
    (folder / "model_index.json").write_text(json.dumps(index | experts))


def with_full(wanted: tuple[int, ...], plan: Plan) -> Plan:
    """A schedule that computes these steps in full, each in place of the nearest full step that may move."""

    def planned(matrix: Array, count: int, opening: int, final: int = 1) -> tuple[int, ...]:
        steps = list(plan(matrix, count, opening, final))
        for step in wanted:
            if step not in steps:
                free = [each for each in steps if opening <= each < len(matrix) - final and each not in wanted]
                steps.remove(min(free, key=lambda each: abs(each - step)))
                steps.append(step)
        return tuple(sorted(steps))

    return planned


def of_each_expert(shown: MeasuredCovariance, handover: int) -> MeasuredCovariance:
    """The same without what it says of outputs of one expert beside those of the other."""
    matrix = shown.covariance.matrix.copy()
    matrix[:handover, handover:] = matrix[handover:, :handover] = 0.0
    return replace(shown, covariance=replace(shown.covariance, matrix=matrix))


def main(
    noise: Annotated[
        float, typer.Option(help="Of the second expert, in standard deviations of its weights.", min=0)
    ] = 0.1,
    limit: Annotated[int, typer.Option(help="Prompts of demo/prompts/bench.txt.", min=1)] = 8,
    runs: Annotated[
        int, typer.Option(help="Uncached runs of demo/prompts/calibration.txt to measure.", min=1, max=32)
    ] = 8,
) -> None:
    """Print the mean PSNR of each schedule against uncached runs, and its decisions for the first prompt."""
    catalogue = Catalogue.read(Path("models.toml"))
    with TemporaryDirectory() as temporary:
        folder = Path(temporary) / "experts"
        save_experts(Path(catalogue.entry("wan-tiny").source), folder, noise)
        defaults = catalogue.entry("wan-tiny").defaults.model_copy(update=CHANGED)
        catalogue = catalogue.changed("wan-tiny", source=str(folder), coefficients=(), defaults=defaults)
        model = load_model(catalogue.entry("wan-tiny"), catalogue.family("wan-tiny"))
    measured = enumerate(_prompts("calibration", runs), start=100)
    shown = [_shown(model, catalogue.request("wan-tiny", prompt, seed=seed)) for seed, prompt in measured]
    found: dict[str, list[tuple[float, str]]] = {}
    for seed, prompt in enumerate(_prompts("bench", limit)):
        request = catalogue.request("wan-tiny", prompt, seed=seed, sf=SF)
        handover = plan_run(model, request).segments[0]
        uncached = generate(model, request.uncached).frames
        plan = schedule.plan
        tried: dict[str, tuple[Plan, list[MeasuredCovariance]]] = {
            "as planned": (plan, []),
            "the second expert's first step in full": (with_full((handover,), plan), []),
            "its first two in full": (with_full((handover, handover + 1), plan), []),
            f"{runs} runs measured, one covariance": (plan, shown),
            f"{runs} runs measured, one of each expert": (plan, [of_each_expert(each, handover) for each in shown]),
        }
        for name, (each, observed) in tried.items():
            with patch.object(schedule, "plan", each):
                run = generate(model, request, observed=observed)
            found.setdefault(name, []).append((psnr(run.frames, uncached), run.report.decisions))
    for name, results in found.items():
        full = fmean(decisions.count("F") for _, decisions in results)
        typer.echo(f"{name}: {fmean(value for value, _ in results):.2f} dB, {full:.1f} full steps, {results[0][1]}")


def _prompts(file: str, count: int) -> list[str]:
    return Path(f"demo/prompts/{file}.txt").read_text().splitlines()[:count]


def _shown(model: LoadedModel, request: GenerationRequest) -> MeasuredCovariance:
    covariance = generate(model, request.uncached).covariance
    assert covariance is not None
    return covariance


if __name__ == "__main__":
    run_command("bench.two_experts", main)
