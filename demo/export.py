"""Stage 4: the trained parts as one folder that `WanPipeline.from_pretrained` loads."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from diffusers import UniPCMultistepScheduler, WanPipeline

from demo.latents import read
from demo.tokenizer import build_tokenizer
from demo.train_transformer import trained
from demo.train_vae import trained_vae

FOLDER = Path(__file__).parent / "checkpoints" / "wan-tiny"
FLOW_SHIFT = 1.0
"""Real Wan uses 3 to 5; the shift that suits a model shrinks with its number of pixels."""
MAX_BYTES = 16_000_000


def build_scheduler() -> UniPCMultistepScheduler:
    """The scheduler of the real Wan checkpoints but for `flow_shift`."""
    return UniPCMultistepScheduler(
        prediction_type="flow_prediction",
        use_flow_sigmas=True,
        flow_shift=FLOW_SHIFT,
        num_train_timesteps=1000,
        solver_order=2,
    )


def build_pipeline() -> WanPipeline:
    """The pipeline with the weights that training has reached, float32."""
    model, _, _ = trained()
    vae, latents = trained_vae(), read()
    vae.register_to_config(latents_mean=latents.mean, latents_std=latents.std)
    return WanPipeline(
        tokenizer=build_tokenizer(),
        text_encoder=model.text_encoder,
        vae=vae,
        scheduler=build_scheduler(),
        transformer=model.transformer,
    )


def export() -> None:
    """Writes FOLDER, half precision on disk; keeps its model card."""
    pipeline = build_pipeline().to(dtype=torch.float16)
    for part in ("transformer", "vae", "text_encoder", "tokenizer", "scheduler"):
        shutil.rmtree(FOLDER / part, ignore_errors=True)
    pipeline.save_pretrained(FOLDER)
    config_path = FOLDER / "text_encoder" / "config.json"
    config = json.loads(config_path.read_text())
    config["dtype"] = "float32"  # transformers would otherwise compute in the precision of the disk
    config_path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    size = sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file())
    if size > MAX_BYTES:
        raise RuntimeError(f"{FOLDER} has {size} bytes, more than {MAX_BYTES}")
    print(f"{FOLDER}: {size / 1e6:.2f} MB")


if __name__ == "__main__":
    export()
