"""What a model family is. Reading a family's limits never imports torch; loading a model does."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from workers.jobs.errors import InvalidRequest
from workers.jobs.job import GenerationRequest, Media
from workers.models.entry import Limits, ModelEntry
from workers.models.prompt_reader import PromptReader

if TYPE_CHECKING:
    import numpy as np
    from diffusers import DiffusionPipeline
    from numpy.typing import NDArray
    from torch import Tensor
    from torch.nn import Module

    from workers.caching.transformer import BlockLayout
    from workers.models.parts import Checkpoint
    from workers.parallel.sequence import SequencePlan


class Family(ABC):
    """All that is particular to one architecture. Nothing outside a family's file asks which family it is."""

    name: ClassVar[str]
    media: ClassVar[Media]
    #: The pipeline of diffusers that saved its checkpoints.
    saved_by: ClassVar[str]
    #: What of a checkpoint it cannot do without.
    parts: ClassVar[tuple[str, ...]] = ("scheduler", "text_encoder", "tokenizer", "transformer", "vae")
    #: Width and height are multiples of this many pixels, of which a pipeline may make more than one token.
    size_multiple: ClassVar[int]
    #: Frames are `frame_multiple * k + 1`.
    frame_multiple: ClassVar[int]
    #: Whether a request may or must bring a picture that the result starts from.
    input_reference: ClassVar[Literal["none", "optional", "required"]] = "none"
    #: Whether the noise schedule has a shift to set; else it follows from the size alone.
    flow_shift: ClassVar[bool] = True
    #: Whether guidance is an input of the transformer. A second, unconditional stream then needs `true_cfg_scale`.
    embedded_guidance: ClassVar[bool] = False
    #: Whether GPUs that split the tokens also split those of the prompt.
    splits_text: ClassVar[bool] = False
    #: The tokenizer that `max_sequence_length` is of.
    long_prompt: ClassVar[str] = "tokenizer"
    #: What a new entry says and no configuration does, by field: as on the model cards.
    #: `largest` is of width and height in pixels; what is of the VAE holds on a GPU.
    usual: ClassVar[Mapping[str, Any]]

    def suggested(self, checkpoint: "Checkpoint") -> dict[str, Any]:
        """`usual`, as far as it holds for this checkpoint."""
        return dict(self.usual)

    def longest(self, checkpoint: "Checkpoint") -> int | None:
        """How many positions the transformer tells apart in each direction; None where it sets no bound."""
        return None

    def mismatch(self, checkpoint: "Checkpoint") -> str | None:
        """Why a checkpoint is not one of this family, by what its configurations say; None for one that is.

        Another family's parts may load as well, and would then do something else than they were trained for.
        """
        if checkpoint.class_name != self.saved_by:
            return f"it was saved by a {checkpoint.class_name}, family {self.name} runs a {self.saved_by}"
        return self.unfit(checkpoint)

    def unfit(self, checkpoint: "Checkpoint") -> str | None:
        """As `mismatch`, for a checkpoint that was saved by the family's pipeline."""
        return None

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
        if self.media == "image" and request.frames != 1:
            raise InvalidRequest("frames", f"frames {request.frames} must be 1: {request.model} makes images")
        if (request.frames - 1) % self.frame_multiple or request.frames > limits.max_frames:
            raise InvalidRequest(
                "frames",
                f"frames {request.frames} must be {self.frame_multiple}k+1 (1, {self.frame_multiple + 1}, "
                f"{2 * self.frame_multiple + 1}, ...) and at most {limits.max_frames}",
            )
        if request.steps > limits.max_steps:
            raise InvalidRequest("steps", f"steps {request.steps} must be between 1 and {limits.max_steps}")
        self._check_guidance(request)
        if request.input_reference is not None and self.input_reference == "none":
            raise InvalidRequest("input_reference", f"model {request.model} takes no image; leave input_reference out")
        if request.input_reference is None and self.input_reference == "required":
            raise InvalidRequest(
                "input_reference", f"input_reference is required: model {request.model} animates an image"
            )

    def _check_guidance(self, request: GenerationRequest) -> None:
        """Nothing about guidance and schedule may be asked for that would not be done."""
        if request.true_cfg_scale > 1 and not self.embedded_guidance:
            raise InvalidRequest(
                "true_cfg_scale",
                f"true_cfg_scale {request.true_cfg_scale:g} must be 1: the guidance of {request.model} is "
                "classifier-free already; set guidance",
            )
        if request.negative_prompt and request.true_cfg_scale == 1 and self.embedded_guidance:
            raise InvalidRequest(
                "negative_prompt",
                f"negative_prompt needs a true_cfg_scale above 1: {request.model} is guided without a second prompt",
            )
        if request.flow_shift is not None and not self.flow_shift:
            raise InvalidRequest(
                "flow_shift",
                f"flow_shift {request.flow_shift:g}: {request.model} has none, its schedule follows from the size",
            )

    def without_effect(self, request: GenerationRequest) -> dict[str, str]:
        """The settings of a request that do not shape its result, by name, with the reason."""
        if self.embedded_guidance or self.guided(request):
            return {}
        off = f"guidance {request.guidance:g} is not above 1, so the model runs without a second prompt to be led from"
        idle = {"guidance": f"guidance {request.guidance:g} does what 1 does: nothing"} if request.guidance < 1 else {}
        idle |= {"negative_prompt": off} if request.negative_prompt else {}
        return idle | ({"guidance_2": off} if request.guidance_2 is not None else {})

    def nearest_frames(self, frames: float, limits: Limits) -> int:
        """The frame count of this family's pattern that is nearest to a wish, within the limits."""
        k = max(0, round((frames - 1) / self.frame_multiple))
        return min(k * self.frame_multiple + 1, limits.max_frames)

    @abstractmethod
    def load(self, entry: ModelEntry) -> "DiffusionPipeline":
        """The stock pipeline in host memory, read with `workers.models.checkpoint.options`.

        Imports torch and diffusers; raises what `from_pretrained` raises. The entry's source is a folder, which
        `mismatch` had nothing against.
        """

    def pipeline(self, loaded: "DiffusionPipeline", request: GenerationRequest) -> "DiffusionPipeline":
        """The pipeline that runs this request: the loaded one, or another over the same modules."""
        return loaded

    def transformers(self, pipeline: "DiffusionPipeline") -> "Sequence[Module]":
        """The transformers of a run in their turns: one, unless the model has experts."""
        return [pipeline.transformer]

    def segments(self, pipeline: "DiffusionPipeline", scheduler: Any) -> Sequence[int]:
        """How many consecutive steps each of `transformers` computes. scheduler: as `sigmas` leaves it."""
        return [len(scheduler.timesteps)]

    def sigmas(self, pipeline: "DiffusionPipeline", scheduler: Any, request: GenerationRequest) -> "Tensor":
        """The falling noise levels `[steps]` at which a run of this request calls the transformer.

        Overridden where the pipeline gives its scheduler noise levels of its own. Sets the scheduler's timesteps.
        """
        scheduler.set_timesteps(request.steps)
        levels: Tensor = scheduler.sigmas[: request.steps]
        return levels

    @abstractmethod
    def layout(self) -> "BlockLayout":
        """How this family's transformer is built."""

    def tokens(self, request: GenerationRequest) -> int:
        """How many tokens of picture or video the transformer computes, at one for each `size_multiple` squared."""
        width, height = (side // self.size_multiple for side in (request.width, request.height))
        return width * height * ((request.frames - 1) // self.frame_multiple + 1)

    def sequence_plan(self) -> "SequencePlan | None":
        """How several GPUs split the tokens of this family's transformer; None where they cannot."""
        return None

    @abstractmethod
    def encode(
        self, pipeline: "DiffusionPipeline", request: GenerationRequest, entry: ModelEntry
    ) -> "dict[str, Tensor | None]":
        """The text embeddings, as the arguments of the pipeline's call that replace its prompts."""

    def readers(self, pipeline: "DiffusionPipeline", entry: ModelEntry) -> Sequence[PromptReader]:
        """The text encoders that `encode` has read a prompt."""
        return [PromptReader("text_encoder", pipeline.tokenizer, entry.defaults.max_sequence_length)]

    @abstractmethod
    def arguments(self, request: GenerationRequest, entry: ModelEntry) -> dict[str, Any]:
        """The arguments of the pipeline's call that a request sets, other than prompts, steps and generator."""

    @abstractmethod
    def guided(self, request: GenerationRequest) -> bool:
        """Whether the transformer runs a second, unconditional stream for this request."""

    def latents(self, pipeline: "DiffusionPipeline", latents: "Tensor", request: GenerationRequest) -> "Tensor":
        """What a scheduler steps, as `[channels, frames, height, width]`. Overridden where it is packed into tokens."""
        return latents[0]

    def latent_channels(self, checkpoint: "Checkpoint") -> int:
        """How many channels `latents` have."""
        return int(checkpoint.setting("vae", "latent_channels", 16))

    def pictures(self, output: Any) -> "NDArray[np.float32]":
        """The pictures in what the pipeline's call returned: `[frames, height, width, 3]`, RGB from 0 to 1."""
        frames: NDArray[np.float32] = output.frames[0]
        return frames
