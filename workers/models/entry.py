"""What the catalogue says of one model. Never imports torch."""

import re
from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from workers.jobs.frozen import Frozen


def _matching(pattern: str, allowed: str) -> AfterValidator:
    """Text of a pattern. allowed: what to tell who wrote something else."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"must be {allowed}")
        return value

    return AfterValidator(check)


Revision = Annotated[str, _matching("[0-9a-f]{40}", "a commit: 40 hexadecimal digits, in lower case")]
Device = Annotated[str, _matching("cpu|cuda(:[0-9]+)?", "'cuda', 'cuda:<number>' or 'cpu'")]

Method = Literal["covariance", "paper"]

#: The attention backends of diffusers that ring attention can be built of: they return the log-sum-exp.
RING_BACKENDS = (
    "_native_cudnn", "_native_flash", "flash", "flash_hub", "_flash_3_hub", "sage", "sage_hub",
)  # fmt: skip

Quantization = Literal["int8_weight_only", "int8_dynamic", "float8_weight_only", "float8_dynamic"]


class Table(Frozen):
    """A table of the catalogue; TOML can say `inf` and `nan`."""

    model_config = ConfigDict(allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_number(cls, value: object, info: ValidationInfo) -> object:
        """`true` counts as 1 for pydantic, and would be in force as that."""
        annotation = cls.model_fields[str(info.field_name)].annotation
        if isinstance(value, bool) and annotation is not bool and bool not in get_args(annotation):
            raise ValueError(f"{str(value).lower()} is not allowed here")
        return value


class Defaults(Table):
    """Values of the fields that a request omits. Pixels, frames, frames per second.

    guidance_2: the guidance of the second expert, in models that have two; others have none.
    """

    width: int = Field(gt=0, description="Pixels.")
    height: int = Field(gt=0, description="Pixels.")
    frames: int = Field(gt=0, description="1 for images.")
    fps: int = Field(gt=0, description="Frames per second; unused for images.")
    steps: int = Field(gt=0, description="Denoising steps.")
    sf: int = Field(
        ge=2,
        description="The speed knob: smaller is faster, larger is closer to the uncached result.",
    )
    guidance: float = Field(ge=0, description="Guidance scale, classifier-free or as an input of the transformer.")
    guidance_2: float | None = Field(
        default=None, ge=0, description="Guidance scale of the second expert, in models that have two."
    )
    true_cfg_scale: float = Field(
        default=1.0, ge=1, description="Classifier-free guidance of models whose `guidance` is an input."
    )
    flow_shift: float | None = Field(default=None, gt=0, description="Shift of the noise schedule, where it has one.")
    negative_prompt: str = Field(default="", description="Describes what to keep out of the result.")
    max_sequence_length: int = Field(gt=0, description="Tokens of the prompt that the text encoder reads.")


class Limits(Table):
    """The largest values that a request may set."""

    max_width: int = Field(gt=0, description="Pixels.")
    max_height: int = Field(gt=0, description="Pixels.")
    max_frames: int = Field(gt=0, description="Frames; 1 for images.")
    max_steps: int = Field(gt=0, description="Denoising steps.")


class Lora(Table):
    """An adapter that becomes part of the weights when the model is loaded."""

    source: str = Field(description="A folder, a safetensors file, or a hub id.")
    weight_name: Annotated[str, _matching(r".*\.safetensors", "the name of a .safetensors file")] | None = Field(
        default=None, description="The file in it, where there are several."
    )
    revision: Revision | None = Field(default=None, description="Commit of the hub's repository.")
    scale: float = Field(default=1.0, description="How much of it is added.")
    transformer: Literal["transformer", "transformer_2"] = Field(
        default="transformer", description="Which expert gets it, where a model has two."
    )


class Parallel(Table):
    """How many GPUs compute one job, in three ways that multiply: two streams, and parts of the sequence of tokens."""

    cfg: Literal[1, 2] = Field(
        default=1, description="2: half of the GPUs compute the stream with the prompt, half the one without."
    )
    ulysses: int = Field(
        default=1, ge=1, le=64, description="GPUs that share the attention heads, and each a part of the tokens."
    )
    ring: int = Field(
        default=1, ge=1, le=64, description="GPUs that hand keys and values around, each with a part of the tokens."
    )

    @property
    def ranks(self) -> int:
        """How many processes, each with a GPU of its own."""
        return self.cfg * self.shards

    @property
    def shards(self) -> int:
        """In how many parts the tokens are split."""
        return self.ulysses * self.ring

    def shown(self) -> str:
        """In a few words: `4 ranks (Ulysses 2 x ring 2)`."""
        degrees = (("CFG", self.cfg), ("Ulysses", self.ulysses), ("ring", self.ring))
        return f"{self.ranks} ranks ({' x '.join(f'{name} {degree}' for name, degree in degrees if degree > 1)})"

    @model_validator(mode="after")
    def _of_several(self) -> Self:
        if self.ranks == 1:
            raise ValueError("cfg, ulysses and ring are all 1, which is one GPU; leave the table out")
        return self


class ModelEntry(Table):
    """One model of the catalogue."""

    name: Annotated[str, _matching(r"[a-z0-9][a-z0-9.\-]*", "small letters, digits, '.' and '-'")] = Field(
        description="The table's: `[models.<name>]`."
    )
    family: str = Field(description="How the model is built and run: a file in `workers/models/families`.")
    source: str = Field(description="A folder in the diffusers format, relative to the catalogue, or a hub id.")
    revision: Revision | None = Field(default=None, description="Commit of the hub's repository.")
    variant: Annotated[str, _matching("[a-z0-9_]+", "small letters, digits and '_'")] | None = Field(
        default=None,
        description="Of the weights' files, as `fp16` in `model.fp16.safetensors`; parts that have none of it are read "
        "from their plain files.",
    )
    served: bool = Field(
        default=True, description="Whether it is served where `SCALINGCACHE_MODELS` does not say what is."
    )
    device: Device = Field(description="Where it computes: `cuda`, `cuda:1`, or `cpu`.")
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
    preview_decoder: str | None = Field(
        default=None,
        description="A folder with an `AutoencoderTiny` of diffusers for the model's latents, relative to the "
        "catalogue: previews of running jobs are decoded by it, and not by a linear map.",
    )
    method: Method = Field(
        default="covariance",
        description="How steps are predicted: `covariance` from the first request on, or `paper`, ScalingCache as "
        "published, which needs a coefficients file.",
    )
    calibrate_when_idle: bool = Field(
        default=False,
        description="An idle worker runs requests again, uncached, until 8 runs of their kind are known; a job ends "
        "that within a step. Off where others share the device.",
    )
    shadow_share: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="This share of the accelerated jobs is run again, uncached, by an idle worker, and compared with "
        "what was delivered.",
    )
    coefficients: tuple[str, ...] = Field(
        default=(),
        description="The files that `calibrate` wrote, relative to the catalogue. A request runs with the one that was "
        "measured on its settings; without one on a prior, with `paper` uncached.",
    )
    evaluation: str | None = Field(
        default=None, description="The file that `evaluate` wrote: what the service says to expect of each sf."
    )
    parallel: Parallel | None = Field(default=None, description="Table: compute each job on several GPUs together.")
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
        if self.calibrate_when_idle and self.method == "paper":
            raise ValueError("calibrate_when_idle measures what method 'covariance' rests on; method is 'paper'")
        if self.quantization is not None and self.dtype != "bfloat16":
            raise ValueError(f"quantization {self.quantization!r} needs dtype 'bfloat16', not {self.dtype!r}")
        return self

    @model_validator(mode="after")
    def _switches_that_go_with_several_gpus(self) -> Self:
        parallel = self.parallel
        if parallel is None:
            return self
        if self.offload is not None:
            raise ValueError(f"parallel keeps the weights on every GPU: leave offload {self.offload!r} out")
        if self.compile and parallel.shards > 1:
            raise ValueError("parallel with ulysses or ring cannot be had with compile: leave one of them out")
        if parallel.ring > 1 and self.attention_backend not in RING_BACKENDS:
            raise ValueError(
                f"parallel.ring {parallel.ring} needs an attention_backend that returns its log-sum-exp: "
                f"{', '.join(RING_BACKENDS)}; it is {self.attention_backend or 'native'!r}"
            )
        return self

    @property
    def devices(self) -> int:
        """How many compute one job together."""
        return 1 if self.parallel is None else self.parallel.ranks

    def shown(self) -> str:
        """The switches in a few words, for logs and people: `bfloat16 on cuda, VAE tiling, compiled`."""
        words = [f"{self.dtype} on {self.device}"]
        if self.variant is not None:
            words.append(f"variant {self.variant}")
        if self.quantization is not None:
            words.append(self.quantization)
        if self.offload is not None:
            words.append(f"{self.offload} offload")
        words += [f"VAE {name}" for on, name in ((self.vae_tiling, "tiling"), (self.vae_slicing, "slicing")) if on]
        if self.attention_backend is not None:
            words.append(f"attention {self.attention_backend}")
        if self.compile:
            words.append("compiled")
        if self.parallel is not None:
            words.append(self.parallel.shown())
        if self.loras:
            words.append(f"{len(self.loras)} LoRA" + "s" * (len(self.loras) > 1))
        return ", ".join(words)
