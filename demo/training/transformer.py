"""Stage 3: text encoders and transformer, trained together by flow matching, phase by phase."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from demo.training import data_parallel, motion, samples
from demo.training.latents import read
from demo.training.muon import Muon
from demo.training.precision import autocast
from demo.training.progress import SAVE_EVERY_SECONDS, Interval, Progress, cosine, load_state, save_atomically
from demo.training.recipe import Latents, Networks, Phase, Recipe

SEED = 20261123
WEIGHT_DECAY = 0.01
CAPTION_DROP = 0.1
EMA_DECAY = 0.995


class Batch:
    """What a process learns from in one step; a pure function of recipe, phase, step and rank.

    So few pixels are decided early: where an object is and which way it moves is settled between sigma 1 and 0.9. With
    a shift of 0.9 from the start, a tenth of the clips came from there, and 2,800 steps of wan-tiny taught no direction
    at all; the same model told left from right after 100 steps with a shift of 3. Details come with the low noise
    levels of the end.
    """

    def __init__(self, recipe: Recipe, phase: Phase, step: int, rank: int, latents: Tensor) -> None:
        rng = random.Random(f"{phase.name} {SEED} {step} {rank}")
        frames, count = latents.shape[2], phase.batch
        if phase.short and step % 3:
            frames, count = phase.short, phase.batch * frames // phase.short
        elif step < phase.prefix[0]:
            frames = phase.prefix[1]
        seeds = rng.sample(range(recipe.clips), count)
        if phase.favoured:
            shape, part = phase.favoured
            seeds = [rng.choice(recipe.showing(shape)) if rng.random() < part else seed for seed in seeds]
        drop = 0.0 if phase.guidances else CAPTION_DROP
        texts = ["" if rng.random() < drop else recipe.caption(seed, rng) for seed in seeds]
        self.texts = recipe.tokenize(texts)
        clean = latents[seeds, :, :frames].float()
        generator = torch.Generator().manual_seed(rng.getrandbits(60))
        noise = torch.randn(clean.shape, generator=generator)
        strata = (torch.arange(count) + torch.rand(count, generator=generator)) / count
        shift = phase.shifts[0] + (phase.shifts[1] - phase.shifts[0]) * step / phase.steps
        sigma = torch.sigmoid(shift + phase.spread * torch.special.ndtri(strata.clamp(1e-4, 1 - 1e-4)))
        self.levels = sigma.view(-1, 1).repeat(1, clean.shape[2])
        self.levels[torch.rand(count, generator=generator) < recipe.given_first, 0] = 0.0
        level = self.levels.view(count, 1, -1, 1, 1)
        self.noisy, self.velocity = (1.0 - level) * clean + level * noise, noise - clean
        self.learned = (level > 0).float()
        """1 where the velocity is the transformer's to say: not in frames that it is given."""
        low, high = phase.guidances or (1.0, 1.0)
        self.guidance = low + (high - low) * torch.rand(count, generator=generator)


def optimizers(networks: Networks, phase: Phase) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the networks, AdamW for embeddings, first and last layers, biases and norms."""
    outside: tuple[str, ...] = (
        "shared",
        "embed_tokens",
        "token_embedding",
        "position_embedding",
        "relative_attention_bias",
    )
    outside += ("patch_embedding", "x_embedder", "transformer.proj_out")
    named = dict(networks.named_parameters())
    matrices = [p for name, p in named.items() if p.ndim == 2 and not any(part in name for part in outside)]
    matrix_ids = {id(p) for p in matrices}
    others = [p for p in named.values() if id(p) not in matrix_ids]
    made = [
        Muon(matrices, phase.muon_rate, momentum=0.95, weight_decay=WEIGHT_DECAY),
        torch.optim.AdamW(others, phase.adam_rate, (0.9, 0.99), weight_decay=0.0),
    ]
    for optimizer in made:
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
    return made


@torch.no_grad()
def follow(average: dict[str, Tensor], model: nn.Module, step: int) -> None:
    """Moves the running average of the weights towards the model's."""
    decay = min(EMA_DECAY, (1.0 + step) / (10.0 + step))
    for name, value in model.state_dict().items():
        average[name].lerp_(value, 1.0 - decay)


def state_path(recipe: Recipe, phase: Phase) -> Path:
    """Where the state of a phase is kept."""
    return recipe.work / f"{phase.name}.pt"


def train(recipe: Recipe, rank: int) -> None:
    """Trains, or goes on training, until every phase is finished; one process of `data_parallel.WORKERS`."""
    latents = read(recipe)
    for before, phase in zip((None, *recipe.phases), recipe.phases, strict=False):
        _train_phase(recipe, phase, before, rank, latents)
        data_parallel.meet()  # The next phase begins with the file that the first process has written.


def _train_phase(recipe: Recipe, phase: Phase, before: Phase | None, rank: int, latents: Latents) -> None:
    torch.manual_seed(SEED)
    networks = _begin(recipe, before)
    teacher = _begin(recipe, before).eval() if phase.guidances else None
    makers = optimizers(networks, phase)
    average = {name: value.clone() for name, value in networks.state_dict().items()}
    state = load_state(state_path(recipe, phase))
    start, seconds = 0, 0.0
    if state:
        networks.load_state_dict(state["model"])
        average = state["average"]
        for optimizer, saved in zip(makers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        start, seconds = state["step"], state["seconds"]
    for model in (networks, teacher) if teacher else (networks,):
        for block in model.blocks():
            block.compile(dynamic=False)
    progress = Progress(f"{recipe.name} {phase.name}", phase.steps, start, seconds)
    saves, sheets = Interval(SAVE_EVERY_SECONDS), Interval(samples.EVERY_SECONDS)
    running = 0.0
    for step in range(start, phase.steps):
        for optimizer in makers:
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * cosine(step, phase.steps, warmup=min(100, phase.steps // 10))
        batch = Batch(recipe, phase, step, rank, latents.values)
        if teacher is not None:
            batch.velocity = guided(teacher, batch, recipe)
        loss = _update(networks, makers, batch)
        running = loss if step == start else 0.98 * running + 0.02 * loss
        if rank == 0:
            follow(average, networks, step)
            if (step + 1) % motion.EVERY_STEPS == 0:
                progress.report(step + 1, loss=running, **motion.rises(recipe, networks, latents.values))
            elif (step + 1) % 25 == 0:
                progress.report(step + 1, loss=running)
            if step + 1 == phase.steps or saves.due():
                kept = {"step": step + 1, "seconds": progress.seconds, "average": average}
                _keep(state_path(recipe, phase), kept, networks, makers)
            if step + 1 == phase.steps or sheets.due():
                print(samples.draw(recipe, phase, step + 1, average, latents), flush=True)


def _begin(recipe: Recipe, before: Phase | None) -> Networks:
    """New networks, or what the phase before ended with."""
    networks = recipe.networks()
    if before is not None:
        state = load_state(state_path(recipe, before))
        if state is None:
            raise FileNotFoundError(f"phase {before.name} of {recipe.name} is missing; run demo.training first")
        networks.load_state_dict(state["average"])
    return networks


@torch.no_grad()
def guided(teacher: Networks, batch: Batch, recipe: Recipe) -> Tensor:
    """The teacher's velocity in two calls: away from that without a prompt, by each sample's guidance scale."""
    ones = torch.ones_like(batch.guidance)
    without = recipe.tokenize([""] * len(ones))
    with autocast():
        plain = teacher(batch.noisy, batch.levels, ones, *without).float()
        prompted = teacher(batch.noisy, batch.levels, ones, *batch.texts).float()
    away: Tensor = plain + batch.guidance.view(-1, 1, 1, 1, 1) * (prompted - plain)
    return away


def _update(networks: Networks, makers: list[torch.optim.Optimizer], batch: Batch) -> float:
    """One optimizer step; returns this process's loss."""
    with autocast(), sdpa_kernel(SDPBackend.MATH):
        guess = networks(batch.noisy, batch.levels, batch.guidance, *batch.texts)
    error = (guess.float() - batch.velocity) * batch.learned
    loss = error.pow(2).mean() / batch.learned.mean()
    networks.zero_grad(set_to_none=True)
    loss.backward()
    data_parallel.average_gradients(networks.parameters())
    torch.nn.utils.clip_grad_norm_(networks.parameters(), 1.0)
    for optimizer in makers:
        optimizer.step()
    return float(loss.item())


def _keep(path: Path, state: dict[str, Any], networks: nn.Module, makers: list[torch.optim.Optimizer]) -> None:
    optimizers_state = [optimizer.state_dict() for optimizer in makers]
    save_atomically({**state, "model": networks.state_dict(), "optimizers": optimizers_state}, path)


def trained(recipe: Recipe) -> Networks:
    """The averaged networks of the last phase, float32."""
    return _begin(recipe, recipe.phases[-1]).eval()
