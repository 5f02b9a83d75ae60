"""The process group of all ranks, and the small agreement at the end of each step."""

from collections.abc import Sequence
from datetime import timedelta

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from workers.jobs.errors import GroupFailed
from workers.parallel.seat import START_SECONDS, Seat

#: A rank that has not come to a collective for so long is not going to.
COLLECTIVE_SECONDS = 60.0
CFG, RING, ULYSSES = "cfg", "ring", "ulysses"


class World:
    """All ranks of a group. One of a process at a time, as torch has one default process group."""

    def __init__(self, seat: Seat, device: torch.device) -> None:
        """Meet the others; returns when all are there. device: this rank's. Raises what torch raises."""
        self.rank, self.ranks, self.device = seat.rank, seat.ranks, device
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
        everyone = [torch.empty_like(mine) for _ in range(self.ranks)]
        try:
            dist.all_gather(everyone, mine, group=self._control)
        except RuntimeError as error:
            raise GroupFailed("a rank of the group did not come to the end of a step") from error
        for rank, other in enumerate(everyone):
            if not torch.equal(other[1:], everyone[0][1:]):
                raise GroupFailed(f"rank {rank} is at {other[1:].tolist()}, rank 0 at {everyone[0][1:].tolist()}")
        return bool(everyone[0][0])

    def close(self) -> None:
        """Leave the group."""
        dist.destroy_process_group()
