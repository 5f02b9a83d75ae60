"""What a rival is: a way to run a request with fewer multiply-adds, and the knob that says how many fewer."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from PIL.Image import Image

from workers.caching.transformer import CacheMethod
from workers.engine.loaded import LoadedModel
from workers.engine.paper_session import BlocksAttachment
from workers.engine.plan import RunPlan, plan_run
from workers.engine.session import Attachment
from workers.jobs.job import LEAST_SF, GenerationRequest

Knob = int | float | str

LEAST_STEPS = LEAST_SF + 2
"""Of a run in which something can be predicted."""
SPEEDUPS = (1.5, 2.0, 2.5, 3.0, 4.0, 6.0)
"""At which everything is compared: an uncached run's multiply-adds over the rival's."""


class Refused(Exception):
    """The rival does not serve this model; the message says why."""


@dataclass(frozen=True)
class Case:
    """One generation: a request that runs uncached, and the picture that it starts from, if any."""

    request: GenerationRequest
    image: Image | None = None


@dataclass(frozen=True)
class Run:
    """What the engine is given. `attachment` is None where the rival has put itself onto the pipeline."""

    model: LoadedModel
    plan: RunPlan
    attachment: Attachment | None = None

    @classmethod
    def of(cls, model: LoadedModel, request: GenerationRequest, method: CacheMethod | None = None) -> Self:
        """A run of a request, with a cache method around its blocks if there is one."""
        return cls(model, plan_run(model, request), None if method is None else BlocksAttachment(method))


class Rival(ABC):
    """One rival with all but one of its settings fixed.

    name: of files and on the command line. title: in tables. knob: what is swept, in words.
    library: whether the code is a library's; what such code raises on a model is how it refuses the model.
    scouted: whether the cost of a setting is only known once it was run. Of such a rival's settings those are swept
        that lie around the speedups to compare at.
    """

    name: str
    title: str
    knob: str
    library: ClassVar[bool] = False
    scouted: ClassVar[bool] = False

    @abstractmethod
    def settings(self, request: GenerationRequest) -> Sequence[Knob]:
        """The values of the knob to sweep."""

    @abstractmethod
    def full(self, request: GenerationRequest) -> Knob:
        """The value at which every step is computed in full."""

    def fit(self, model: LoadedModel, cases: Sequence[Case]) -> None:  # noqa: B027  # most have nothing to fit
        """Measure what the rival needs to know of the model, on cases that are never compared."""

    def identity(self, model: LoadedModel) -> str:
        """What results depend on beside the request, the setting and the rival's own source."""
        return ""

    @abstractmethod
    def engaged(self, model: LoadedModel, request: GenerationRequest, setting: Knob) -> AbstractContextManager[Run]:
        """Inside, the run goes the rival's way; outside, the model is as it was. Raises `Refused`."""


class MethodRival(Rival):
    """A rival in the project's own protocol, which the engine attaches by itself."""

    @abstractmethod
    def method(self, model: LoadedModel, request: GenerationRequest, setting: Knob) -> CacheMethod:
        """A fresh method for one run. Raises `Refused`."""

    @contextmanager
    def engaged(self, model: LoadedModel, request: GenerationRequest, setting: Knob) -> Iterator[Run]:
        yield Run.of(model, request, self.method(model, request, setting))


def only_transformer(model: LoadedModel) -> Any:
    """The model's transformer. Raises `Refused` for a model with experts, which the rivals do not speak of."""
    transformers = model.family.transformers(model.pipeline)
    if len(transformers) > 1:
        raise Refused(f"{model.entry.name} has {len(transformers)} experts that take turns")
    return transformers[0]


def last_block(model: LoadedModel) -> int:
    """The index of the block whose output alone reaches the transformer's."""
    return len(model.family.layout().blocks(only_transformer(model))) - 1


def around(request: GenerationRequest) -> list[int]:
    """The numbers of full steps around the speedups to compare at, rising; those that are possible."""
    counts = {math.ceil(request.steps / speedup) for speedup in SPEEDUPS}
    counts.add(math.floor(request.steps / max(SPEEDUPS)))
    return sorted(count for count in counts if 2 <= count < request.steps)
