"""What a demo checkpoint is made of and how it learns; one file of `demo/training/recipes` for each."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from demo.training.captions import caption
from demo.training.clips import FRAMES, clips_of, render, training_spec
from demo.training.progress import WORK

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline

CHECKPOINTS = Path(__file__).parents[1] / "checkpoints"


class Latents(NamedTuple):
    """Normalised latents of all training clips: clip number = its seed."""

    values: Tensor
    """float16 [clips, channels, frames, height, width]: mean 0 and deviation 1."""
    mean: list[float]
    """What was subtracted, by channel."""
    std: list[float]
    """What was divided by, by channel."""


@dataclass(frozen=True)
class VaePhase:
    """Steps of the VAE's training on one kind of excerpt.

    kinds: (frames, side of the crop in pixels), in turn; batch: per process; rate: factor on the learning rates.
    """

    steps: int
    batch: int
    kinds: tuple[tuple[int, int], ...]
    rate: float = 1.0


@dataclass(frozen=True)
class Phase:
    """One training of transformer and text encoders, with a learning-rate curve and a state of its own.

    batch: clips per process and step. prefix: the first so many steps see only so many latent frames, a valid shorter
    clip at a fraction of the cost. short: two steps of three see only so many latent frames, of more clips in
    proportion: what a shape looks like is learned from many scenes rather than from many frames of one. favoured: a
    shape, and which part of the clips is taken from `Recipe.showing` it; others may show it as well. shifts, spread:
    sigma = sigmoid(shift + spread * normal), the shift falling from the first value to the second over the phase.
    guidances: the phase before becomes a teacher, and this one learns to give in one call what the teacher gives in two
    with a guidance scale from this range.
    """

    name: str
    steps: int
    batch: int
    prefix: tuple[int, int] = (0, 0)
    short: int | None = None
    favoured: tuple[str, float] | None = None
    shifts: tuple[float, float] = (3.0, 1.0)
    spread: float = 1.3
    muon_rate: float = 3e-3
    adam_rate: float = 1.5e-3
    guidances: tuple[float, float] | None = None


class Networks(nn.Module, ABC):
    """The networks that learn together, under the pipeline's names for them."""

    transformer: Any  # of diffusers, which is untyped

    @abstractmethod
    def forward(self, noisy: Tensor, levels: Tensor, guidance: Tensor, *texts: Tensor) -> Tensor:
        """Velocity (noise - data) of latents [batch, channels, frames, height, width].

        levels: noise of each latent frame, [batch, frames], 0 to 1; guidance: [batch], for transformers that have it as
        an input; texts: what `Recipe.tokenize` returned.
        """

    def blocks(self) -> Sequence[nn.Module]:
        """The transformer's blocks, the part worth compiling."""
        lists = ("blocks", "transformer_blocks", "single_transformer_blocks")
        return [block for name in lists for block in getattr(self.transformer, name, ())]


class Recipe(ABC):
    """Everything particular to one checkpoint; the stages in `demo.training` ask nothing else."""

    name: ClassVar[str]
    #: Training clips: their seeds are 0 to clips - 1.
    clips: ClassVar[int] = 4096
    #: Every how many frames of a clip the model sees one.
    stride: ClassVar[int] = 1
    #: Images show one frame of a clip, any.
    still: ClassVar[bool] = False
    #: Some show emoji, whose pictures the repository does not have.
    emoji: ClassVar[bool] = False
    #: Of the sheets that are drawn on the way.
    samples: ClassVar[tuple[str, ...]] = (
        "a red square moves to the right on a white background",
        "a blue cross moves up on a black background",
        "a yellow triangle moves down and to the left on a gray background",
        "a green circle grows on a checkered background",
    )
    #: Part of the clips whose first frame is given to the transformer without noise.
    given_first: ClassVar[float] = 0.0
    #: How the VAE's config can say what latents are normalised by.
    normalised: ClassVar[Literal["channels", "shift and scale", "scale"]] = "channels"
    #: In bfloat16 a step of the VAE is eight times faster; wan-tiny's was trained before that was tried.
    vae_dtype: ClassVar[torch.dtype] = torch.bfloat16
    vae_phases: ClassVar[tuple[VaePhase, ...]]
    phases: ClassVar[tuple[Phase, ...]]

    @property
    def work(self) -> Path:
        """Folder of the training's states."""
        return WORK / self.name

    @property
    def folder(self) -> Path:
        """Where the finished checkpoint goes."""
        return CHECKPOINTS / self.name

    def frames(self, seed: int) -> Tensor:
        """Which frames of the clip of a seed the model sees."""
        if self.still:
            return torch.tensor([random.Random(f"frame {seed}").randrange(FRAMES)])
        return torch.arange(0, FRAMES, self.stride)

    def render(self, seed: int, frames: Tensor) -> Tensor:
        """These frames of the clip of a seed, uint8 [3, frames, height, width]."""
        return render(training_spec(seed), frames)

    def caption(self, seed: int, rng: random.Random) -> str:
        """One of the captions of the clip of a seed."""
        return caption(training_spec(seed), rng)

    def showing(self, shape: str) -> tuple[int, ...]:
        """Seeds of the training clips that show a shape."""
        return clips_of(shape, self.clips)

    @abstractmethod
    def vae(self) -> nn.Module:
        """The VAE as it begins."""

    @abstractmethod
    def networks(self) -> Networks:
        """Transformer and text encoders as they begin."""

    @abstractmethod
    def tokenize(self, texts: list[str]) -> tuple[Tensor, ...]:
        """What the networks get of captions, each tensor [batch, ...]."""

    @abstractmethod
    def pipeline(self, networks: Networks, vae: Any, latents: Latents) -> DiffusionPipeline:
        """All parts as the pipeline that a user loads."""
