"""Data-parallel training on a few CPU cores: one process a core, gradients averaged.

Two processes of one thread each train these small models nearly twice as fast as one
process of two threads, whose cores mostly wait for each other between tiny operations.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable
from datetime import timedelta

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

WORKERS = 2
"""Processes; a part of the recipe, as each draws its own share of a batch."""


def average_gradients(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Replaces each gradient by its mean over the processes, in one exchange."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([g.reshape(-1) for g in gradients])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    offset = 0
    for gradient in gradients:
        gradient.copy_(flat[offset : offset + gradient.numel()].view_as(gradient))
        offset += gradient.numel()


def meet() -> None:
    """Waits for the other processes to come here too."""
    dist.barrier()


def _start(rank: int, stage: Callable[[int], None], meeting: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{meeting}", timedelta(minutes=30), WORKERS, rank)
    try:
        stage(rank)
    finally:
        dist.destroy_process_group()


def run(stage: Callable[[int], None]) -> None:
    """Runs `stage(rank)` in WORKERS processes and returns when all have finished."""
    with tempfile.TemporaryDirectory() as folder:
        mp.spawn(  # type: ignore[attr-defined,no-untyped-call]  # torch exports it by a star import
            _start, args=(stage, f"{folder}/meeting"), nprocs=WORKERS
        )
