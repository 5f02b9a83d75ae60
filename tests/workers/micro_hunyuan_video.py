"""A HunyuanVideo checkpoint with random weights, a few thousand parameters."""

from pathlib import Path

import torch
from diffusers import (
    AutoencoderKLHunyuanVideo,
    FlowMatchEulerDiscreteScheduler,
    HunyuanVideoPipeline,
    HunyuanVideoTransformer3DModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, LlamaConfig, LlamaModel

from tests.catalogues import a_micro_model
from tests.workers.micro_text import tokenizer
from workers.models.entry import ModelEntry

BLOCKS = 2 + 3


def save_micro_hunyuan_video(folder: Path) -> None:
    """Write the checkpoint as `from_pretrained` expects it."""
    torch.manual_seed(0)
    llama = LlamaConfig(
        vocab_size=8, hidden_size=16, intermediate_size=16, num_hidden_layers=3, num_attention_heads=2,
        num_key_value_heads=2, pad_token_id=0, bos_token_id=1, eos_token_id=1,
    )  # fmt: skip
    clip = CLIPTextConfig(
        vocab_size=8, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=77, pad_token_id=0, bos_token_id=1, eos_token_id=1,
    )  # fmt: skip
    HunyuanVideoPipeline(
        tokenizer=tokenizer(max_length=256),
        text_encoder=LlamaModel(llama),
        tokenizer_2=tokenizer(max_length=77),
        text_encoder_2=CLIPTextModel(clip),
        transformer=HunyuanVideoTransformer3DModel(
            in_channels=4,
            out_channels=4,
            num_attention_heads=2,
            attention_head_dim=12,
            num_layers=2,
            num_single_layers=3,
            num_refiner_layers=1,
            rope_axes_dim=(4, 4, 4),
            text_embed_dim=16,
            pooled_projection_dim=16,
        ),
        vae=AutoencoderKLHunyuanVideo(
            latent_channels=4, block_out_channels=(4, 4, 4, 4), layers_per_block=1, norm_num_groups=2
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=7.0),  # as HunyuanVideo's
    ).save_pretrained(folder)


def micro_entry(folder: Path, **changes: object) -> ModelEntry:
    """The catalogue entry for the checkpoint."""
    defaults = {"guidance": 6.0, "flow_shift": 7.0, "max_sequence_length": 40}
    return a_micro_model("micro-hunyuan-video", "hunyuan_video", folder, defaults=defaults).model_copy(update=changes)
