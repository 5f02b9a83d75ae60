"""The whole product on one machine: an embedded Redis, the service and a worker, each a real process on loopback."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from demo.embedded_redis import EmbeddedRedis
from workers.models.layers import variable

READY_SECONDS = 180.0
STOP_SECONDS = 40.0


class StackFailed(RuntimeError):
    """A process did not start, or died; the message ends with its log."""


@dataclass(frozen=True)
class Stack:
    """What runs. `url` is the service's address, `metrics_url` the worker's; logs are in `logs`."""

    url: str
    metrics_url: str
    redis_url: str
    logs: Path
    processes: dict[str, subprocess.Popen[bytes]]

    def check(self) -> None:
        """Raise `StackFailed` when a process has ended."""
        for name, process in self.processes.items():
            if process.poll() is not None:
                log = (self.logs / f"{name}.log").read_text(errors="replace")[-3000:]
                raise StackFailed(f"the {name} process ended with code {process.returncode}:\n{log}")


@contextmanager
def running_stack(*models: str, port: int | None = None) -> Iterator[Stack]:
    """Start everything for some models, wait until they are ready, and stop it all at the end. `port` None: a free one.

    Raises `StackFailed`, `RedisServerMissing`.
    """
    with ExitStack() as undo:
        folder = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="scalingcache-")))
        redis = undo.enter_context(EmbeddedRedis(folder / "redis"))
        port, metrics_port = port or _free_port(), _free_port()
        environment = os.environ | {
            "SCALINGCACHE_REDIS_URL": redis.url,
            "SCALINGCACHE_ARTIFACTS": str(folder / "artifacts"),
            "SCALINGCACHE_HOST": "127.0.0.1",
            "SCALINGCACHE_PORT": str(port),
            "SCALINGCACHE_AUTHENTICATION": "none",  # On loopback everybody is whoever started it.
            "SCALINGCACHE_METRICS_PORT": str(metrics_port),
            "SCALINGCACHE_MODELS": ",".join(models),
            "SCALINGCACHE_DRAIN_SECONDS": "0",
            **learning_when_idle(models),
        }
        processes = {
            name: undo.enter_context(_process(name, command, folder, environment))
            for name, command in (("worker", ["workers", "run"]), ("service", ["service"]))
        }
        addresses = [f"http://127.0.0.1:{p}" for p in (port, metrics_port)]
        stack = Stack(addresses[0], f"{addresses[1]}/metrics", redis.url, folder, processes)
        for model in models:
            _wait_until_ready(stack, model)
        yield stack


def learning_when_idle(models: Sequence[str]) -> dict[str, str]:
    """The variables that let these models learn while nothing is queued: nobody else shares this machine's device."""
    return {variable(model, "calibrate_when_idle"): "true" for model in models}


@contextmanager
def _process(
    name: str, command: list[str], logs: Path, environment: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    with (logs / f"{name}.log").open("wb") as log:
        # A session of its own: Ctrl-C reaches us alone, and we stop the others in order.
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(timeout=STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_ready(stack: Stack, model: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        stack.check()
        try:
            if _serves(httpx.get(f"{stack.url}/v1/models/{model}", timeout=5)):
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise StackFailed(f"not ready after {READY_SECONDS:g} s; the logs are in {stack.logs}")


def _serves(answer: httpx.Response) -> bool:
    if answer.status_code == 404:
        raise StackFailed(answer.json()["error"]["message"])
    return answer.is_success and bool(answer.json()["live_workers"])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
