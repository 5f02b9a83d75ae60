"""Where a process sits in its group, and where the group meets."""

import os
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

import torch
from torch.distributed import PrefixStore, Store, TCPStore  # type: ignore[attr-defined]  # it has no list of its names

#: How long the ranks of a group wait for each other at its start, in seconds.
START_SECONDS = 300.0
POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Seat:
    """One process of a group.

    rank: from 0, which leads; ranks: of all; local_rank: among those of this machine, and so the number of its GPU.
    host, port: where the group's store is; serves: whether this process is to serve it.
    prefix: of the store's keys. shared: whether the store outlives the group, so that what an earlier one wrote may
        still be there; then the ranks agree on a prefix of this group alone (`invited`, `joined`).
    """

    rank: int
    ranks: int
    local_rank: int
    host: str
    port: int
    serves: bool = False
    prefix: str = "group"
    shared: bool = False

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

    @contextmanager
    def invited(self) -> Iterator["Seat"]:
        """Rank 0's seat in this group. Inside, whoever calls `joined` gets the same prefix."""
        if not self.shared:
            yield self
            return
        seat, over = replace(self, prefix=f"group-{secrets.token_hex(8)}", shared=False), threading.Event()
        store = self.store(START_SECONDS, "door")
        greeter = threading.Thread(target=self._greet, args=(store, seat.prefix, over), name="door", daemon=True)
        greeter.start()
        try:
            yield seat
        finally:
            over.set()
            greeter.join()

    def _greet(self, store: Store, prefix: str, over: threading.Event) -> None:
        """Answer every knock, as one may be a dead process's, and that of the living one comes later."""
        answered: dict[int, bytes] = {}
        while not over.wait(POLL_SECONDS):
            for rank in range(1, self.ranks):
                if store.check([f"knock/{rank}"]) and (knock := store.get(f"knock/{rank}")) != answered.get(rank):
                    store.set(f"answer/{knock.decode()}", prefix)
                    answered[rank] = knock

    def joined(self) -> "Seat":
        """The seat of another rank in the group that rank 0 invites to. Raises `TimeoutError` where it does not."""
        if not self.shared:
            return self
        store, knock = self.store(START_SECONDS, "door"), secrets.token_hex(8)
        store.set(f"knock/{self.rank}", knock)
        deadline = time.monotonic() + START_SECONDS
        while not store.check([f"answer/{knock}"]):
            if time.monotonic() > deadline:
                raise TimeoutError(f"rank 0 of the group has not come within {START_SECONDS:g} seconds")
            time.sleep(POLL_SECONDS)
        return replace(self, prefix=store.get(f"answer/{knock}").decode(), shared=False)


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
        shared=True,
    )
