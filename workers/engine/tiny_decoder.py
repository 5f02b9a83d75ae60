"""A tiny decoder for previews, in the place of a linear map: `AutoencoderTiny` of diffusers, frame by frame."""

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderTiny
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from workers.engine.host import on_host
from workers.engine.loaded import LoadedModel
from workers.jobs.errors import ModelLoadFailed
from workers.media.animation import SIDE


class TinyDecoder:
    """Knows how from the first run on, and learns nothing."""

    known, learns = True, False

    def __init__(self, decoder: AutoencoderTiny) -> None:
        self._decoder = decoder
        self._scale, self._shift = float(decoder.config.scaling_factor), float(decoder.config.shift_factor)

    @torch.no_grad()
    def pictures(self, latents: Tensor) -> NDArray[np.uint8]:
        """`[channels, frames, height, width]` as `[frames, height, width, 3]`, RGB, no larger than a preview."""
        batch = (latents.transpose(0, 1) / self._scale + self._shift).to(self._decoder.device, self._decoder.dtype)
        frames = self._decoder.decode(batch, return_dict=False)[0].float()
        if (factor := SIDE / max(frames.shape[-2:])) < 1:
            frames = interpolate(frames, scale_factor=factor, mode="area")
        colours = (frames.nan_to_num().clamp(-1, 1) + 1) * 127.5
        return on_host(colours.permute(0, 2, 3, 1)).round().astype(np.uint8)

    def learn(self, latents: Tensor, frames: NDArray[np.uint8]) -> None:
        """Nothing."""


def load_tiny_decoder(folder: Path, model: LoadedModel) -> TinyDecoder:
    """For previews of a model, from a folder that `workers.models.preview_decoder` has nothing against.

    It is used once, so that the first preview takes no longer than others.

    Raises `ModelLoadFailed` for one that cannot be read, or has weights that are not finite.
    """
    try:
        dtype = getattr(torch, model.entry.dtype)
        decoder = AutoencoderTiny.from_pretrained(folder, torch_dtype=dtype, use_safetensors=True)
        if not all(bool(torch.isfinite(weight).all()) for weight in decoder.parameters()):
            raise ValueError("its weights are not finite")
        tiny = TinyDecoder(decoder.eval().to(model.pipeline._execution_device))
        tiny.pictures(torch.zeros(model.latent_channels, 1, 8, 8))
    except Exception as error:
        raise ModelLoadFailed(f"model {model.entry.name}: preview_decoder {folder}: {error}") from error
    return tiny
