"""How far a rank has come in what all ranks do alike: a number that is the same for ranks at the same place."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed import distributed_c10d

#: The command that a rank works on, and how many layers and collectives it has begun since it got that.
Place = tuple[int, int]


@dataclass
class _Command:
    number: int
    before: int  # collectives
    layers: int = 0


class Progress:
    """One rank's, told by the thread that computes and read by another."""

    def __init__(self, device: torch.device | None = None) -> None:
        """device: the rank's."""
        self._command = _Command(-1, 0)
        # A host is far ahead of its GPU, and may then wait long for it: that GPU shows that the rank works.
        self._events: deque[torch.cuda.Event] | None = deque() if device is not None and device.type == "cuda" else None
        self._aside = 0
        self._signs = 0

    def begin(self, command: int) -> None:
        """A command has come."""
        self._command = _Command(command, _collectives())

    def layer(self, *_: Any) -> None:
        """A layer is about to be computed. Also a forward pre-hook."""
        self._command.layers += 1
        if self._events is not None:
            event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            event.record()
            self._events.append(event)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Inside, this rank does what the others do not, and they wait for as long as it takes."""
        self._aside += 1
        try:
            yield
        finally:
            self._aside -= 1

    @property
    def place(self) -> Place:
        """Where the rank is."""
        command = self._command
        return command.number, command.layers + _collectives() - command.before

    @property
    def signs(self) -> int:
        """Grows while the rank works although its place stays. For one thread to read."""
        self._signs += self._aside > 0
        # After a fault of its GPU whoever computes gets the error too; whoever watches has to go on.
        with suppress(RuntimeError):
            while self._events and self._events[0].query():  # type: ignore[no-untyped-call]
                self._events.popleft()
                self._signs += 1
        return self._signs


def _collectives() -> int:
    """How many this process has entered, in all its groups: torch numbers them."""
    if not dist.is_initialized():
        return 0
    return sum(_entered(group) for group in list(distributed_c10d._world.pg_map))


def _entered(group: Any) -> int:
    backends = {group._get_backend(device) for device in group._device_types}  # One may be that of several.
    return sum(backend._get_sequence_number_for_group() for backend in backends)
