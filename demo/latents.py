"""Stage 2: every training clip encoded once, and the statistics that normalise latents."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from demo import pair
from demo.clips import render, to_model_range, training_spec
from demo.progress import WORK, Progress, load_state, save_atomically
from demo.train_vae import trained_vae

CLIPS = 4096
SHARD = 128
FOLDER = WORK / "latents"


class Latents(NamedTuple):
    """Normalised latents of all training clips: clip number = its seed."""

    values: Tensor
    """float16 [CLIPS, 8, 9, 12, 12] (channels, frames, height, width): mean 0 and deviation 1 per channel."""
    mean: list[float]
    std: list[float]


def _shard_path(shard: int) -> Path:
    return FOLDER / f"{shard:03d}.pt"


@torch.inference_mode()
def encode(rank: int) -> None:
    """Encodes the shards that fall to this process and are not there yet."""
    vae = trained_vae().bfloat16()
    mine = [s for s in range(rank, CLIPS // SHARD, pair.WORKERS) if not _shard_path(s).exists()]
    progress = Progress("latents", len(mine), 0, 0.0)
    for done, shard in enumerate(mine, start=1):
        parts = []
        for first in range(shard * SHARD, (shard + 1) * SHARD, 4):
            clips = torch.stack([to_model_range(render(training_spec(seed))) for seed in range(first, first + 4)])
            parts.append(vae.encode(clips.bfloat16()).latent_dist.mode().to(torch.float16))
        save_atomically({"latents": torch.cat(parts)}, _shard_path(shard))
        if rank == 0:
            progress.report(done)


def read() -> Latents:
    """All latents; raises FileNotFoundError where a shard is missing."""
    shards = []
    for shard in range(CLIPS // SHARD):
        state = load_state(_shard_path(shard))
        if state is None:
            raise FileNotFoundError(f"latents {_shard_path(shard)} are missing; run demo.latents first")
        shards.append(state["latents"])
    values = torch.cat(shards)
    sample = values[::8].float()
    mean, std = sample.mean(dim=(0, 2, 3, 4)), sample.std(dim=(0, 2, 3, 4))
    shape = (1, -1, 1, 1, 1)
    values.sub_(mean.half().view(shape)).div_(std.half().view(shape))
    return Latents(values, mean.tolist(), std.tolist())


if __name__ == "__main__":
    pair.run(encode)
