"""Wan's other checkpoints with random weights: two experts, image to video, and a timestep for every token."""

from pathlib import Path
from typing import Any

import torch
from diffusers import WanImageToVideoPipeline, WanPipeline
from PIL import Image
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModel

from tests.catalogues import a_micro_model
from tests.workers.micro_wan import a_scheduler, a_transformer, a_vae, text_parts
from workers.models.entry import ModelEntry

BOUNDARY = 0.6


def save_micro_experts(folder: Path) -> None:
    """As Wan 2.2 T2V A14B."""
    torch.manual_seed(1)
    WanPipeline(
        **text_parts(),
        transformer=a_transformer(),
        transformer_2=a_transformer(),
        boundary_ratio=BOUNDARY,
        vae=a_vae(),
        scheduler=a_scheduler(),
    ).save_pretrained(folder)


def save_micro_i2v(folder: Path) -> None:
    """As Wan 2.1 I2V: the image through CLIP, and as a mask of 4 and latents of 4 channels beside the noise."""
    torch.manual_seed(2)
    clip = CLIPVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=16, patch_size=8
    )
    WanImageToVideoPipeline(
        **text_parts(),
        image_encoder=CLIPVisionModel(clip),
        image_processor=CLIPImageProcessor(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}),
        transformer=a_transformer(in_channels=12, image_dim=16, added_kv_proj_dim=24),
        vae=a_vae(),
        scheduler=a_scheduler(),
    ).save_pretrained(folder)


def save_micro_i2v_experts(folder: Path) -> None:
    """As Wan 2.2 I2V A14B: no CLIP."""
    torch.manual_seed(3)
    WanImageToVideoPipeline(
        **text_parts(),
        transformer=a_transformer(in_channels=12),
        transformer_2=a_transformer(in_channels=12),
        boundary_ratio=BOUNDARY,
        vae=a_vae(),
        scheduler=a_scheduler(),
    ).save_pretrained(folder)


def save_micro_ti2v(folder: Path) -> None:
    """As Wan 2.2 TI2V 5B: a VAE that halves the sides once more."""
    torch.manual_seed(4)
    WanPipeline(
        **text_parts(),
        transformer=a_transformer(),
        expand_timesteps=True,
        vae=a_vae(
            is_residual=True, patch_size=2, in_channels=12, out_channels=12, decoder_base_dim=4, scale_factor_spatial=16
        ),
        scheduler=a_scheduler(),
    ).save_pretrained(folder)


def variant_entry(folder: Path, family: str, *, experts: bool = False, **fields: Any) -> ModelEntry:
    """The catalogue entry for one of these checkpoints."""
    defaults = {"width": 64, "height": 64, "guidance_2": 2.0 if experts else None}
    return a_micro_model("micro", family, folder, defaults=defaults | fields.pop("defaults", {}), **fields)


def a_picture(width: int = 64, height: int = 64) -> Image.Image:
    """A gradient, the same every time."""
    return Image.linear_gradient("L").resize((width, height)).convert("RGB")
