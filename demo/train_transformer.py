"""Stage 3: text encoder and transformer, trained together by flow matching."""

from __future__ import annotations

import random
from typing import Any

import torch
from diffusers import WanTransformer3DModel
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import PreTrainedTokenizerFast, UMT5Config, UMT5EncoderModel

from demo import pair
from demo.captions import caption
from demo.clips import training_spec
from demo.latents import CLIPS, read
from demo.muon import Muon
from demo.progress import WORK, Progress, cosine, load_state, save_atomically
from demo.tokenizer import MAX_LENGTH, build_tokenizer, vocabulary

STATE = WORK / "transformer.pt"
SEED = 20261123
BATCH = 8
"""Clips per process and step."""
PREFIX_STEPS, PREFIX_FRAMES = 800, 5
"""The first steps see only this many latent frames: a valid shorter clip at a third of the cost."""
FULL_STEPS = 1900
STEPS = PREFIX_STEPS + FULL_STEPS
MUON_RATE, ADAM_RATE = 3e-3, 1.5e-3
WEIGHT_DECAY = 0.01
CAPTION_DROP = 0.1
EMA_DECAY = 0.995
TIME_SHIFTS, TIME_SPREAD = (3.0, 1.0), 1.3
"""sigma = sigmoid(shift + spread * normal), the shift falling from the first value to the second over the training.

So few pixels are decided early: where an object is and which way it moves is settled between sigma 1 and 0.9. With a
shift of 0.9 from the start, a tenth of the clips came from there, and 2,800 steps taught no direction at all; the same
model told left from right after 100 steps with a shift of 3. Details come with the low noise levels of the end.
"""


class TextToLatents(nn.Module):
    """The two networks that learn together; the pipeline's names for them."""

    def __init__(self) -> None:
        super().__init__()
        self.text_encoder = UMT5EncoderModel(
            UMT5Config(
                vocab_size=len(vocabulary()),
                d_model=128,
                d_kv=32,
                d_ff=256,
                num_layers=2,
                num_heads=4,
                dropout_rate=0.0,
                pad_token_id=0,
                eos_token_id=1,
            )
        )
        self.transformer = WanTransformer3DModel(
            patch_size=(1, 2, 2),
            num_attention_heads=4,
            attention_head_dim=32,
            in_channels=8,
            out_channels=8,
            text_dim=128,
            freq_dim=64,
            ffn_dim=320,
            num_layers=30,
            cross_attn_norm=True,
            qk_norm="rms_norm_across_heads",
            rope_max_seq_len=64,
        )
        nn.init.zeros_(self.transformer.proj_out.weight)
        nn.init.zeros_(self.transformer.proj_out.bias)

    def forward(self, noisy: Tensor, sigma: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
        """Velocity (noise - data) of latents [batch, 8, frames, height, width] at noise levels `sigma` [batch]."""
        text = self.text_encoder(tokens, mask).last_hidden_state * mask.unsqueeze(-1)
        velocity: Tensor = self.transformer(noisy, 1000.0 * sigma, text, return_dict=False)[0]
        return velocity


class Batch:
    """What a process learns from in one step; a pure function of step and rank."""

    def __init__(self, step: int, rank: int, latents: Tensor, tokenizer: PreTrainedTokenizerFast) -> None:
        rng = random.Random(f"transformer {SEED} {step} {rank}")
        seeds = rng.sample(range(CLIPS), BATCH)
        texts = ["" if rng.random() < CAPTION_DROP else caption(training_spec(seed), rng) for seed in seeds]
        encoded = tokenizer(texts, padding="max_length", max_length=MAX_LENGTH, truncation=True, return_tensors="pt")
        self.tokens, self.mask = encoded.input_ids, encoded.attention_mask
        clean = latents[seeds].float()
        if step < PREFIX_STEPS:
            clean = clean[:, :, :PREFIX_FRAMES]
        generator = torch.Generator().manual_seed(rng.getrandbits(60))
        noise = torch.randn(clean.shape, generator=generator)
        strata = (torch.arange(BATCH) + torch.rand(BATCH, generator=generator)) / BATCH
        shift = TIME_SHIFTS[0] + (TIME_SHIFTS[1] - TIME_SHIFTS[0]) * step / STEPS
        self.sigma = torch.sigmoid(shift + TIME_SPREAD * torch.special.ndtri(strata.clamp(1e-4, 1 - 1e-4)))
        level = self.sigma.view(-1, 1, 1, 1, 1)
        self.noisy, self.velocity = (1.0 - level) * clean + level * noise, noise - clean


def optimizers(model: TextToLatents) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the networks, AdamW for embeddings, first and last layers, biases and norms."""
    outside = ("shared", "embed_tokens", "proj_out", "patch_embedding", "relative_attention_bias")
    named = dict(model.named_parameters())
    matrices = [p for name, p in named.items() if p.ndim == 2 and not any(part in name for part in outside)]
    known = {id(p) for p in matrices}
    others = [p for p in named.values() if id(p) not in known]
    made = [
        Muon(matrices, MUON_RATE, momentum=0.95, weight_decay=WEIGHT_DECAY),
        torch.optim.AdamW(others, ADAM_RATE, (0.9, 0.99), weight_decay=0.0),
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


def train(rank: int) -> None:
    """Trains, or goes on training, until STATE holds the finished networks; one process of the pair."""
    torch.manual_seed(SEED)
    model, tokenizer, latents = TextToLatents(), build_tokenizer(), read().values
    makers = optimizers(model)
    average = {name: value.clone() for name, value in model.state_dict().items()}
    state = load_state(STATE)
    start, before = 0, 0.0
    if state:
        model.load_state_dict(state["model"])
        average = state["average"]
        for optimizer, saved in zip(makers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        start, before = state["step"], state["seconds"]
    for block in model.transformer.blocks:
        block.compile(dynamic=False)
    progress = Progress("transformer", STEPS, start, before)
    running = 0.0
    for step in range(start, STEPS):
        for optimizer in makers:
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * cosine(step, STEPS, warmup=100)
        loss = _update(model, makers, Batch(step, rank, latents, tokenizer))
        running = loss if step == start else 0.98 * running + 0.02 * loss
        if rank == 0:
            follow(average, model, step)
            if (step + 1) % 25 == 0:
                progress.report(step + 1, loss=running)
            if step + 1 == STEPS or progress.save_due():
                _keep({"step": step + 1, "seconds": progress.seconds, "average": average}, model, makers)


def _update(model: TextToLatents, makers: list[torch.optim.Optimizer], batch: Batch) -> float:
    """One optimizer step; returns this process's loss."""
    with torch.autocast("cpu", torch.bfloat16), sdpa_kernel(SDPBackend.MATH):
        guess = model(batch.noisy, batch.sigma, batch.tokens, batch.mask)
    loss = (guess.float() - batch.velocity).pow(2).mean()
    model.zero_grad(set_to_none=True)
    loss.backward()
    pair.average_gradients(model.parameters())
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer in makers:
        optimizer.step()
    return loss.item()


def _keep(state: dict[str, Any], model: nn.Module, makers: list[torch.optim.Optimizer]) -> None:
    optimizers_state = [optimizer.state_dict() for optimizer in makers]
    save_atomically({**state, "model": model.state_dict(), "optimizers": optimizers_state}, STATE)


def trained() -> tuple[TextToLatents, int, float]:
    """The averaged networks in STATE, float32, with the steps and seconds they took."""
    state = load_state(STATE)
    if state is None:
        raise FileNotFoundError(f"no trained transformer at {STATE}; run demo.train_transformer first")
    model = TextToLatents()
    model.load_state_dict(state["average"])
    return model.eval(), state["step"], state["seconds"]


if __name__ == "__main__":
    pair.run(train)
