"""One rank's share of a model that several compute: how a run of it begins, goes on and ends together."""

import base64
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field

import torch
from PIL.Image import Image
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh

from workers.engine.leader import Leader
from workers.engine.session import Attachment, Shareable
from workers.jobs.errors import ModelLoadFailed, UnsupportedPipeline
from workers.jobs.job import GenerationRequest, Stage, StepKind
from workers.models.entry import ModelEntry
from workers.models.family import Family
from workers.parallel.guidance import one_stream_each
from workers.parallel.sequence import complaint, split
from workers.parallel.world import CFG, RING, ULYSSES, World
from workers.scalingcache.paper.shard import Shard

#: The stages that all ranks begin; the last of them, and what follows, is rank 0's alone.
_STAGES: tuple[Stage, ...] = ("encode_prompt", "denoise", "decode")

Callbacks = tuple[Callable[[Stage], None], Callable[[int, StepKind, float], None]]


class RunEnded(Exception):
    """What ends a run on the ranks that follow: all steps are over, or rank 0 gives it up."""


@dataclass(frozen=True)
class Share:
    """mesh: the ranks by what they share of this model. leader: the group, on rank 0; None on the others.

    compiled: whether a run may compile the model, which takes one rank longer than another. known: for which runs that
        is done.
    """

    world: World
    mesh: DeviceMesh
    leader: Leader | None
    compiled: bool = False
    known: set[tuple[int | bool, ...]] = field(default_factory=set)

    def split(self, family: Family, transformers: Sequence[nn.Module]) -> None:
        """Have the transformers compute this rank's tokens. Raises `ValueError` where they cannot be split so."""
        ring, ulysses = self.mesh[RING].size(), self.mesh[ULYSSES].size()
        if ring * ulysses == 1:
            return
        plan = family.sequence_plan()
        for transformer in transformers:
            heads = int(getattr(transformer, "config", {})["num_attention_heads"])
            if (unfit := complaint(heads, ulysses, ring, plan)) is not None:
                raise ValueError(f"parallel: {unfit}")
            assert plan is not None
            split(transformer, plan, self.mesh)

    @contextmanager
    def watched(self, family: Family, transformers: Sequence[nn.Module]) -> Iterator[None]:
        """Inside, each block of the transformers that is computed is a sign that this rank goes on."""
        with ExitStack() as undo:
            for transformer in transformers:
                for block in family.layout().blocks(transformer):
                    if block._compiled_call_impl is None:  # A hook would be compiled with it.
                        undo.callback(block.register_forward_pre_hook(self.world.progress.layer).remove)
            yield

    def streams(self, transformers: Sequence[nn.Module], guided: bool) -> AbstractContextManager[None]:
        """Inside, this rank computes its stream alone, where a run has two and ranks for both."""
        if not guided or self.mesh[CFG].size() == 1:
            return nullcontext()
        return one_stream_each(transformers, self.mesh[CFG].get_group())

    def shard(self, guided: bool) -> Shard:
        """Of a run that the paper's method predicts: what it sees of a full step is put together by one exchange."""
        count, two = self.mesh[RING].size() * self.mesh[ULYSSES].size(), guided and self.mesh[CFG].size() == 2

        def together(sums: Tensor) -> Tensor:
            # By ranks: half of them, and in each half a part of the tokens.
            everyone = torch.stack(self.world.gathered(sums))
            halves = everyone.reshape(-1, count, *sums.shape).sum(dim=1)
            return halves.flatten(0, 1) if two else halves[0]

        return Shard(self.world.rank % count, count, together)

    def _compiling(self, request: GenerationRequest) -> AbstractContextManager[None]:
        """Inside, the others wait long for this rank, where a run may compile: of two transformers the second in its
        middle."""
        waits = self.compiled and _shape(request) not in self.known
        return self.world.patient() if waits else nullcontext()

    @contextmanager
    def together(
        self, request: GenerationRequest, attachment: Attachment | None, image: Image | None, callbacks: Callbacks
    ) -> Iterator[Callbacks]:
        """Inside, a run goes on with the callbacks that this gives, as long as rank 0's own do not raise.

        They make sure that every rank is at the same step and takes the same decision; the others of rank 0 have been
        told of the run. Raises `GroupFailed` where they are not, `RunEnded` on the ranks that follow.
        """
        if not isinstance(attachment, Shareable | None):
            raise UnsupportedPipeline(
                "what watches blocks needs all their tokens, and each GPU has a part: measure without parallel; the "
                "coefficients hold for several GPUs, too"
            )
        leader = self.leader
        number = -1 if leader is None else leader.post("run", **_told(request, attachment, image))
        over = False

        def agreed(go: Callable[[], None], *state: int) -> None:
            nonlocal over
            try:
                with self.world.progress.aside():
                    go()
            except BaseException:
                over = True
                self.world.agree(False, state)
                raise
            if not self.world.agree(True, state):
                raise RunEnded

        def stage(name: Stage) -> None:
            nonlocal over
            if name not in _STAGES:
                callbacks[0](name)
                return
            agreed(lambda: callbacks[0](name), _STAGES.index(name), 0, 0)
            if name == "decode":
                over = True
                self.known.add(_shape(request))
                if leader is None:
                    raise RunEnded

        def step(index: int, kind: StepKind, seconds: float) -> None:
            following = attachment is None or attachment.full
            agreed(lambda: callbacks[1](index, kind, seconds), index, kind == "full", following)

        with self._compiling(request):
            try:
                yield stage, step
            except BaseException as error:
                if leader is not None and not over:
                    leader.settle(number, error)
                raise


def joined(leader: Leader, entry: ModelEntry) -> tuple[Share, int]:
    """Tell the others to load an entry; rank 0's share of it, and the number of what they were told.

    Raises `ModelLoadFailed` where the group has another number of ranks.
    """
    assert entry.parallel is not None
    if entry.parallel.ranks != leader.seat.ranks:
        raise ModelLoadFailed(
            f"parallel needs {entry.parallel.ranks} processes, and the group of this worker has {leader.seat.ranks}; "
            "serve it by a worker of its own"
        )
    number = leader.post("load", entry=entry.model_dump(mode="json"))
    return share_of(leader.world, entry, leader), number


def share_of(world: World, entry: ModelEntry, leader: Leader | None = None) -> Share:
    """A rank's share of an entry. A collective of all ranks."""
    assert entry.parallel is not None
    mesh = world.mesh(entry.parallel.cfg, entry.parallel.ring, entry.parallel.ulysses)
    return Share(world, mesh, leader, entry.compile)


def _shape(request: GenerationRequest) -> tuple[int | bool, ...]:
    """What runs have in common that call the same transformers with the same shapes."""
    return request.width, request.height, request.frames, request.steps, request.sf, request.guidance > 1


def _told(request: GenerationRequest, attachment: Shareable | None, image: Image | None) -> dict[str, object]:
    """What the other ranks need to do the same."""
    return {
        "request": request.model_dump(mode="json"),
        "session": None if attachment is None else attachment.recipe,
        "image": None if image is None else _png(image),
    }


def _png(image: Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()
