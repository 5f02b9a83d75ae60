"""A FLUX checkpoint with random weights, a few thousand parameters."""

from pathlib import Path

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel

from tests.catalogues import a_micro_model
from tests.workers.micro_text import tokenizer
from workers.models.entry import ModelEntry

BLOCKS = 2 + 3


def save_micro_flux(folder: Path, *, guidance_embeds: bool = True) -> None:
    """Write the checkpoint as `from_pretrained` expects it."""
    torch.manual_seed(0)
    clip = CLIPTextConfig(
        vocab_size=8, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=8, pad_token_id=0, bos_token_id=1, eos_token_id=1,
    )  # fmt: skip
    t5 = T5Config(vocab_size=8, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2, pad_token_id=0)
    FluxPipeline(
        tokenizer=tokenizer(max_length=8),
        text_encoder=CLIPTextModel(clip),
        tokenizer_2=tokenizer(max_length=8),
        text_encoder_2=T5EncoderModel(t5),
        transformer=FluxTransformer2DModel(
            in_channels=16,
            num_layers=2,
            num_single_layers=3,
            num_attention_heads=2,
            attention_head_dim=12,
            axes_dims_rope=(4, 4, 4),
            joint_attention_dim=16,
            pooled_projection_dim=16,
            guidance_embeds=guidance_embeds,
        ),
        vae=AutoencoderKL(
            down_block_types=["DownEncoderBlock2D"] * 4,
            up_block_types=["UpDecoderBlock2D"] * 4,
            block_out_channels=[4] * 4,
            layers_per_block=1,
            latent_channels=4,
            norm_num_groups=2,
            scaling_factor=0.36,
            shift_factor=0.12,
            use_quant_conv=False,
            use_post_quant_conv=False,
        ),
        # As FLUX.1-dev's.
        scheduler=FlowMatchEulerDiscreteScheduler(
            shift=3.0, use_dynamic_shifting=True, base_shift=0.5, max_shift=1.15, base_image_seq_len=256,
            max_image_seq_len=4096,
        ),
    ).save_pretrained(folder)  # fmt: skip


def save_micro_schnell(folder: Path) -> None:
    """As FLUX.1-schnell, whose transformer has no guidance input."""
    save_micro_flux(folder, guidance_embeds=False)


def micro_entry(folder: Path, **changes: object) -> ModelEntry:
    """The catalogue entry for the checkpoint."""
    defaults = {"frames": 1, "fps": 1, "guidance": 3.5, "flow_shift": None}
    entry = a_micro_model("micro-flux", "flux", folder, defaults=defaults, limits={"max_frames": 1})
    return entry.model_copy(update=changes)
