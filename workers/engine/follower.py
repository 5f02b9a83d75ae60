"""The other ranks of a group, each a process of its own: they do what rank 0 tells them, until it ends.

What runs a model is imported with the first of them: before, a group meets, which takes no more than torch.
"""

import argparse
import base64
import io
import json
import os
import signal
import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, get_args

import structlog
import torch

from workers import logs
from workers.configuration import LogFormat
from workers.engine.leader import DEVICE, STORE_SECONDS
from workers.models.entry import ModelEntry
from workers.parallel.loss import Loss
from workers.parallel.progress import Progress
from workers.parallel.pulse import Pulse
from workers.parallel.seat import START_SECONDS, Seat, torchrun_seat
from workers.parallel.world import World

if TYPE_CHECKING:
    from workers.engine.loaded import LoadedModel

log = structlog.get_logger()

#: How long to wait for rank 0's word after a run has failed here alone.
SETTLE_SECONDS = 15.0
#: How often to look for rank 0's word.
POLL_SECONDS = 0.02
PARENT_SECONDS = 0.5


class Follower:
    """One rank that is not 0."""

    def __init__(self, seat: Seat, leader_pid: int | None) -> None:
        """leader_pid: of rank 0, where it is on this machine and started this process."""
        self._seat, self._leader_pid = seat, leader_pid
        self._store = seat.store(START_SECONDS)
        device = seat.device(self._store.get(DEVICE).decode())
        self._store.set_timeout(timedelta(seconds=STORE_SECONDS))
        self._pulse = Pulse(seat.store(STORE_SECONDS), seat.rank, [0], Progress(device), self._lost)
        self._pulse.start()
        self._world = World(seat, device, self._pulse)
        self._pulse.met()
        self._models: dict[str, LoadedModel] = {}

    def follow(self) -> None:
        """Do one command after the other. Returns never; the process ends with rank 0."""
        number = 0
        while True:
            command = json.loads(self._told(f"command/{number}"))
            self._pulse.progress.begin(number)
            if command["kind"] == "load":
                with self._pulse.patient():
                    self._load(number, command)
            else:
                self._run(number, command)
            number += 1

    def _told(self, key: str) -> bytes:
        while not self._store.check([key]):
            time.sleep(POLL_SECONDS)
        return bytes(self._store.get(key))

    def _load(self, number: int, command: dict[str, Any]) -> None:
        from workers.engine.loaded import load_share
        from workers.engine.share import share_of
        from workers.models.catalogue import families

        logs.quiet_libraries()
        entry = ModelEntry.model_validate(command["entry"])
        share = share_of(self._world, entry)
        try:
            self._models[entry.name] = load_share(entry, families()[entry.family], share)
        except Exception as error:
            log.error("model not loaded", rank=self._seat.rank, model=entry.name, frames=logs.frames_of(error))
            self._answer(number, {"error": type(error).__name__, "message": str(error)})
        else:
            self._answer(number, {"fingerprint": self._models[entry.name].fingerprint})

    def _run(self, number: int, command: dict[str, Any]) -> None:
        """The run of rank 0. One that fails here alone ends the process, and so the group."""
        from workers.engine.share import RunEnded

        try:
            self._generate(command)
        except RunEnded:
            return
        except Exception as error:
            log.error("run failed", rank=self._seat.rank, frames=logs.frames_of(error))
            self._answer(number, {"error": type(error).__name__})
            deadline = time.monotonic() + SETTLE_SECONDS
            while not self._store.check([f"settled/{number}"]):
                if time.monotonic() > deadline:
                    os._exit(1)
                time.sleep(POLL_SECONDS)

    def _generate(self, command: dict[str, Any]) -> None:
        from PIL import Image

        from workers.engine.acceleration import made_of
        from workers.engine.generation import run_pipeline
        from workers.engine.plan import plan_run
        from workers.jobs.job import GenerationRequest

        request = GenerationRequest.model_validate(command["request"])
        model = self._models[request.model]
        plan = plan_run(model, request)
        recipe, image = command["session"], command["image"]
        session = made_of(model, plan, recipe) if recipe is not None else None
        picture = Image.open(io.BytesIO(base64.b64decode(image))) if image is not None else None
        try:
            run_pipeline(model, plan, session, image=picture)
        finally:
            if session is not None:
                session.close()

    def _answer(self, number: int, answer: dict[str, Any]) -> None:
        self._store.set(f"answer/{number}/{self._seat.rank}", json.dumps(answer))

    def _lost(self, loss: Loss, cause: str) -> None:
        """Rank 0 is gone, or stopped: then what watches over it is to see that it is gone."""
        log.error("rank 0 of the group is lost", rank=self._seat.rank, cause=cause)
        if self._leader_pid == os.getppid():
            os.kill(self._leader_pid, signal.SIGKILL)
        os._exit(loss)


def follow_torchrun(log_format: LogFormat) -> None:
    """In a process that torchrun started and that is not its first: follow that one, and never return."""
    if (seat := torchrun_seat()) is not None and seat.rank > 0:
        _follow(seat, None, log_format)


def _end_with(leader_pid: int) -> None:
    """End this process when its parent has ended, also while it still waits to meet it."""
    while os.getppid() == leader_pid:
        time.sleep(PARENT_SECONDS)
    os._exit(1)


def _follow(seat: Seat, leader_pid: int | None, log_format: LogFormat) -> None:
    if leader_pid is not None:
        threading.Thread(target=_end_with, args=(leader_pid,), name="parent", daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # Sent to all of a group; rank 0 decides, and its end ends this.
    logs.configure(log_format)
    Follower(seat.joined(), leader_pid).follow()


def main() -> None:
    """A process that rank 0 has started."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("rank", "ranks", "port", "leader", "threads"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--host", required=True)
    parser.add_argument("--log-format", choices=get_args(LogFormat), required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rank = arguments.rank
    _follow(Seat(rank, arguments.ranks, rank, arguments.host, arguments.port), arguments.leader, arguments.log_format)


if __name__ == "__main__":
    main()
