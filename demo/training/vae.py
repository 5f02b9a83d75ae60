"""Stage 1: the autoencoder, on single frames first, then, for video, on short clips."""

from __future__ import annotations

import math
import random
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn

from demo.training import data_parallel
from demo.training.clips import FRAMES, SIZE, to_model_range
from demo.training.muon import Muon
from demo.training.precision import autocast
from demo.training.progress import SAVE_EVERY_SECONDS, Interval, Progress, cosine, load_state, save_atomically
from demo.training.recipe import Recipe, VaePhase

SEED = 20261123
MUON_RATE, ADAM_RATE = 8e-3, 1e-3
CHROMA_WEIGHT = 6.0
"""Scenes are mostly gray: with a plain squared error the VAE never finds out about colour."""
KL_WEIGHT = 1e-5
"""On the mean KL per latent value; keeps latents bounded without blurring pixels."""


def encoded(recipe: Recipe, vae: Any, pixels: Tensor) -> Any:
    """The posterior of pixels [batch, 3, frames, height, width]; a VAE of images knows no dimension for frames."""
    return vae.encode(pixels[:, :, 0] if recipe.still else pixels).latent_dist


def decoded(recipe: Recipe, vae: Any, latents: Tensor) -> Tensor:
    """Pixels [batch, 3, frames, height, width]."""
    pixels: Tensor = vae.decode(latents).sample
    return pixels.unsqueeze(2) if recipe.still else pixels


def steps_of(recipe: Recipe) -> int:
    """Of all phases."""
    return sum(phase.steps for phase in recipe.vae_phases)


def phase_of(recipe: Recipe, step: int) -> VaePhase:
    """The phase that a step belongs to."""
    ends = accumulate(phase.steps for phase in recipe.vae_phases)
    return next(phase for phase, end in zip(recipe.vae_phases, ends, strict=True) if step < end)


def batch_of(recipe: Recipe, step: int, rank: int) -> Tensor:
    """A process's batch of a step: float32 [batch, 3, frames, height, width] from -1 to 1."""
    rng = random.Random(f"vae {SEED} {step} {rank}")
    phase = phase_of(recipe, step)
    frames, side = phase.kinds[step % len(phase.kinds)]
    clips = []
    for _ in range(phase.batch):
        seed = rng.getrandbits(40)
        first = rng.randrange(FRAMES - recipe.stride * (frames - 1))
        top, left_edge = rng.randrange(SIZE - side + 1), rng.randrange(SIZE - side + 1)
        clip = recipe.render(seed, first + recipe.stride * torch.arange(frames))
        clips.append(to_model_range(clip[:, :, top : top + side, left_edge : left_edge + side]))
    return torch.stack(clips)


def psnr(first: Tensor, second: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of two videos from -1 to 1."""
    error = (first.float() - second.float()).pow(2).mean().item()
    return 10.0 * math.log10(4.0 / max(error, 1e-12))


@torch.no_grad()
def validation_psnr(recipe: Recipe, clips: int = 6) -> float:
    """Mean PSNR in dB over whole clips that training never saw; of emoji it never saw the grain behind them."""
    vae, total = trained_vae(recipe), 0.0
    for seed in range(clips):
        drawn = recipe.render(-1 - seed, recipe.frames(-1 - seed))
        clip = to_model_range(drawn).unsqueeze(0)
        total += psnr(decoded(recipe, vae, encoded(recipe, vae, clip).mode()), clip)
    return total / clips


def optimizers(vae: nn.Module) -> list[torch.optim.Optimizer]:
    """Muon for the convolutions, AdamW for biases and norms; each knows its peak rate as `initial_lr`."""
    kernels = [p for p in vae.parameters() if p.ndim >= 4 and p[0].numel() > 1]
    kernel_ids = {id(p) for p in kernels}
    others = [p for p in vae.parameters() if id(p) not in kernel_ids]
    made = [Muon(kernels, MUON_RATE, momentum=0.9), torch.optim.AdamW(others, ADAM_RATE, (0.9, 0.98), weight_decay=0.0)]
    for optimizer in made:
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
    return made


def loss_of(recipe: Recipe, vae: nn.Module, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """The loss, and the plain mean squared error for the log."""
    posterior = encoded(recipe, vae, pixels)
    error = decoded(recipe, vae, posterior.sample()) - pixels
    chroma = (error - error.mean(1, keepdim=True)).pow(2).mean()
    divergence = 0.5 * (posterior.mean.pow(2) + posterior.var - 1.0 - posterior.logvar).mean()
    square = error.pow(2).mean()
    return square + (CHROMA_WEIGHT - 1.0) * chroma + KL_WEIGHT * divergence, square.detach()


def train(recipe: Recipe, rank: int) -> None:
    """Trains, or goes on training, until the state holds the finished VAE; one process of `data_parallel.WORKERS`."""
    torch.manual_seed(SEED)
    vae, steps = recipe.vae(), steps_of(recipe)
    makers = optimizers(vae)
    state = load_state(recipe.work / "vae.pt")
    start, before = 0, 0.0
    if state:
        vae.load_state_dict(state["model"])
        for optimizer, saved in zip(makers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        start, before = state["step"], state["seconds"]
    progress = Progress(f"{recipe.name} vae", steps, start, before)
    saves = Interval(SAVE_EVERY_SECONDS)
    running = 0.0
    for step in range(start, steps):
        torch.manual_seed(SEED + 2 * step + rank)
        rate = phase_of(recipe, step).rate * cosine(step, steps, warmup=30)
        for optimizer in makers:
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * rate
        with autocast(recipe.vae_dtype):
            loss, error = loss_of(recipe, vae, batch_of(recipe, step, rank))
        vae.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        data_parallel.average_gradients(vae.parameters())
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        for optimizer in makers:
            optimizer.step()
        running = error.item() if step == start else 0.95 * running + 0.05 * error.item()
        if rank == 0:
            _keep(recipe, step + 1, running, vae, makers, progress, saves)


def _keep(
    recipe: Recipe,
    done: int,
    error: float,
    vae: nn.Module,
    makers: list[torch.optim.Optimizer],
    progress: Progress,
    saves: Interval,
) -> None:
    if done % 50 == 0:
        progress.report(done, psnr=10 * math.log10(4.0 / error))
    if done == steps_of(recipe) or saves.due():
        kept = {"model": vae.state_dict(), "optimizers": [optimizer.state_dict() for optimizer in makers]}
        save_atomically({**kept, "step": done, "seconds": progress.seconds}, recipe.work / "vae.pt")


def trained_vae(recipe: Recipe) -> Any:
    """The VAE in the state, ready for use, float32; as it begins where it is not trained at all."""
    vae = recipe.vae()
    if recipe.vae_phases:
        state = load_state(recipe.work / "vae.pt")
        if state is None:
            raise FileNotFoundError(f"no trained VAE of {recipe.name}; run demo.training first")
        vae.load_state_dict(state["model"])
    return vae.eval()
