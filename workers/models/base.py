"""What a model family is. Reading a family's limits never imports torch; loading a model does."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from workers.jobs.errors import InvalidRequest
from workers.jobs.job import Frozen, GenerationRequest

if TYPE_CHECKING:
    import numpy as np
    from diffusers import DiffusionPipeline
    from numpy.typing import NDArray
    from torch import Tensor
    from torch.nn import Module

    from workers.caching.transformer import BlockLayout

REVISION = r"^[0-9a-f]{40}$"

Quantization = Literal["int8_weight_only", "int8_dynamic", "float8_weight_only", "float8_dynamic"]


class Defaults(Frozen):
    """What a request gets when it does not say. Pixels, frames, frames a second.

    guidance_2: the guidance of the second expert, in models that have two; others have none.
    """

    width: int = Field(gt=0, description="Pixels.")
    height: int = Field(gt=0, description="Pixels.")
    frames: int = Field(gt=0, description="1 for images.")
    fps: int = Field(gt=0, description="Frames a second; of no meaning for images.")
    steps: int = Field(gt=0, description="Denoising steps.")
    sf: int = Field(ge=2, description="First steps in full: smaller is faster, larger more faithful.")
    guidance: float = Field(ge=0, description="Guidance scale, classifier-free or as an input of the transformer.")
    guidance_2: float | None = Field(default=None, ge=0, description="The second expert's.")
    true_cfg_scale: float = Field(
        default=1.0, ge=1, description="Classifier-free guidance of models whose `guidance` is an input."
    )
    flow_shift: float | None = Field(default=None, gt=0, description="Shift of the noise schedule, where it has one.")
    negative_prompt: str = Field(default="", description="What the result must not show.")
    max_sequence_length: int = Field(gt=0, description="Tokens of the prompt that the text encoder reads.")


class Limits(Frozen):
    """The most that one request may ask for."""

    max_width: int = Field(gt=0, description="Pixels.")
    max_height: int = Field(gt=0, description="Pixels.")
    max_frames: int = Field(gt=0, description="Frames; 1 for images.")
    max_steps: int = Field(gt=0, description="Denoising steps.")


class Lora(Frozen):
    """An adapter that becomes part of the weights when the model is loaded."""

    source: str = Field(description="A folder, a safetensors file, or a hub id.")
    weight_name: str | None = Field(default=None, description="The file in it, where there are several.")
    revision: str | None = Field(default=None, pattern=REVISION, description="Commit of the hub's repository.")
    scale: float = Field(default=1.0, description="How much of it is added.")
    transformer: Literal["transformer", "transformer_2"] = Field(
        default="transformer", description="Which expert gets it, where a model has two."
    )


class ModelEntry(Frozen):
    """One model of the catalogue."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.\-]*$", description="The table's: `[models.<name>]`.")
    family: str = Field(description="How the model is built and run: a file in `workers/models`.")
    source: str = Field(description="A folder in the diffusers format, relative to the catalogue, or a hub id.")
    revision: str | None = Field(default=None, pattern=REVISION, description="Commit of the hub's repository.")
    served: bool = Field(
        default=True, description="Whether it is served where `SCALINGCACHE_MODELS` does not say what is."
    )
    device: str = Field(pattern=r"^(cpu|cuda(:[0-9]+)?)$", description="Where it computes: `cuda`, `cuda:1`, or `cpu`.")
    offload: Literal["model", "group"] | None = Field(
        default=None,
        description="Keep weights in host memory and bring a whole model, or a group of blocks, to the device when "
        "it is used. Slower, for devices with too little memory.",
    )
    offload_blocks: int = Field(default=1, gt=0, description="Blocks in a group.")
    dtype: Literal["float32", "bfloat16", "float16"] = Field(description="Of all weights but the VAE's.")
    vae_dtype: Literal["float32", "bfloat16", "float16"] | None = Field(
        default=None, description="Of the VAE's weights, where they need more precision."
    )
    vae_tiling: bool = Field(
        default=False, description="Decode in overlapping tiles: less memory, slightly other pixels."
    )
    vae_slicing: bool = Field(
        default=False, description="Decode one video of a batch after the other; a job is a batch of one."
    )
    attention_backend: str | None = Field(
        default=None, description="One of diffusers' attention backends: `flash`, `sage`, `_native_cudnn` and others."
    )
    compile: bool = Field(
        default=False,
        description="Compile the repeated block with `torch.compile`, at the first generation of each size.",
    )
    quantization: Quantization | None = Field(
        default=None, description="Of the transformer's weights, by torchao; needs `dtype` `bfloat16`."
    )
    loras: tuple[Lora, ...] = Field(
        default=(), description="Adapters to fuse. They change the weights: calibrate the model with them."
    )
    warmup_steps: int = Field(
        default=0, ge=0, description="Denoising steps of a generation after loading, so that the first job is not slow."
    )
    coefficients: tuple[str, ...] = Field(
        default=(),
        description="The files that `calibrate` wrote, relative to the catalogue. A request runs with the one that was "
        "measured on its settings, without one uncached.",
    )
    evaluation: str | None = Field(
        default=None, description="The file that `evaluate` wrote: what the service says to expect of each sf."
    )
    defaults: Defaults = Field(description="Table: what a request gets when it does not say.")
    limits: Limits = Field(description="Table: the most that one request may ask for.")

    @field_validator("coefficients", mode="before")
    @classmethod
    def _one_file_or_several(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _switches_that_go_together(self) -> Self:
        if self.offload is not None and self.device == "cpu":
            raise ValueError(f"offload {self.offload!r} keeps weights away from a GPU: it needs device 'cuda'")
        if self.quantization is not None and self.dtype != "bfloat16":
            raise ValueError(f"quantization {self.quantization!r} needs dtype 'bfloat16', not {self.dtype!r}")
        return self

    def shown(self) -> str:
        """The switches in a few words, for logs and people: `bfloat16 on cuda, VAE tiling, compiled`."""
        words = [f"{self.dtype} on {self.device}"]
        if self.quantization is not None:
            words.append(self.quantization)
        if self.offload is not None:
            words.append(f"{self.offload} offload")
        words += [f"VAE {name}" for on, name in ((self.vae_tiling, "tiling"), (self.vae_slicing, "slicing")) if on]
        if self.attention_backend is not None:
            words.append(f"attention {self.attention_backend}")
        if self.compile:
            words.append("compiled")
        if self.loras:
            words.append(f"{len(self.loras)} LoRA" + "s" * (len(self.loras) > 1))
        return ", ".join(words)


class Family(ABC):
    """All that is particular to one architecture. Nothing outside a family's file asks which family it is."""

    name: ClassVar[str]
    media: ClassVar[Literal["video", "image"]]
    #: Width and height are multiples of this many pixels.
    size_multiple: ClassVar[int]
    #: Frames are `frame_multiple * k + 1`.
    frame_multiple: ClassVar[int]
    #: Whether a request may or must bring a picture that the result starts from.
    input_reference: ClassVar[Literal["none", "optional", "required"]] = "none"
    #: Whether the noise schedule has a shift to set; else it follows from the size alone.
    flow_shift: ClassVar[bool] = True
    #: Whether guidance is an input of the transformer. A second, unconditional stream then needs `true_cfg_scale`.
    embedded_guidance: ClassVar[bool] = False

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

    def nearest_frames(self, frames: float, limits: Limits) -> int:
        """The frame count of this family's pattern that is nearest to a wish, within the limits."""
        k = max(0, round((frames - 1) / self.frame_multiple))
        return min(k * self.frame_multiple + 1, limits.max_frames)

    @abstractmethod
    def load(self, entry: ModelEntry) -> "DiffusionPipeline":
        """The stock pipeline in host memory, read with `workers.checkpoint.options`.

        Imports torch and diffusers; raises what `from_pretrained` raises.
        """

    def pipeline(self, loaded: "DiffusionPipeline", request: GenerationRequest) -> "DiffusionPipeline":
        """The pipeline that runs this request: the loaded one, or another over the same modules."""
        return loaded

    def transformers(self, pipeline: "DiffusionPipeline") -> "Sequence[Module]":
        """The transformers of a run in their turns: one, unless the model has experts."""
        return [pipeline.transformer]

    def segments(self, pipeline: "DiffusionPipeline", scheduler: Any, request: GenerationRequest) -> Sequence[int]:
        """How many consecutive steps each of `transformers` computes. May change the scheduler."""
        return [request.steps]

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

    def pictures(self, output: Any) -> "NDArray[np.float32]":
        """The pictures in what the pipeline's call returned: `[frames, height, width, 3]`, RGB from 0 to 1."""
        frames: NDArray[np.float32] = output.frames[0]
        return frames
