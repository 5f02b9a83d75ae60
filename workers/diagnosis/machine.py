"""What this machine has: driver, devices, memory, attention backends, places to store, a Redis."""

import os
import secrets
import shutil
import statistics
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from workers.diagnosis.finding import Finding, gibibytes
from workers.jobs.connection import Connection
from workers.jobs.errors import QueueUnavailable
from workers.jobs.inspection import Inspection
from workers.jobs.store import Store

PINGS = 20
#: A job makes a few calls a second to Redis, so this is far from a limit; beyond it something is in between.
SLOW_PING_SECONDS = 0.02
TRIAL_BYTES = 1 << 24
SLOW_BYTES_A_SECOND = 20e6
LEAST_FREE_BYTES = 5 << 30
#: Of the attention backends that are no part of torch the package that has each.
PACKAGES = {"flash": "flash_attn", "_flash_3": "flash_attn_interface", "sage": "sageattention", "xformers": "xformers"}


def host_bytes() -> int:
    """The memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def driver(devices: Mapping[str, tuple[str, int]], wanted: bool) -> Finding:
    """wanted: whether a served model computes on a GPU. Raises nothing: without a driver there are no devices."""
    if not devices:
        return Finding(
            name="driver",
            state="failed" if wanted else "ok",
            says="no NVIDIA driver, or no device",
            advice="install the NVIDIA driver; in a container also its container toolkit" if wanted else None,
        )
    import torch

    shown = ", ".join(f"{number}: {name}, {gibibytes(size)}" for number, (name, size) in devices.items())
    if wanted and not torch.cuda.is_available():
        return Finding.bad(
            "driver",
            f"{shown}; torch {torch.__version__} finds none of them",
            "install a build of torch for CUDA that this driver supports: pytorch.org",
        )
    return Finding(name="driver", says=shown)


def attention(wanted: Mapping[str, str]) -> Finding:
    """Which of diffusers' attention backends have their package here. wanted: by model the one that its entry names."""
    there = ["native", *(name for name, package in PACKAGES.items() if find_spec(package) is not None)]
    says = f"attention backends: {', '.join(there)}"
    for model, name in wanted.items():
        if name in PACKAGES and name not in there:
            install = f"pip install {PACKAGES[name].replace('_', '-')}, or leave attention_backend out"
            return Finding.bad("attention", f"{says}; {model} wants {name}", install)
    return Finding(name="attention", says=says)


def quantization(wanted: bool) -> Finding:
    """Whether torchao is there, for entries with `quantization`."""
    there = find_spec("torchao") is not None
    return Finding(
        name="quantization",
        state="failed" if wanted and not there else "ok",
        says="torchao is installed" if there else "torchao is not installed",
        advice="pip install 'scalingcache-serve[quantization]'" if wanted and not there else None,
    )


def storage(folder: Path) -> Finding:
    """Whether results can be written, and how fast; leaves nothing behind."""
    there = next(path for path in (folder, *folder.resolve().parents) if path.exists())
    if there != folder:
        writable = os.access(there, os.W_OK)
        return Finding(
            name="storage",
            state="ok" if writable else "failed",
            says=f"{folder} is not there yet" + ("; a worker makes it" if writable else f", and {there} is read-only"),
            advice=None if writable else f"let the worker's user write {there}, or set SCALINGCACHE_ARTIFACTS",
        )
    try:
        seconds = _written(folder / f".{secrets.token_hex(8)}.trial")
    except OSError as error:
        advice = f"let the worker's user write {folder}, or set SCALINGCACHE_ARTIFACTS"
        return Finding.bad("storage", f"{folder} cannot be written: {error.strerror}", advice)
    free, speed = shutil.disk_usage(folder).free, TRIAL_BYTES / seconds
    says = f"{folder}: {speed / 1e6:.0f} MB/s written to disk, {gibibytes(free)} free"
    if free < LEAST_FREE_BYTES:
        return Finding.bad(
            "storage", says, f"make room in {folder}, or lower SCALINGCACHE_RETENTION_SECONDS", "warning"
        )
    if speed < SLOW_BYTES_A_SECOND:
        slow = f"{folder} is slow: each result is written through to it before its job ends"
        return Finding.bad("storage", says, slow, "warning")
    return Finding(name="storage", says=says)


def bucket(store: Store, shown: str) -> Finding:
    """Whether results can be put into a bucket, and how fast it answers. shown: its address."""
    begun = time.perf_counter()
    try:
        store.probe()
    except OSError as error:
        advice = "correct SCALINGCACHE_STORAGE_URL, _ENDPOINT, _REGION and the keys, or let these put and get objects"
        return Finding.bad("storage", f"{shown} cannot be written to: {error.strerror}", advice)
    return Finding(name="storage", says=f"{shown}: an object was put within {time.perf_counter() - begun:.2f} s")


def _written(path: Path) -> float:
    begun = time.perf_counter()
    try:
        with path.open("wb") as file:
            file.write(os.urandom(TRIAL_BYTES))
            file.flush()
            os.fsync(file.fileno())
        return time.perf_counter() - begun
    finally:
        path.unlink(missing_ok=True)


def redis(address: str, shown: str) -> Finding:
    """Whether Redis answers, how fast, and whether it keeps what it is told. shown: the address without a password."""
    connection = Connection(address)
    try:
        times = []
        for _ in range(PINGS):
            begun = time.perf_counter()
            connection.ping()
            times.append(time.perf_counter() - begun)
        persisting = Inspection(connection).persisting()
    except QueueUnavailable as error:
        advice = "start Redis, or correct SCALINGCACHE_REDIS_URL and SCALINGCACHE_REDIS_PASSWORD"
        return Finding.bad("redis", f"{shown}: {error}", advice)
    finally:
        connection.close()
    usual = statistics.median(times)
    says = f"{shown}: a call takes {usual * 1e3:.2f} ms"
    if not persisting:
        advice = "redis: set appendonly yes in its configuration, or a restart loses accepted jobs"
        return Finding.bad("redis", f"{says}; it does not write to its disk", advice, "warning")
    if usual > SLOW_PING_SECONDS:
        return Finding.bad("redis", says, "run Redis nearer to the workers: something between is slow", "warning")
    return Finding(name="redis", says=says)
