"""The whole product for the contract: Redis, service, worker with three micro models, webhooks, each a real process."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from demo.embedded_redis import EmbeddedRedis
from tests.service.accounts import a_key, with_keys
from tests.service.serving import environment, served
from tests.service.settings import settings_in
from tests.waiting import wait_until
from tests.workers import micro_flux, micro_wan, micro_wan_variants
from tests.workers.process.worker_process import WorkerProcess

#: The model whose videos begin with a given image.
TAKES_AN_IMAGE = "micro-i2v"


@dataclass(frozen=True)
class Product:
    """Where it is, and a key that may make and see."""

    url: str
    key: str


@contextmanager
def running_product(redis: EmbeddedRedis, folder: Path) -> Iterator[Product]:
    """It serves when the block begins; everything ends with the block."""
    micro_wan.save_micro_wan(folder / "wan")
    micro_flux.save_micro_flux(folder / "flux")
    micro_wan_variants.save_micro_i2v(folder / "i2v")
    models = (
        micro_wan.micro_entry(folder / "wan"),
        micro_flux.micro_entry(folder / "flux"),
        micro_wan_variants.variant_entry(folder / "i2v", "wan-i2v").model_copy(update={"name": TAKES_AN_IMAGE}),
    )
    settings = with_keys(settings_in(folder, redis.url, *models), folder)
    with ExitStack() as undo:
        worker = WorkerProcess(
            "workers", redis.url, folder, "run", catalogue=settings.catalogue, torch_threads=1,
            lease_seconds=60,  # A machine with much to do must not lose a job here.
        )  # fmt: skip
        undo.enter_context(worker)
        command = [sys.executable, "-m", "service", "webhooks"]
        sender = subprocess.Popen(command, env=environment(settings), stdout=subprocess.DEVNULL)
        undo.callback(sender.wait)
        undo.callback(sender.terminate)
        service = undo.enter_context(served(settings))
        wait_until(lambda: worker.logged("models loaded"), seconds=300, awaited="models loaded")
        yield Product(service.address, a_key(settings))
