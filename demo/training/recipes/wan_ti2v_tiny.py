"""wan-ti2v-tiny: text to video and from a given first frame on, with a timestep for each token, as Wan 2.2 TI2V 5B.

It begins with the published weights of wan-tiny and keeps its VAE.
"""

from __future__ import annotations

from diffusers import AutoencoderKLWan, WanTransformer3DModel
from torch import Tensor
from transformers import UMT5EncoderModel

from demo.training.recipe import CHECKPOINTS, Networks, Phase
from demo.training.recipes.wan_tiny import WanNetworks, WanTiny

BEGINNING = CHECKPOINTS / "wan-tiny"


class WanTextImageNetworks(WanNetworks):
    """wan-tiny's networks, called with a timestep for each token."""

    def __init__(self) -> None:
        super().__init__()
        self.text_encoder = UMT5EncoderModel.from_pretrained(BEGINNING / "text_encoder").float()
        self.transformer = WanTransformer3DModel.from_pretrained(BEGINNING / "transformer").float()

    def timesteps(self, noisy: Tensor, levels: Tensor) -> Tensor:
        """A timestep for each token: [batch, tokens]."""
        tokens = (noisy.shape[-2] // 2) * (noisy.shape[-1] // 2)
        return 1000.0 * levels.repeat_interleave(tokens, dim=1)


class WanTi2vTiny(WanTiny):
    """wan-ti2v-tiny: wan-tiny that also goes on from a given first frame."""

    name = "wan-ti2v-tiny"
    given_first = 0.7
    vae_phases = ()
    phases = (Phase("transformer", steps=300, batch=8, shifts=(1.5, 0.3), muon_rate=1.5e-3, adam_rate=7e-4),)
    expand_timesteps = True

    def vae(self) -> AutoencoderKLWan:
        """wan-tiny's."""
        return AutoencoderKLWan.from_pretrained(BEGINNING / "vae").float()

    def networks(self) -> Networks:
        return WanTextImageNetworks()


RECIPE = WanTi2vTiny()
