"""hunyuan-tiny: text to video in the classes of HunyuanVideo, with guidance distilled into one call."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import (
    AutoencoderKLHunyuanVideo,
    FlowMatchEulerDiscreteScheduler,
    HunyuanVideoPipeline,
    HunyuanVideoTransformer3DModel,
)
from diffusers.pipelines.hunyuan_video.pipeline_hunyuan_video import DEFAULT_PROMPT_TEMPLATE
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, LlamaConfig, LlamaModel, PreTrainedTokenizerFast

from demo.training.recipe import Latents, Networks, Phase, Recipe, VaePhase
from demo.training.tokenizer import build_tokenizer, vocabulary

CHANNELS = 16
"""Of the latents."""
PROMPT_LENGTH = 48
CLIP_LENGTH = 77
"""The pipeline pads to this, whatever the checkpoint."""
TEMPLATE = DEFAULT_PROMPT_TEMPLATE["template"]
TEMPLATE_LENGTH = DEFAULT_PROMPT_TEMPLATE["crop_start"]
"""Tokens of the instruction before the prompt, which the pipeline cuts off after encoding."""
HEADERS = ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
BEGIN = "<|begin_of_text|>"


def llama_tokenizer() -> PreTrainedTokenizerFast:
    """Word by word the instruction has 91 tokens, the real tokenizer's has 95: four at the beginning make up for it."""
    words = "".join(c.lower() if c.isalpha() else f" {c} " for c in _spoken()).split()
    return build_tokenizer(words, 4096, special=(*HEADERS, BEGIN), template=f"{BEGIN} " * 4 + "$A")


def _spoken() -> str:
    """The instruction without headers and the place of the prompt."""
    text: str = TEMPLATE.replace("{}", "")
    for header in HEADERS:
        text = text.replace(header, " ")
    return text


_FINE: dict[str, Any] = {"shifts": (1.2, 0.1), "muon_rate": 2.5e-3, "adam_rate": 1.2e-3}
"""Of the phases that teach edges: low noise levels."""


class HunyuanNetworks(Networks):
    """Llama, CLIP, 4 blocks of two streams and 7 of one."""

    def __init__(self) -> None:
        super().__init__()
        self.text_encoder = LlamaModel(
            LlamaConfig(
                vocab_size=len(llama_tokenizer()), hidden_size=128, intermediate_size=256, num_attention_heads=4,
                num_key_value_heads=4, num_hidden_layers=4, max_position_embeddings=256, pad_token_id=0,
                bos_token_id=llama_tokenizer().convert_tokens_to_ids(BEGIN), eos_token_id=1,
            )
        )  # fmt: skip
        self.text_encoder_2 = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=len(vocabulary()), hidden_size=64, intermediate_size=128, num_hidden_layers=2,
                num_attention_heads=2, max_position_embeddings=CLIP_LENGTH, pad_token_id=0, bos_token_id=1,
                eos_token_id=1,
            )
        )  # fmt: skip
        self.transformer = HunyuanVideoTransformer3DModel(
            in_channels=CHANNELS, out_channels=CHANNELS, num_attention_heads=4, attention_head_dim=32, num_layers=4,
            num_single_layers=7, num_refiner_layers=1, mlp_ratio=3.0, text_embed_dim=128, pooled_projection_dim=64,
            rope_axes_dim=(8, 12, 12),
        )  # fmt: skip
        nn.init.zeros_(self.transformer.proj_out.weight)
        nn.init.zeros_(self.transformer.proj_out.bias)

    def forward(self, noisy: Tensor, levels: Tensor, guidance: Tensor, *texts: Tensor) -> Tensor:
        llama_tokens, mask, clip_tokens = texts
        # The pipeline reads the third output from the end.
        text = self.text_encoder(llama_tokens, mask, output_hidden_states=True).hidden_states[-3]
        velocity: Tensor = self.transformer(
            hidden_states=noisy,
            timestep=1000.0 * levels[:, 0],
            encoder_hidden_states=text[:, TEMPLATE_LENGTH:],
            encoder_attention_mask=mask[:, TEMPLATE_LENGTH:],
            pooled_projections=self.text_encoder_2(clip_tokens).pooler_output,
            guidance=1000.0 * guidance,
            return_dict=False,
        )[0]
        return velocity


class HunyuanTiny(Recipe):
    """hunyuan-tiny: text to video in the classes of HunyuanVideo."""

    name = "hunyuan-tiny"
    clips = 6144
    stride = 2
    normalised = "scale"
    #: No crop is wider: from 96 pixels on the gradient of a 3D convolution in bfloat16 writes where it must not
    #: (torch 2.13.0 on CPUs with AMX, oneDNN 3.12).
    vae_phases = (VaePhase(2400, 8, ((1, 64),)), VaePhase(10000, 1, ((17, 64), (17, 56), (9, 88), (17, 40)), rate=0.3))
    phases = (
        Phase("transformer", steps=1800, batch=8, prefix=(500, 2)),
        Phase("shapes", steps=1200, batch=8, short=2, shifts=(1.8, 0.6), muon_rate=2.5e-3, adam_rate=1.2e-3),
        Phase("corners", steps=4000, batch=8, short=2, **_FINE),
        Phase("crosses", steps=1500, batch=8, short=2, favoured=("cross", 0.25), **_FINE),
        Phase("whole", steps=1800, batch=8, favoured=("cross", 0.3), **_FINE),
        Phase("guidance", steps=150, batch=8, muon_rate=1e-3, adam_rate=5e-4, guidances=(1.0, 6.0)),
    )

    def vae(self) -> AutoencoderKLHunyuanVideo:
        """4x in time, 8x in space."""
        vae = AutoencoderKLHunyuanVideo(
            latent_channels=CHANNELS,
            block_out_channels=(16, 32, 64, 64),
            layers_per_block=1,
            norm_num_groups=8,
        )
        with torch.no_grad():  # begin with little posterior noise, or the first steps learn nothing
            vae.quant_conv.bias[CHANNELS:] -= 6.0
        return vae

    def networks(self) -> Networks:
        return HunyuanNetworks()

    def tokenize(self, texts: list[str]) -> tuple[Tensor, ...]:
        llama = llama_tokenizer()(
            [TEMPLATE.format(text) for text in texts], padding="max_length",
            max_length=TEMPLATE_LENGTH + PROMPT_LENGTH, truncation=True, return_tensors="pt",
        )  # fmt: skip
        clip = build_tokenizer(max_length=CLIP_LENGTH)(
            texts, padding="max_length", max_length=CLIP_LENGTH, truncation=True, return_tensors="pt"
        )
        return llama.input_ids, llama.attention_mask, clip.input_ids

    def pipeline(self, networks: Networks, vae: Any, latents: Latents) -> HunyuanVideoPipeline:
        vae.register_to_config(scaling_factor=1.0 / latents.std[0])
        return HunyuanVideoPipeline(
            tokenizer=llama_tokenizer(),
            text_encoder=networks.text_encoder,
            tokenizer_2=build_tokenizer(max_length=CLIP_LENGTH),
            text_encoder_2=networks.text_encoder_2,
            transformer=networks.transformer,
            vae=vae,
            scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        )


RECIPE = HunyuanTiny()
