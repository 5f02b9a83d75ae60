"""flux-tiny: text to image in the classes of FLUX.1-dev, with guidance distilled into one call."""

from __future__ import annotations

import random
from typing import Any

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel

from demo.training.pictures import WORDS, picture_caption, pictures_of_shapes, render_picture
from demo.training.recipe import Latents, Networks, Phase, Recipe, VaePhase
from demo.training.tokenizer import build_tokenizer, vocabulary

CHANNELS = 8
"""Of the latents: half as many as FLUX.1's, which has four times as many pixels to a latent."""
MAX_LENGTH = 32


class FluxNetworks(Networks):
    """Two text encoders of two layers, 5 blocks of two streams and 12 of one."""

    def __init__(self) -> None:
        super().__init__()
        words = len(vocabulary()) + len(WORDS)
        self.text_encoder = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=words, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=2,
                max_position_embeddings=MAX_LENGTH, pad_token_id=0, bos_token_id=1, eos_token_id=1,
            )
        )  # fmt: skip
        self.text_encoder_2 = T5EncoderModel(
            T5Config(
                vocab_size=words, d_model=128, d_kv=32, d_ff=256, num_layers=2, num_heads=4, dropout_rate=0.0,
                pad_token_id=0, eos_token_id=1,
            )
        )  # fmt: skip
        self.transformer = FluxTransformer2DModel(
            in_channels=4 * CHANNELS, num_layers=5, num_single_layers=12, num_attention_heads=4, attention_head_dim=32,
            axes_dims_rope=(8, 12, 12), joint_attention_dim=128, pooled_projection_dim=64, guidance_embeds=True,
        )  # fmt: skip
        nn.init.zeros_(self.transformer.proj_out.weight)
        nn.init.zeros_(self.transformer.proj_out.bias)

    def forward(self, noisy: Tensor, levels: Tensor, guidance: Tensor, *texts: Tensor) -> Tensor:
        clip_tokens, t5_tokens = texts
        batch, channels, _, height, width = noisy.shape
        velocity: Tensor = self.transformer(
            hidden_states=FluxPipeline._pack_latents(noisy[:, :, 0], batch, channels, height, width),
            encoder_hidden_states=self.text_encoder_2(t5_tokens).last_hidden_state,
            pooled_projections=self.text_encoder(clip_tokens).pooler_output,
            timestep=levels[:, 0],
            guidance=guidance,
            img_ids=FluxPipeline._prepare_latent_image_ids(batch, height // 2, width // 2, "cpu", torch.float32),
            txt_ids=torch.zeros(t5_tokens.shape[1], 3),
            return_dict=False,
        )[0]
        patches = velocity.view(batch, height // 2, width // 2, channels, 2, 2)
        return patches.permute(0, 3, 1, 4, 2, 5).reshape(batch, channels, 1, height, width)


class FluxTiny(Recipe):
    """flux-tiny: text to image in the classes of FLUX.1."""

    name = "flux-tiny"
    clips = 32768
    still = True
    emoji = True
    samples = (
        "a red square on a white background",
        "a yellow triangle on a checkered background",
        "a red apple on a white background",
        "a cat face with tears of joy on a gray background",
        "a rocket on a black background",
        "a blue letter k on a white background",
        "an outlined green cross on a black background",
        "red and blue confetti on a white background",
    )
    normalised = "shift and scale"
    vae_phases = (VaePhase(4000, 8, ((1, 96),)),)
    phases = (
        Phase("transformer", steps=2200, batch=32, shifts=(1.6, 0.5), muon_rate=2.5e-3, adam_rate=1.2e-3),
        Phase("shapes", steps=1200, batch=32, shifts=(1.2, 0.4), favoured=("any", 0.4), muon_rate=2e-3, adam_rate=1e-3),
        Phase("guidance", steps=120, batch=24, shifts=(1.6, 0.5), muon_rate=1e-3, adam_rate=5e-4, guidances=(1.0, 5.0)),
    )

    def vae(self) -> AutoencoderKL:
        """4x in space."""
        vae = AutoencoderKL(
            down_block_types=["DownEncoderBlock2D"] * 3,
            up_block_types=["UpDecoderBlock2D"] * 3,
            block_out_channels=[16, 32, 64],
            layers_per_block=1,
            latent_channels=CHANNELS,
            norm_num_groups=8,
            use_quant_conv=False,
            use_post_quant_conv=False,
        )
        with torch.no_grad():  # begin with little posterior noise, or the first steps learn nothing
            vae.encoder.conv_out.bias[CHANNELS:] -= 6.0
        return vae

    def render(self, seed: int, frames: Tensor) -> Tensor:
        return render_picture(seed, frames)

    def caption(self, seed: int, rng: random.Random) -> str:
        return picture_caption(seed, rng)

    def showing(self, shape: str) -> tuple[int, ...]:
        """Seeds of the pictures of `any` shape. Raises ValueError for one of them alone, which no phase asks for."""
        if shape != "any":
            raise ValueError(f"flux-tiny favours pictures of any shape, not of {shape!r} alone")
        return pictures_of_shapes(self.clips)

    def networks(self) -> Networks:
        return FluxNetworks()

    def tokenize(self, texts: list[str]) -> tuple[Tensor, ...]:
        tokens = build_tokenizer(WORDS, MAX_LENGTH)(
            texts, padding="max_length", max_length=MAX_LENGTH, truncation=True, return_tensors="pt"
        ).input_ids
        return tokens, tokens

    def pipeline(self, networks: Networks, vae: Any, latents: Latents) -> FluxPipeline:
        vae.register_to_config(scaling_factor=1.0 / latents.std[0], shift_factor=latents.mean[0])
        return FluxPipeline(
            tokenizer=build_tokenizer(WORDS, MAX_LENGTH),
            text_encoder=networks.text_encoder,
            tokenizer_2=build_tokenizer(WORDS, MAX_LENGTH),
            text_encoder_2=networks.text_encoder_2,
            transformer=networks.transformer,
            vae=vae,
            scheduler=FlowMatchEulerDiscreteScheduler(  # FLUX.1-dev's
                shift=3.0, use_dynamic_shifting=True, base_shift=0.5, max_shift=1.15, base_image_seq_len=256,
                max_image_seq_len=4096,
            ),
        )  # fmt: skip


RECIPE = FluxTiny()
