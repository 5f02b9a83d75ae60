"""Wan, image to video: the video goes on from a given first frame.

Wan 2.1 I2V sees that frame through a CLIP encoder and as latents beside the noise; Wan 2.2 I2V A14B, with two experts,
only as latents.
"""

from typing import TYPE_CHECKING

from workers.models.entry import ModelEntry
from workers.models.families.wan import Wan

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline


class WanImageToVideo(Wan):
    """Image to video, through the stock `WanImageToVideoPipeline`."""

    name = "wan-i2v"
    input_reference = "required"

    def load(self, entry: ModelEntry) -> "DiffusionPipeline":
        import torch
        from diffusers import WanImageToVideoPipeline

        from workers.models.checkpoint import options

        read = options(entry)
        read["dtype"]["image_encoder"] = torch.float32  # As its model card loads it.
        return self.fitting(WanImageToVideoPipeline.from_pretrained(entry.source, **read))
