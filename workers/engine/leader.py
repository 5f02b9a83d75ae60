"""Rank 0 of a group: starts the others, tells them what to do, and ends all of it when one of them is lost."""

import atexit
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import structlog
import torch

from workers import logs
from workers.jobs.errors import GroupFailed, ModelLoadFailed
from workers.models.entry import ModelEntry
from workers.parallel.loss import Loss
from workers.parallel.progress import Progress
from workers.parallel.pulse import SILENT_SECONDS, Lost, Pulse
from workers.parallel.seat import Seat, torchrun_seat
from workers.parallel.world import World

log = structlog.get_logger()

#: Key of the store: the device that the entry names.
DEVICE = "device"
FOLLOWER = "workers.engine.follower"
#: How long reading a model may take beyond rank 0's own.
LOAD_SECONDS = 1800.0
#: How long the others may take to say how a run ended for them, after it failed here.
SETTLE_SECONDS = 10.0
#: A store's call that takes longer is one to a process that is gone or stopped.
STORE_SECONDS = SILENT_SECONDS


class Leader:
    """The group, as rank 0 has it. Whoever starts one ends it; it also ends with the process, however that ends."""

    def __init__(self, seat: Seat, device: str, local: list[subprocess.Popen[bytes]], served: object) -> None:
        self.seat, self._local, self._served = seat, local, served
        self._store = seat.store(STORE_SECONDS)
        self._commands = 0
        own = seat.device(device)
        others = range(1, seat.ranks)
        self._pulse = Pulse(seat.store(STORE_SECONDS), 0, others, Progress(own), self._lost, self._ended)
        self._pulse.start()
        try:
            self._store.set(DEVICE, device)
            self.world = World(seat, own, self._pulse)
            self._pulse.met()
        except BaseException:
            self._pulse.stop()  # The others are ended next, which it would take for a loss.
            raise
        atexit.register(self.end)

    @classmethod
    def start(cls, entry: ModelEntry) -> "Leader":
        """Start a group for an entry with `parallel`, or meet one that torchrun has started.

        Raises `ModelLoadFailed` where torchrun started another number of processes, and what torch raises.
        """
        assert entry.parallel is not None
        ranks = entry.parallel.ranks
        given = torchrun_seat()
        if given is not None and given.ranks != ranks:
            raise ModelLoadFailed(
                f"model {entry.name}: torchrun started {given.ranks} processes, and parallel needs {ranks}"
            )
        if given is not None and given.rank > 0:
            raise ModelLoadFailed(
                f"model {entry.name}: of the processes of torchrun only those of `run` compute together; start this "
                "command without torchrun"
            )
        if given is None:
            _check_devices(entry, ranks)
        seat = given or Seat(0, ranks, 0, "127.0.0.1", 0, serves=True)
        if (served := seat.serve()) is not None:
            seat = replace(seat, port=served.port)
        local = [] if given is not None else [_follower(seat, rank) for rank in range(1, ranks)]
        log.info("group starting", ranks=ranks, by="torchrun" if given is not None else "the worker")
        try:
            with seat.invited() as own:
                return cls(own, entry.device, local, served)
        except BaseException:
            _kill(local)
            raise

    @property
    def rank(self) -> int:
        """Of this process."""
        return 0

    def post(self, kind: str, **values: Any) -> int:
        """Give all others a command; its number is what they answer to."""
        number, self._commands = self._commands, self._commands + 1
        self._pulse.progress.begin(number)
        self._store.set(f"command/{number}", json.dumps({"kind": kind, **values}))
        if number > 1:  # All others were done with it when they took the last one.
            self._store.delete_key(f"command/{number - 2}")
        return number

    def patient(self) -> AbstractContextManager[None]:
        """Inside, the others wait long for this process: it reads a model, of the group or beside it."""
        return self._pulse.patient()

    def loaded(self, number: int, fingerprint: str) -> None:
        """All others have loaded what this one has. Raises `ModelLoadFailed` with what keeps one from it."""
        for rank, answer in enumerate(self._answers(number, LOAD_SECONDS), start=1):
            if answer is None:
                raise ModelLoadFailed(f"rank {rank} of the group took more than {LOAD_SECONDS:g} seconds longer")
            if answer.get("error"):
                raise ModelLoadFailed(f"rank {rank} of the group: {answer['message']}")
            if answer["fingerprint"] != fingerprint:
                raise ModelLoadFailed(f"rank {rank} of the group has other weights: {answer['fingerprint']}")

    def settle(self, number: int, error: BaseException) -> None:
        """After a run has failed here: return if it has failed in the same way everywhere.

        Raises `GroupFailed` where it has not: then the ranks wait for each other, and the group is of no more use.
        """
        if isinstance(error, GroupFailed) or not isinstance(error, Exception):
            return  # Ctrl-C ends this process, and the group with it.
        with self._pulse.progress.aside():
            answers = self._answers(number, SETTLE_SECONDS)
        if all(answer is not None and answer.get("error") == type(error).__name__ for answer in answers):
            self._store.set(f"settled/{number}", "")
            return
        message = f"rank 0 ended with {type(error).__name__}, and others of the group did not"
        raise GroupFailed(message, parted=True) from error

    def end(self) -> None:
        """End the others, and leave. Safe to call more than once."""
        atexit.unregister(self.end)
        self._pulse.stop()
        _kill(self._local)
        if torch.distributed.is_initialized():
            self.world.close()

    def _answers(self, number: int, seconds: float) -> list[dict[str, Any] | None]:
        """What each of the others has answered to a command, None where it does not within so many seconds."""
        deadline = time.monotonic() + seconds
        return [self._answer(f"answer/{number}/{rank}", deadline) for rank in range(1, self.seat.ranks)]

    def _answer(self, key: str, deadline: float) -> dict[str, Any] | None:
        while not self._store.check([key]):
            if time.monotonic() > deadline:
                return None
            time.sleep(0.02)
        answer: dict[str, Any] = json.loads(self._store.get(key))
        self._store.delete_key(key)
        return answer

    def _ended(self) -> Lost | None:
        for rank, process in enumerate(self._local, start=1):
            if (code := process.poll()) is not None:
                return Loss.ENDED, f"rank {rank} ended with code {code}"
        return None

    def _lost(self, loss: Loss, cause: str) -> None:
        """Nothing here can go on: the others wait in a collective for who is gone, and so does this process."""
        log.error("a rank of the group is lost", cause=cause)
        _kill(self._local)
        os._exit(loss)


def _check_devices(entry: ModelEntry, ranks: int) -> None:
    """Raise `ModelLoadFailed` where this machine has fewer GPUs than a group from the entry's device on needs."""
    first = torch.device(entry.device)
    if first.type == "cuda" and (first.index or 0) + ranks > (count := torch.cuda.device_count()):
        raise ModelLoadFailed(
            f"model {entry.name}: parallel needs {ranks} GPUs from {entry.device} on, and this machine has {count}"
        )


def _kill(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.kill()  # Also one that is stopped.
    for process in processes:
        process.wait()


def _follower(seat: Seat, rank: int) -> subprocess.Popen[bytes]:
    place = {"rank": rank, "ranks": seat.ranks, "host": seat.host, "port": seat.port}
    arguments = [f"--{name}={value}" for name, value in place.items()]
    arguments += [f"--leader={os.getpid()}", f"--threads={torch.get_num_threads()}"]
    arguments += [f"--log-format={logs.format_in_force()}"]
    # What it says goes to standard error: what rank 0 writes to standard output may be for a program.
    return subprocess.Popen([sys.executable, "-m", FOLLOWER, *arguments], stdin=subprocess.DEVNULL, stdout=2)
