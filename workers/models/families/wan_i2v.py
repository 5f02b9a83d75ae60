"""Wan, image to video: the video goes on from a given first frame.

Wan 2.1 I2V sees that frame through a CLIP encoder and as latents beside the noise; Wan 2.2 I2V A14B, with two experts,
only as latents.
"""

from typing import TYPE_CHECKING

from workers.models.entry import ModelEntry
from workers.models.families.wan import Wan

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline

    from workers.models.parts import Checkpoint


class WanImageToVideo(Wan):
    """Image to video, through the stock `WanImageToVideoPipeline`."""

    name = "wan-i2v"
    saved_by = "WanImageToVideoPipeline"
    input_reference = "required"

    def load(self, entry: ModelEntry) -> "DiffusionPipeline":
        import torch
        from diffusers import WanImageToVideoPipeline

        from workers.models.checkpoint import options

        read = options(entry)
        read["dtype"]["image_encoder"] = torch.float32  # As its model card loads it.
        return WanImageToVideoPipeline.from_pretrained(entry.source, **read)

    def input_channels(self, latent: int) -> int:
        return 2 * latent + 4  # Noise, the given frame, and a mask of the four frames that share a latent.

    def unfit_for_images(self, checkpoint: "Checkpoint") -> str | None:
        width = checkpoint.setting("transformer", "image_dim")
        for part in ("image_encoder", "image_processor") if width is not None else ():
            if part not in checkpoint.parts:
                return f"its transformer has image_dim {width}, for an encoded image, but the checkpoint has no {part}"
        return None
