"""What a model family is. Reading a family's limits never imports torch; loading a model does."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from workers.jobs.errors import InvalidRequest
from workers.jobs.job import Frozen, GenerationRequest

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline
    from torch import Tensor

    from workers.caching.transformer import BlockLayout


class Defaults(Frozen):
    """What a request gets when it does not say. Pixels, frames, frames a second."""

    width: int = Field(gt=0)
    height: int = Field(gt=0)
    frames: int = Field(gt=0)
    fps: int = Field(gt=0)
    steps: int = Field(gt=0)
    sf: int = Field(ge=2)
    guidance: float = Field(ge=0)
    flow_shift: float = Field(gt=0)
    negative_prompt: str = ""
    max_sequence_length: int = Field(gt=0)


class Limits(Frozen):
    """The most that one request may ask for."""

    max_width: int = Field(gt=0)
    max_height: int = Field(gt=0)
    max_frames: int = Field(gt=0)
    max_steps: int = Field(gt=0)


class ModelEntry(Frozen):
    """One model of the catalogue. `source` is a folder in the diffusers format, or a hub id."""

    name: str
    family: str
    source: str
    revision: str | None = Field(default=None, pattern=r"^[0-9a-f]{40}$")
    device: str
    dtype: Literal["float32", "bfloat16", "float16"]
    coefficients: str | None = None
    defaults: Defaults
    limits: Limits


class Family(ABC):
    """All that is particular to one architecture. Nothing outside a family's file asks which family it is."""

    name: ClassVar[str]
    media: ClassVar[Literal["video", "image"]]
    #: Width and height are multiples of this many pixels.
    size_multiple: ClassVar[int]
    #: Frames are `frame_multiple * k + 1`.
    frame_multiple: ClassVar[int]

    def check(self, request: GenerationRequest, limits: Limits) -> None:
        """Raise `InvalidRequest` for the first field that this model cannot serve, saying what is allowed."""
        for side, value, maximum in (
            ("width", request.width, limits.max_width),
            ("height", request.height, limits.max_height),
        ):
            if value % self.size_multiple or not self.size_multiple <= value <= maximum:
                raise InvalidRequest(
                    "size",
                    f"size {request.width}x{request.height}: {side} {value} must be a multiple of "
                    f"{self.size_multiple} between {self.size_multiple} and {maximum}",
                )
        if (request.frames - 1) % self.frame_multiple or request.frames > limits.max_frames:
            raise InvalidRequest(
                "frames",
                f"frames {request.frames} must be {self.frame_multiple}k+1 (1, {self.frame_multiple + 1}, "
                f"{2 * self.frame_multiple + 1}, ...) and at most {limits.max_frames}",
            )
        if request.steps > limits.max_steps:
            raise InvalidRequest("steps", f"steps {request.steps} must be between 1 and {limits.max_steps}")

    def nearest_frames(self, frames: float, limits: Limits) -> int:
        """The frame count of this family's pattern that is nearest to a wish, within the limits."""
        k = max(0, round((frames - 1) / self.frame_multiple))
        return min(k * self.frame_multiple + 1, limits.max_frames)

    @abstractmethod
    def load(self, entry: ModelEntry) -> "DiffusionPipeline":
        """The stock pipeline on its device. Imports torch and diffusers; raises what `from_pretrained` raises."""

    def sigmas(self, scheduler: Any, request: GenerationRequest) -> "Tensor":
        """The falling noise levels `[steps]` at which a run of this request calls the transformer.

        Overridden where the pipeline gives its scheduler noise levels of its own. Changes the scheduler.
        """
        scheduler.set_timesteps(request.steps)
        levels: Tensor = scheduler.sigmas[: request.steps]
        return levels

    @abstractmethod
    def layout(self) -> "BlockLayout":
        """How this family's transformer is built."""

    @abstractmethod
    def encode(
        self, pipeline: "DiffusionPipeline", request: GenerationRequest, entry: ModelEntry
    ) -> "dict[str, Tensor | None]":
        """The text embeddings, as the arguments of the pipeline's call that replace its prompts."""

    @abstractmethod
    def arguments(self, request: GenerationRequest, entry: ModelEntry) -> dict[str, Any]:
        """The arguments of the pipeline's call that a request sets, other than prompts, steps and generator."""

    @abstractmethod
    def guided(self, request: GenerationRequest) -> bool:
        """Whether the transformer runs a second, unconditional stream for this request."""
