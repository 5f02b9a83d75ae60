"""Stage 2: every training clip encoded once, and the statistics that normalise latents."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from demo.training import data_parallel
from demo.training.clips import to_model_range
from demo.training.precision import DTYPE
from demo.training.progress import Progress, load_state, save_atomically
from demo.training.recipe import Latents, Recipe
from demo.training.vae import encoded, trained_vae

SHARD = 128


def _shard_path(recipe: Recipe, shard: int) -> Path:
    return recipe.work / "latents" / f"{shard:03d}.pt"


@torch.inference_mode()
def encode(recipe: Recipe, rank: int) -> None:
    """Encodes the shards that fall to this process and are not there yet."""
    vae = trained_vae(recipe).to(DTYPE)
    shards = range(rank, recipe.clips // SHARD, data_parallel.WORKERS)
    mine = [s for s in shards if not _shard_path(recipe, s).exists()]
    progress = Progress(f"{recipe.name} latents", len(mine), 0, 0.0)
    for done, shard in enumerate(mine, start=1):
        parts = []
        for first in range(shard * SHARD, (shard + 1) * SHARD, 4):
            seeds = range(first, first + 4)
            drawn = [recipe.render(s, recipe.frames(s)) for s in seeds]
            clips = torch.stack([to_model_range(clip) for clip in drawn])
            parts.append(encoded(recipe, vae, clips.to(DTYPE)).mode().to(torch.float16))
        save_atomically({"latents": torch.cat(parts)}, _shard_path(recipe, shard))
        if rank == 0:
            progress.report(done)


def read(recipe: Recipe) -> Latents:
    """All latents; raises FileNotFoundError where a shard is missing."""
    shards = []
    for shard in range(recipe.clips // SHARD):
        state = load_state(_shard_path(recipe, shard))
        if state is None:
            raise FileNotFoundError(f"latents {_shard_path(recipe, shard)} are missing; run demo.training first")
        shards.append(state["latents"])
    values = torch.cat([s.unsqueeze(2) if recipe.still else s for s in shards])
    mean, std = _statistics(recipe, values[::8].float())
    shape = (1, -1, 1, 1, 1)
    values.sub_(mean.half().view(shape)).div_(std.half().view(shape))
    return Latents(values, mean.tolist(), std.tolist())


def _statistics(recipe: Recipe, sample: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each channel, as far as the VAE's config can say them."""
    if recipe.normalised == "channels":
        return sample.mean(dim=(0, 2, 3, 4)), sample.std(dim=(0, 2, 3, 4))
    each = torch.ones(sample.shape[1])
    mean = sample.mean() if recipe.normalised == "shift and scale" else torch.tensor(0.0)
    return each * mean, each * (sample - mean).pow(2).mean().sqrt()
