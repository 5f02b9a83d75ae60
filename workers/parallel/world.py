"""The process group of all ranks, and the small agreement at the end of each step."""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from workers.jobs.errors import GroupFailed
from workers.parallel.progress import Progress
from workers.parallel.pulse import LOADING_SECONDS, Pulse
from workers.parallel.seat import START_SECONDS, Seat

#: A rank that has not come to a collective for so long is not going to; the pulse says sooner which one it is.
COLLECTIVE_SECONDS = LOADING_SECONDS + 30.0
CFG, RING, ULYSSES = "cfg", "ring", "ulysses"


class World:
    """All ranks of a group. One of a process at a time, as torch has one default process group."""

    def __init__(self, seat: Seat, device: torch.device, pulse: Pulse | None = None) -> None:
        """Meet the others; returns when all are there. device: this rank's. Raises what torch raises.

        pulse: by which the ranks watch each other, if they do.
        """
        self.rank, self.ranks, self.device, self._pulse = seat.rank, seat.ranks, device, pulse
        self.progress = Progress(device) if pulse is None else pulse.progress
        #: How long this rank has waited for others in `gathered` so far, and so in `agree`.
        self.waited_seconds = 0.0
        if device.type == "cuda":
            torch.cuda.set_device(device)
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo",
            store=seat.store(START_SECONDS, "collectives"),
            rank=seat.rank,
            world_size=seat.ranks,
            timeout=timedelta(seconds=COLLECTIVE_SECONDS),
        )
        # On the CPU: an agreement must not wait for what the device still computes, nor the device for it.
        self._control = dist.new_group(backend="gloo", timeout=timedelta(seconds=COLLECTIVE_SECONDS))

    def mesh(self, cfg: int, ring: int, ulysses: int) -> DeviceMesh:
        """The ranks by what they share. A collective: every rank has to call it, with the same degrees."""
        return init_device_mesh(self.device.type, (cfg, ring, ulysses), mesh_dim_names=(CFG, RING, ULYSSES))

    def agree(self, go: bool, state: Sequence[int]) -> bool:
        """Whether rank 0 goes on. state: what has to be the same on every rank.

        Raises `GroupFailed`, on every rank, where it is not, and where a rank does not come.
        """
        mine = torch.tensor([int(go), *state], dtype=torch.int64)
        everyone = self.gathered(mine)
        for rank, other in enumerate(everyone):
            if not torch.equal(other[1:], everyone[0][1:]):
                places = f"rank {rank} is at {other[1:].tolist()}, rank 0 at {everyone[0][1:].tolist()}"
                raise GroupFailed(places, parted=True)
        return bool(everyone[0][0])

    def gathered(self, mine: Tensor) -> list[Tensor]:
        """What each rank has in the place of a small tensor on the CPU. Raises `GroupFailed` if one does not come."""
        everyone, began = [torch.empty_like(mine) for _ in range(self.ranks)], time.perf_counter()
        try:
            dist.all_gather(everyone, mine, group=self._control)
        except RuntimeError as error:
            if self._pulse is not None:
                self._pulse.find()
            raise GroupFailed("a rank of the group did not come to the end of a step") from error
        self.waited_seconds += time.perf_counter() - began
        return everyone

    def patient(self) -> AbstractContextManager[None]:
        """Inside, the others wait long for this rank."""
        return nullcontext() if self._pulse is None else self._pulse.patient()

    def close(self) -> None:
        """Leave the group."""
        dist.destroy_process_group()
