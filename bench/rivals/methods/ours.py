"""Our own method as the engine runs it, with each basis that a run's covariance may stand on.

Nothing of the blocks runs at a predicted step. The prior needs nothing of the model; one run is an uncached generation
of a calibration prompt, as any worker sees it pass by; measured are the files of the catalogue.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal

import workers.scalingcache
from bench.rivals.provenance import digest, sources
from bench.rivals.rival import Case, Knob, Refused, Rival, Run, around
from workers.caching import solver
from workers.engine import acceleration, covariance_session, knowledge
from workers.engine.generation import generate
from workers.engine.loaded import LoadedModel
from workers.engine.plan import RunPlan, plan_run
from workers.jobs.job import GenerationRequest
from workers.scalingcache.covariance import Covariance
from workers.scalingcache.measured import MeasuredCovariance

Basis = Literal["prior", "one run", "measured"]


LEAST = 3  # the first two and the last one


def counts(request: GenerationRequest) -> list[int]:
    """The numbers of full steps to compare at that a schedule can have."""
    return [count for count in around(request) if count >= LEAST]


class Ours(Rival):
    """basis: what is known of the model before a run."""

    knob = "full steps"

    def __init__(self, name: str, title: str, basis: Basis) -> None:
        self.name, self.title = name, title
        self._basis = basis
        self._shown: tuple[MeasuredCovariance, ...] = ()

    def settings(self, request: GenerationRequest) -> Sequence[Knob]:
        wanted = counts(request)
        # Runs add full steps where predictions are off: to be as fast as the fewest, it takes one fewer.
        return [*(count - 1 for count in wanted[:1] if count > LEAST), *wanted]

    def full(self, request: GenerationRequest) -> Knob:
        return request.steps

    def fit(self, model: LoadedModel, cases: Sequence[Case]) -> None:
        if self._basis == "one run":
            shown = generate(model, cases[0].request, image=cases[0].image).covariance
            assert shown is not None
            self._shown = (shown,)

    def identity(self, model: LoadedModel) -> str:
        return covariance_identity(model)

    @contextmanager
    def engaged(self, model: LoadedModel, request: GenerationRequest, setting: Knob) -> Iterator[Run]:
        known = model if self._basis == "measured" else replace(model, covariances=self._shown)
        asked = {"sf": 2, "full_steps": int(setting)} if int(setting) < request.steps else {}
        plan = plan_run(known, request.model_copy(update=asked))
        if self._basis != "prior":
            measured(known, plan)
        found = acceleration.accelerate(known, plan)
        if asked and found.session is None:
            raise Refused(str(found.reason))
        try:
            yield Run(model, plan, found.session)
        finally:
            if found.session is not None:
                found.session.close()


def measured(model: LoadedModel, plan: RunPlan) -> Covariance:
    """What the model's files say of such a run. Raises `Refused` where they say nothing."""
    known = knowledge.known_covariance(model.covariances, (), plan)
    if known is None:
        raise Refused(f"no covariance of {model.entry.name} holds for {plan.kind.shown()}")
    return known


def covariance_identity(model: LoadedModel) -> str:
    """Of the method and of what was measured for it on the model."""
    files = digest("".join(each.text() for each in model.covariances).encode())
    return f"{sources(workers.scalingcache, acceleration, covariance_session, knowledge, solver)}/{files}"


RIVALS: list[Rival] = [
    Ours("ours-prior", "ours, nothing measured", "prior"),
    Ours("ours-one-run", "ours, from one run", "one run"),
    Ours("ours-measured", "ours, measured", "measured"),
]
