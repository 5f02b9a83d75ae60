"""Models that several processes compute, beside what one process makes of them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from tests.workers.engine.variants import VARIANTS
from workers.engine.generation import SILENT, Generation, ProgressCallbacks, generate
from workers.engine.leader import Leader
from workers.engine.loaded import LoadedModel, load_model
from workers.jobs.job import GenerationRequest
from workers.models.catalogue import families
from workers.models.entry import ModelEntry, Parallel
from workers.scalingcache.measured import MeasuredCovariance


@dataclass
class Group:
    """A group whose rank 0 is this process. It starts with the first model that needs it, and again after its end."""

    folder: Path
    leader: Leader | None = None
    _saved: dict[str, Path] = field(default_factory=dict)

    def entry(self, variant: str, **changes: Any) -> ModelEntry:
        """A checkpoint with random weights; another one for each variant and change, as names are a model's own."""
        if variant not in self._saved:
            self._saved[variant] = self.folder / f"checkpoint-{len(self._saved)}"
            VARIANTS[variant].save(self._saved[variant])
        name = "-".join([*variant.split(), *(f"{field}-{value}" for field, value in changes.items())])
        return VARIANTS[variant].entry(self._saved[variant]).model_copy(update={"name": name})

    def load(self, variant: str, degrees: dict[str, int], **changes: Any) -> LoadedModel:
        entry = self.entry(variant, **degrees).model_copy(update={"parallel": Parallel(**degrees), **changes})
        if self.leader is None:
            self.leader = Leader.start(entry)
        return load_model(entry, families()[entry.family], leader=self.leader)

    def end(self) -> None:
        if self.leader is not None:
            self.leader.end()
        self.leader = None

    def alone(self, variant: str, **changes: Any) -> LoadedModel:
        """The same checkpoint in this process."""
        entry = self.entry(variant).model_copy(update=changes)
        return load_model(entry, families()[entry.family])


@contextmanager
def group(folder: Path) -> Iterator[Group]:
    started = Group(folder)
    try:
        yield started
    finally:
        started.end()


def request_of(variant: str, model: LoadedModel, **changes: Any) -> GenerationRequest:
    return VARIANTS[variant].request(model, **changes)


def run(
    variant: str,
    model: LoadedModel,
    callbacks: ProgressCallbacks = SILENT,
    observed: Sequence[MeasuredCovariance] = (),
    **changes: Any,
) -> tuple[Tensor, Generation]:
    """A generation, and the latents that the decoder got."""
    decode, seen = model.pipeline.vae.decode, list[Tensor]()

    def decoding(latents: Tensor, *args: Any, **kwargs: Any) -> Any:
        seen.append(latents.clone())
        return decode(latents, *args, **kwargs)

    model.pipeline.vae.decode = decoding
    try:
        request = request_of(variant, model, **changes)
        generation = generate(model, request, callbacks, VARIANTS[variant].picture, observed)
    finally:
        del model.pipeline.vae.decode
    return seen[-1], generation
