"""wan-tiny: text to video in the classes of Wan 2.1."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from diffusers import AutoencoderKLWan, UniPCMultistepScheduler, WanPipeline, WanTransformer3DModel
from torch import Tensor, nn
from transformers import UMT5Config, UMT5EncoderModel

from demo.training.recipe import Latents, Networks, Phase, Recipe, VaePhase
from demo.training.tokenizer import MAX_LENGTH, build_tokenizer, vocabulary


class WanNetworks(Networks):
    """An encoder of two layers and a transformer of thirty blocks."""

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

    def forward(self, noisy: Tensor, levels: Tensor, guidance: Tensor, *texts: Tensor) -> Tensor:
        tokens, mask = texts
        text = self.text_encoder(tokens, mask).last_hidden_state * mask.unsqueeze(-1)
        velocity: Tensor = self.transformer(noisy, self.timesteps(noisy, levels), text, return_dict=False)[0]
        return velocity

    def timesteps(self, noisy: Tensor, levels: Tensor) -> Tensor:
        """One timestep for a whole video: [batch]."""
        return 1000.0 * levels[:, 0]


class WanTiny(Recipe):
    """wan-tiny: text to video in the classes of Wan 2.1."""

    name = "wan-tiny"
    vae_dtype = torch.float32
    #: Single frames first; without long clips after them, quality decays along a video.
    vae_phases: ClassVar[tuple[VaePhase, ...]] = (
        VaePhase(800, 8, ((1, 96),)),
        VaePhase(6000, 1, ((17, 64), (33, 56), (17, 88), (33, 40))),
    )
    phases: ClassVar[tuple[Phase, ...]] = (
        Phase("transformer", steps=2700, batch=8, prefix=(800, 5)),
        Phase("shapes", steps=850, batch=8, short=3, shifts=(1.5, 0.5), muon_rate=2.5e-3, adam_rate=1.2e-3),
        Phase("corners", steps=900, batch=8, short=3, shifts=(1.2, 0.1), muon_rate=2.5e-3, adam_rate=1.2e-3),
    )
    expand_timesteps = False

    def vae(self) -> AutoencoderKLWan:
        """4x in time, 8x in space (of which 2x by patches, as Wan2.2's), 8 latent channels."""
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

    def networks(self) -> Networks:
        return WanNetworks()

    def tokenize(self, texts: list[str]) -> tuple[Tensor, ...]:
        encoded = build_tokenizer()(
            texts, padding="max_length", max_length=MAX_LENGTH, truncation=True, return_tensors="pt"
        )
        return encoded.input_ids, encoded.attention_mask

    def scheduler(self) -> UniPCMultistepScheduler:
        """That of the real Wan checkpoints but for `flow_shift`, which shrinks with the number of pixels."""
        return UniPCMultistepScheduler(
            prediction_type="flow_prediction",
            use_flow_sigmas=True,
            flow_shift=1.0,
            num_train_timesteps=1000,
            solver_order=2,
        )

    def pipeline(self, networks: Networks, vae: Any, latents: Latents) -> WanPipeline:
        vae.register_to_config(latents_mean=latents.mean, latents_std=latents.std)
        return WanPipeline(
            tokenizer=build_tokenizer(),
            text_encoder=networks.text_encoder,
            vae=vae,
            scheduler=self.scheduler(),
            transformer=networks.transformer,
            expand_timesteps=self.expand_timesteps,
        )


RECIPE = WanTiny()
