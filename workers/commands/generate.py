"""`python -m workers generate`: one prompt or many, without service, queue or Redis."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from workers.commands.console import console, interruptible, progress, status, use_threads
from workers.commands.options import (
    CatalogueOption,
    MethodOption,
    ModelOption,
    SourceOption,
    StepsOption,
    ThreadsOption,
    UncalibratedOption,
    settings,
)
from workers.jobs.errors import InvalidRequest
from workers.jobs.job import GenerationRequest
from workers.measurement.prompts import Prompt, read_prompts
from workers.media.provenance import Embedded
from workers.models.catalogue import Catalogue
from workers.models.wishes import check_reached, frames_of, knob


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
    target_speedup: Annotated[
        float | None, typer.Option(help="Instead of --sf: how many times faster, by steps.", min=1)
    ] = None,
    steps: StepsOption = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same video; random by default.")] = None,
    width: Annotated[int | None, typer.Option(help="Pixels.")] = None,
    height: Annotated[int | None, typer.Option(help="Pixels.")] = None,
    frames: Annotated[int | None, typer.Option(help="Number of frames.")] = None,
    seconds: Annotated[float | None, typer.Option(help="Instead of --frames: the length.")] = None,
    fps: Annotated[int | None, typer.Option(help="Frames per second.")] = None,
    guidance: Annotated[float | None, typer.Option(help="Guidance scale; 1 runs without guidance.")] = None,
    guidance_2: Annotated[float | None, typer.Option("--guidance-2", help="Of the second of two experts.")] = None,
    true_cfg_scale: Annotated[
        float | None, typer.Option(help="Classifier-free guidance of models whose guidance is an input; doubles time.")
    ] = None,
    flow_shift: Annotated[float | None, typer.Option(help="Shift of the noise schedule.")] = None,
    negative_prompt: Annotated[str | None, typer.Option(help="What the video does not show.")] = None,
    truncate_prompt: Annotated[
        bool, typer.Option(help="Cut a prompt where the text encoder ends to read; else such a prompt is refused.")
    ] = True,
    basis_runs: Annotated[
        int | None, typer.Option(help="How many of the measured runs predictions rest on; all by default.")
    ] = None,
    embed: Annotated[
        bool, typer.Option(help="Have files say how they were made, as SCALINGCACHE_EMBEDDED says; else nothing.")
    ] = True,
    method: MethodOption = None,
    allow_uncalibrated: UncalibratedOption = False,
    source: SourceOption = None,
    catalogue: CatalogueOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Generate one prompt or a file of them, each with one or several sf, and say what each run was like."""
    if (prompt is None) == (prompts is None):
        raise InvalidRequest("prompt", "give either --prompt or --prompts")
    if image is not None and prompt is None:
        raise InvalidRequest("image", "--image needs --prompt; in a file of prompts an image comes after a tab")
    texts = [Prompt(prompt, image=image)] if prompt is not None else read_prompts(prompts or Path())
    values = settings(catalogue, threads)
    models = values.whole_catalogue().changed(model, source=source, method=method)
    wanted = {
        "steps": steps, "seed": seed, "width": width, "height": height, "frames": frames, "fps": fps,
        "guidance": guidance, "guidance_2": guidance_2, "true_cfg_scale": true_cfg_scale, "flow_shift": flow_shift,
        "negative_prompt": negative_prompt, "truncate_prompt": truncate_prompt, "basis_runs": basis_runs,
        "allow_uncalibrated": allow_uncalibrated,
    }  # fmt: skip
    kinds = {each.image is not None for each in texts}  # What is measured holds for one; no other prompt differs.
    wishes = {kind: _wishes(models, model, target_speedup, seconds, sf, wanted, from_image=kind) for kind in kinds}
    groups = [
        _side_by_side(models, model, each, sf or [None], wanted | wishes[each.image is not None]) for each in texts
    ]
    if target_speedup is not None:
        for request in {group[0].input_reference is not None: group[0] for group in groups}.values():
            check_reached(request, target_speedup, models.entry(model), models)
    use_threads(values.torch_threads)
    _generate(models, model, texts, groups, output, values.embedded if embed else "none")


def _generate(
    models: Catalogue,
    model: str,
    texts: list[Prompt],
    groups: list[list[GenerationRequest]],
    output: Path,
    embedded: Embedded,
) -> None:
    written: list[Path] = []
    with interruptible(lambda: _kept(written, sum(map(len, groups)))):
        from workers.engine.loaded import load_model
        from workers.measurement import tables
        from workers.measurement.samples import generate_files

        with status(f"loading {model}"):
            loaded = load_model(models.entry(model), models.family(model))
        with progress() as bar:
            task = bar.add_task("denoise", total=sum(r.steps for group in groups for r in group))
            for done in generate_files(loaded, texts, groups, output, lambda: bar.advance(task), embedded):
                written.append(done.path)
                console.print(tables.of_report(done.report, done.request))
                console.print(f"wrote {done.path}", soft_wrap=True)


def _kept(written: list[Path], wanted: int) -> str:
    where = f", the last one is {written[-1]}" if written else ""
    return f"{len(written)} of {wanted} files are written{where}; the same command starts from the first again"


def _wishes(
    models: Catalogue,
    model: str,
    speedup: float | None,
    seconds: float | None,
    sf: list[int] | None,
    wanted: Mapping[str, Any],
    *,
    from_image: bool,
) -> dict[str, int]:
    """The fields that follow from a length and a speedup, as the service has them follow."""
    entry, found = models.entry(model), {}
    if seconds is not None:
        if wanted["frames"] is not None:
            raise InvalidRequest("seconds", "--seconds and --frames: set only one of them")
        found["frames"] = frames_of(seconds, wanted["fps"] or entry.defaults.fps, entry, models)
    if speedup is not None:
        if sf:
            raise InvalidRequest("target_speedup", "--target-speedup and --sf: set only one of them")
        steps = wanted["steps"] or entry.defaults.steps
        found |= knob(speedup, steps, entry, models, from_image=from_image)
    return found


def _side_by_side(
    models: Catalogue, model: str, prompt: Prompt, sf: list[int] | list[None], wanted: Mapping[str, Any]
) -> list[GenerationRequest]:
    """Requests that differ in sf alone: also a seed that is drawn is the same for all."""
    values = {**wanted, "input_reference": prompt.reference}
    first = models.request(model, prompt.text, **values | _sf(sf[0]))
    return [models.request(model, prompt.text, **values | {"seed": first.seed} | _sf(each)) for each in sf]


def _sf(sf: int | None) -> dict[str, int]:
    return {} if sf is None else {"sf": sf}
