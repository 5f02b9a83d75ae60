"""The plain alternative: the same pipeline with fewer denoising steps."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bench.rivals.rival import Knob, Rival, Run, around
from workers.engine.loaded import LoadedModel
from workers.jobs.job import GenerationRequest


class FewerSteps(Rival):
    """The stock pipeline with so many steps."""

    name = "fewer-steps"
    title = "fewer steps"
    knob = "steps"

    def settings(self, request: GenerationRequest) -> Sequence[Knob]:
        return around(request)

    def full(self, request: GenerationRequest) -> Knob:
        return request.steps

    @contextmanager
    def engaged(self, model: LoadedModel, request: GenerationRequest, setting: Knob) -> Iterator[Run]:
        steps = int(setting)
        yield Run.of(model, request.model_copy(update={"steps": steps, "sf": max(2, steps)}))


RIVALS: list[Rival] = [FewerSteps()]
