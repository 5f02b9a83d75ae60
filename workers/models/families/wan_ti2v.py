"""Wan 2.2 TI2V: text to video, or from a given first frame on, with a timestep of its own for every token.

A given frame's tokens have timestep 0, that of a finished picture; the others have the step's.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from workers.jobs.job import GenerationRequest
from workers.models.families.wan import Wan

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline


class WanTextImageToVideo(Wan):
    """Text to video through the stock `WanPipeline`, image to video through `WanImageToVideoPipeline`."""

    name = "wan-ti2v"
    size_multiple = 32  # 16 from the VAE, 2 from the transformer's patches
    expand_timesteps = True
    input_reference = "optional"
    usual: ClassVar[Mapping[str, Any]] = {**Wan.usual, "width": 1280, "height": 704, "frames": 121, "fps": 24}

    def pipeline(self, loaded: "DiffusionPipeline", request: GenerationRequest) -> "DiffusionPipeline":
        if request.input_reference is None:
            return loaded
        from diffusers import WanImageToVideoPipeline

        # Over the same modules; making it copies nothing.
        animating = WanImageToVideoPipeline(**loaded.components, expand_timesteps=loaded.config.expand_timesteps)
        animating.set_progress_bar_config(**loaded._progress_bar_config)
        return animating
