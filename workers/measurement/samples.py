"""Generations without service, queue or Redis: files, and contact sheets of several sf side by side."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from workers.engine.generation import Generation, ProgressCallbacks, generate
from workers.engine.loaded import LoadedModel
from workers.jobs.job import GenerationRequest
from workers.measurement.contact_sheet import save_contact_sheet
from workers.measurement.fidelity import Video
from workers.measurement.prompts import Prompt
from workers.media.formats import FORMATS


@dataclass(frozen=True)
class Written:
    """One generation that lies in a file."""

    request: GenerationRequest
    generation: Generation
    path: Path


def generate_files(
    model: LoadedModel,
    prompts: Sequence[Prompt],
    groups: Sequence[Sequence[GenerationRequest]],
    output: Path,
    step_done: Callable[[], None],
) -> Iterator[Written]:
    """Run groups of requests, one for each prompt, that differ in sf alone, and say what was written as it is.

    output: the file, when there is one request; else a folder, which gets a file for each request and, for a group of
        several, a contact sheet with a row for each.
    """
    format = FORMATS[model.family.media]
    several = len(groups) > 1 or len(groups[0]) > 1
    callbacks = ProgressCallbacks(step=lambda *_: step_done())
    for number, (prompt, group) in enumerate(zip(prompts, groups, strict=True)):
        shown: dict[str, Video] = {}
        for request in group:
            generation = generate(model, request, callbacks, prompt.picture(request))
            path = output / f"{number:03d}-sf{request.sf}{format.suffix}" if several else output
            path.parent.mkdir(parents=True, exist_ok=True)
            format.write(path, generation.frames, request.fps)
            shown[f"sf={request.sf}: {request.prompt}"] = generation.frames
            yield Written(request, generation, path)
        if len(group) > 1:
            save_contact_sheet(output / f"{number:03d}-side-by-side.png", shown)
