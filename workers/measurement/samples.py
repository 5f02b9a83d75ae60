"""Generations without service, queue or Redis: files, and contact sheets of several sf side by side."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from workers.engine.generation import Generation, ProgressCallbacks, generate
from workers.engine.in_force import prompt_tokens, without_effect
from workers.engine.loaded import LoadedModel
from workers.files import replacing
from workers.jobs.job import GenerationRequest, RunReport
from workers.measurement.contact_sheet import Row, compared, save_contact_sheet
from workers.measurement.fidelity import psnr
from workers.measurement.prompts import Prompt
from workers.media.formats import FORMATS
from workers.media.provenance import Embedded, comment_of


@dataclass(frozen=True)
class Written:
    """One generation that lies in a file."""

    request: GenerationRequest
    report: RunReport
    path: Path


def generate_files(
    model: LoadedModel,
    prompts: Sequence[Prompt],
    groups: Sequence[Sequence[GenerationRequest]],
    output: Path,
    step_done: Callable[[], None],
    embedded: Embedded = "settings",
) -> Iterator[Written]:
    """Run groups of requests, one for each prompt, that differ in sf alone, and say what was written as it is.

    output: the file, when there is one request; else a folder, which gets a file for each request and, for a group of
        several, a contact sheet with a row for each, the largest sf first, and how the others differ from it.
    embedded: what the files say of how they were made.
    """
    format = FORMATS[model.family.media]
    several = len(groups) > 1 or len(groups[0]) > 1
    callbacks = ProgressCallbacks(step=lambda *_: step_done())
    for number, (prompt, group) in enumerate(zip(prompts, groups, strict=True)):
        rows: list[Row] = []
        for request in sorted(group, key=lambda each: -each.sf):
            used = {"prompt_tokens": prompt_tokens(model, request), "no_effect": without_effect(model, request)}
            generation = generate(model, request, callbacks, prompt.picture(request))
            path = output / f"{number:03d}-sf{request.sf}{format.suffix}" if several else output
            comment = comment_of(request, generation.report, embedded)
            with replacing(path) as partial:
                format.write(partial, generation.frames, request.fps, comment)
            rows.append(Row(_title(request, generation, rows), generation.frames))
            yield Written(request, generation.report.model_copy(update=used), path)
        if len(group) > 1:
            save_contact_sheet(output / f"{number:03d}-side-by-side.png", prompt.text, compared(rows))


def _title(request: GenerationRequest, generation: Generation, before: Sequence[Row]) -> str:
    report = generation.report
    steps = f"{report.full_steps} of {request.steps} steps in full, {report.timings['denoise']:.2f} s"
    fidelity = f", {psnr(generation.frames, before[0].video):.1f} dB" if before else ""
    return f"sf={request.sf}: {steps}{fidelity}"
