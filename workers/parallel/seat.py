"""Where a process sits in its group, and where the group meets."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch.distributed import PrefixStore, Store, TCPStore  # type: ignore[attr-defined]  # it has no list of its names

#: How long the ranks of a group wait for each other at its start, in seconds.
START_SECONDS = 300.0


@dataclass(frozen=True)
class Seat:
    """One process of a group.

    rank: from 0, which leads; ranks: of all; local_rank: among those of this machine, and so the number of its GPU.
    host, port: where the group's store is; serves: whether this process is to serve it.
    prefix: of the store's keys, so that a group that is started again does not read what the last one wrote.
    """

    rank: int
    ranks: int
    local_rank: int
    host: str
    port: int
    serves: bool = False
    prefix: str = "group"

    def serve(self) -> TCPStore | None:
        """Start the group's store in this process, if it is to; it ends with what this returns."""
        if not self.serves:
            return None
        timeout = timedelta(seconds=START_SECONDS)
        return TCPStore(self.host, self.port, is_master=True, wait_for_workers=False, timeout=timeout)

    def device(self, first: str) -> torch.device:
        """This rank's: of the first and those that follow it, one for each rank on a machine; or the CPU."""
        device = torch.device(first)
        return device if device.type == "cpu" else torch.device(device.type, (device.index or 0) + self.local_rank)

    def store(self, seconds: float, part: str = "commands") -> Store:
        """A connection of its own to a part of the store; a call that takes longer than so many seconds raises."""
        timeout = timedelta(seconds=seconds)
        connected = TCPStore(self.host, self.port, is_master=False, timeout=timedelta(seconds=START_SECONDS))
        store = PrefixStore(f"{self.prefix}/{part}", connected)
        store.set_timeout(timeout)
        return store


def torchrun_seat(environment: Mapping[str, str] = os.environ) -> Seat | None:
    """The seat that torchrun has given this process; None where it was not started by it."""
    if "TORCHELASTIC_RUN_ID" not in environment:
        return None
    return Seat(
        rank=int(environment["RANK"]),
        ranks=int(environment["WORLD_SIZE"]),
        local_rank=int(environment["LOCAL_RANK"]),
        host=environment["MASTER_ADDR"],
        port=int(environment["MASTER_PORT"]),
        serves=environment["RANK"] == "0" and environment.get("TORCHELASTIC_USE_AGENT_STORE") != "True",
        prefix=f"group-{environment.get('TORCHELASTIC_RESTART_COUNT', '0')}",
    )
