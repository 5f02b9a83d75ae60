"""Stage 1: the video autoencoder, on single frames first, then on short clips."""

from __future__ import annotations

import math
import random

import torch
from diffusers import AutoencoderKLWan
from torch import Tensor

from demo import pair
from demo.clips import FRAMES, SIZE, render, to_model_range, training_spec
from demo.muon import Muon
from demo.progress import WORK, Progress, cosine, load_state, save_atomically

STATE = WORK / "vae.pt"
SEED = 20261123
FRAME_STEPS, FRAME_BATCH = 800, 8
"""Batches are per process."""
CLIP_STEPS, CLIP_BATCH = 1600, 1
CLIP_KINDS = ((13, 64), (25, 48), (33, 40))
"""(frames, side of the crop), in turn: without long clips, quality decays along a video."""
STEPS = FRAME_STEPS + CLIP_STEPS
MUON_RATE, ADAM_RATE = 8e-3, 1e-3
CHROMA_WEIGHT = 6.0
"""Scenes are mostly gray: with a plain squared error the VAE never finds out about colour."""
KL_WEIGHT = 1e-5
"""On the mean KL per latent value; keeps latents bounded without blurring pixels."""


def build_vae() -> AutoencoderKLWan:
    """An untrained VAE: 4x in time, 8x in space (of which 2x by patches, as Wan2.2's), 8 latent channels."""
    vae = AutoencoderKLWan(
        base_dim=16,
        dim_mult=[1, 2, 2],
        z_dim=8,
        num_res_blocks=1,
        attn_scales=[],
        temperal_downsample=[True, True],
        patch_size=2,
        in_channels=12,
        out_channels=12,
        scale_factor_spatial=8,
        scale_factor_temporal=4,
        is_residual=True,
        latents_mean=[0.0] * 8,
        latents_std=[1.0] * 8,
    )
    with torch.no_grad():  # begin with little posterior noise, or the first steps learn nothing
        vae.quant_conv.bias[8:] -= 6.0
    return vae


def batch_of(step: int, rank: int) -> Tensor:
    """A process's batch of a step: float32 [batch, 3, frames, height, width] from -1 to 1."""
    rng = random.Random(f"vae {SEED} {step} {rank}")
    specs = [training_spec(rng.getrandbits(40)) for _ in range(FRAME_BATCH)]
    if step < FRAME_STEPS:
        return torch.stack([to_model_range(render(s, torch.tensor([rng.randrange(FRAMES)]))) for s in specs])
    frames, side = CLIP_KINDS[step % len(CLIP_KINDS)]
    clips = []
    for spec in specs[:CLIP_BATCH]:
        first = rng.randrange(FRAMES - frames + 1)
        top, left = rng.randrange(SIZE - side + 1), rng.randrange(SIZE - side + 1)
        clip = render(spec, torch.arange(first, first + frames))
        clips.append(to_model_range(clip[:, :, top : top + side, left : left + side]))
    return torch.stack(clips)


def psnr(first: Tensor, second: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of two videos from -1 to 1."""
    error = (first.float() - second.float()).pow(2).mean().item()
    return 10.0 * math.log10(4.0 / max(error, 1e-12))


@torch.no_grad()
def validation_psnr(vae: AutoencoderKLWan, clips: int = 6) -> float:
    """Mean PSNR in dB over whole clips that training never saw."""
    total = 0.0
    for seed in range(clips):
        clip = to_model_range(render(training_spec(-1 - seed))).unsqueeze(0)
        total += psnr(vae.decode(vae.encode(clip).latent_dist.mode()).sample, clip)
    return total / clips


def optimizers(vae: AutoencoderKLWan) -> list[torch.optim.Optimizer]:
    """Muon for the convolutions, AdamW for biases and norms; each knows its peak rate as `initial_lr`."""
    kernels = [p for p in vae.parameters() if p.ndim >= 4 and p[0].numel() > 1]
    known = {id(p) for p in kernels}
    others = [p for p in vae.parameters() if id(p) not in known]
    made = [Muon(kernels, MUON_RATE, momentum=0.9), torch.optim.AdamW(others, ADAM_RATE, (0.9, 0.98), weight_decay=0.0)]
    for optimizer in made:
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
    return made


def loss_of(vae: AutoencoderKLWan, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """The loss, and the plain mean squared error for the log."""
    posterior = vae.encode(pixels).latent_dist
    error = vae.decode(posterior.sample()).sample - pixels
    chroma = (error - error.mean(1, keepdim=True)).pow(2).mean()
    divergence = 0.5 * (posterior.mean.pow(2) + posterior.var - 1.0 - posterior.logvar).mean()
    square = error.pow(2).mean()
    return square + (CHROMA_WEIGHT - 1.0) * chroma + KL_WEIGHT * divergence, square.detach()


def train(rank: int) -> None:
    """Trains, or goes on training, until STATE holds the finished VAE; one process of the pair."""
    torch.manual_seed(SEED)
    vae = build_vae()
    makers = optimizers(vae)
    state = load_state(STATE)
    start, before = 0, 0.0
    if state:
        vae.load_state_dict(state["model"])
        for optimizer, saved in zip(makers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        start, before = state["step"], state["seconds"]
    progress = Progress("vae", STEPS, start, before)
    running = 0.0
    for step in range(start, STEPS):
        torch.manual_seed(SEED + 2 * step + rank)
        for optimizer in makers:
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * cosine(step, STEPS, warmup=30)
        loss, error = loss_of(vae, batch_of(step, rank))
        vae.zero_grad(set_to_none=True)
        loss.backward()
        pair.average_gradients(vae.parameters())
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        for optimizer in makers:
            optimizer.step()
        running = error.item() if step == start else 0.95 * running + 0.05 * error.item()
        if rank == 0:
            _keep(step + 1, running, vae, makers, progress)


def _keep(
    done: int, error: float, vae: AutoencoderKLWan, makers: list[torch.optim.Optimizer], progress: Progress
) -> None:
    if done % 50 == 0:
        progress.report(done, psnr=10 * math.log10(4.0 / error))
    if done == STEPS or progress.save_due():
        kept = {"model": vae.state_dict(), "optimizers": [optimizer.state_dict() for optimizer in makers]}
        save_atomically({**kept, "step": done, "seconds": progress.seconds}, STATE)


def trained_vae() -> AutoencoderKLWan:
    """The VAE in STATE, ready for use, float32."""
    state = load_state(STATE)
    if state is None:
        raise FileNotFoundError(f"no trained VAE at {STATE}; run demo.train_vae first")
    vae = build_vae()
    vae.load_state_dict(state["model"])
    return vae.eval()


if __name__ == "__main__":
    pair.run(train)
    print(f"validation PSNR {validation_psnr(trained_vae()):.2f} dB")
