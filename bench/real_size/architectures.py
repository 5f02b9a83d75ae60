"""The transformers that ScalingCache is for, at their real size, with random weights and random inputs."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from workers.jobs.errors import InvalidRequest

SIZE_MULTIPLE = 16  # pixels of a token's side, in all of them
FRAME_MULTIPLE = 4  # frames of one of latents, in all that make videos
HEAD = 128  # channels of one attention head, in all of them

Device = Literal["cpu", "cuda"]
Dtype = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class Size:
    """What is generated, and how much of the model is built: `blocks` and `heads` None build all."""

    width: int
    height: int
    frames: int
    blocks: int | None = None
    heads: int | None = None

    @property
    def latent(self) -> tuple[int, int, int]:
        """Frames, height, width of the latents."""
        return (self.frames - 1) // 4 + 1, self.height // 8, self.width // 8

    @property
    def tokens(self) -> int:
        """How many image or video tokens the transformer sees."""
        frames, height, width = self.latent
        return frames * (height // 2) * (width // 2)


@dataclass(frozen=True)
class Architecture:
    """One model. build: the transformer, on torch's default device and dtype. inputs: its arguments for a size.

    separate: whether cache-dit takes blocks of two kinds apart, and computes the first of each kind in every step.
    """

    family: str
    streams: tuple[str, ...]
    size: Size
    blocks: int
    heads: int
    build: Callable[[int, int], nn.Module]
    inputs: Callable[[Size], dict[str, Tensor]]
    separate: bool = False

    @property
    def dbcache_blocks(self) -> int:
        """From how many blocks on cache-dit's DBCache leaves one out: the first is computed in every step."""
        return 3 if self.separate else 2

    def transformer(self, size: Size) -> nn.Module:
        """Built without a forward pass; at full size that takes the weights' memory and some seconds."""
        return self.build(size.blocks or self.blocks, size.heads or self.heads).eval().requires_grad_(False)

    def resized(self, **wanted: int | None) -> Size:
        """Its size with other values where they are not None. Raises `InvalidRequest` for one that it cannot have."""
        size = replace(self.size, **{name: value for name, value in wanted.items() if value is not None})
        for side, pixels in (("width", size.width), ("height", size.height)):
            if pixels < SIZE_MULTIPLE or pixels % SIZE_MULTIPLE:
                raise InvalidRequest(side, f"--{side} {pixels} must be a multiple of {SIZE_MULTIPLE} above 0")
        if self.size.frames == 1 and size.frames != 1:
            raise InvalidRequest("frames", f"--frames {size.frames} must be 1: the model makes images")
        if size.frames < 1 or size.frames % FRAME_MULTIPLE != 1:
            raise InvalidRequest("frames", f"--frames {size.frames} must be {FRAME_MULTIPLE}k+1: 1, 5, 9, ...")
        for part, count, most in (("blocks", size.blocks, self.blocks), ("heads", size.heads, self.heads)):
            if count is not None and not 1 <= count <= most:
                raise InvalidRequest(part, f"--{part} {count} must be between 1 and {most}, as many as the model has")
        return size


def _wan(ffn: int, real_heads: int) -> Callable[[int, int], nn.Module]:
    def build(blocks: int, heads: int) -> nn.Module:
        from diffusers import WanTransformer3DModel

        transformer: nn.Module = WanTransformer3DModel(
            num_layers=blocks, num_attention_heads=heads, ffn_dim=ffn * heads // real_heads
        )
        return transformer

    return build


def _wan_inputs(size: Size) -> dict[str, Tensor]:
    return {
        "hidden_states": torch.randn(1, 16, *size.latent),
        "timestep": torch.tensor([500.0]),
        "encoder_hidden_states": torch.randn(1, 512, 4096),
    }


def _flux(blocks: int, heads: int) -> nn.Module:
    from diffusers import FluxTransformer2DModel

    double = max(1, round(blocks / 3))
    transformer: nn.Module = FluxTransformer2DModel(
        num_layers=double, num_single_layers=blocks - double, num_attention_heads=heads, guidance_embeds=True
    )
    return transformer


def _flux_inputs(size: Size) -> dict[str, Tensor]:
    return {
        "hidden_states": torch.randn(1, size.tokens, 64),
        "timestep": torch.tensor([0.5]),
        "guidance": torch.tensor([3.5]),
        "pooled_projections": torch.randn(1, 768),
        "encoder_hidden_states": torch.randn(1, 512, 4096),
        "txt_ids": torch.zeros(512, 3),
        "img_ids": torch.zeros(size.tokens, 3),
    }


def _hunyuan(blocks: int, heads: int) -> nn.Module:
    from diffusers import HunyuanVideoTransformer3DModel

    double = max(1, round(blocks / 3))
    transformer: nn.Module = HunyuanVideoTransformer3DModel(
        num_layers=double, num_single_layers=blocks - double, num_attention_heads=heads, guidance_embeds=True
    )
    return transformer


def _hunyuan_inputs(size: Size) -> dict[str, Tensor]:
    return {
        "hidden_states": torch.randn(1, 16, *size.latent),
        "timestep": torch.tensor([500.0]),
        "encoder_hidden_states": torch.randn(1, 256, 4096),
        "encoder_attention_mask": torch.ones(1, 256),
        "pooled_projections": torch.randn(1, 768),
        "guidance": torch.tensor([6000.0]),
    }


_GUIDED = ("cond", "uncond")
ARCHITECTURES: dict[str, Architecture] = {
    "wan2.1-1.3b": Architecture("wan", _GUIDED, Size(832, 480, 81), 30, 12, _wan(8960, 12), _wan_inputs),
    "wan2.1-14b": Architecture("wan", _GUIDED, Size(832, 480, 81), 40, 40, _wan(13824, 40), _wan_inputs),
    "flux.1-dev": Architecture("flux", ("cond",), Size(1360, 768, 1), 19 + 38, 24, _flux, _flux_inputs),
    "hunyuan-video": Architecture(
        "hunyuan_video", ("cond",), Size(960, 544, 129), 20 + 40, 24, _hunyuan, _hunyuan_inputs, separate=True
    ),
}


def named(model: str) -> Architecture:
    """The architecture called so. Raises `InvalidRequest`."""
    if model not in ARCHITECTURES:
        raise InvalidRequest("model", f"--model {model}: there is no such model; there are {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[model]
