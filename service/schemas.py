"""The bodies that the HTTP calls take: their fields and the checks that need no model."""

import hashlib
import json
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    InstanceOf,
    ValidationError,
    WithJsonSchema,
    field_validator,
)

from service.field_docs import document_aliases, names_of, or_text
from service.reference import PictureURL, Upload, uploaded
from service.refusals import invalid_value, shorten
from workers.jobs.errors import InvalidRequest
from workers.jobs.job import LEAST_SHIFT, MOST_FPS, MOST_FRAMES, MOST_GUIDANCE, MOST_SHIFT, MOST_STEPS, SEEDS

METADATA_PAIRS = 16
MOST_IMAGES = 10


def _not_a_boolean(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be a number, not a boolean")
    return value


def _not_blank(prompt: str) -> str:
    if not prompt.strip():
        raise ValueError("must have at least one character that is not a space")
    return prompt


Prompt = Annotated[str, AfterValidator(_not_blank)]
Integer = Annotated[int, BeforeValidator(_not_a_boolean)]
Number = Annotated[float, BeforeValidator(_not_a_boolean)]
Reference = Annotated[
    InstanceOf[Upload] | InstanceOf[PictureURL],
    BeforeValidator(uploaded),
    WithJsonSchema(
        {
            "type": "object",
            "properties": {"image_url": {"type": "string", "description": "data:image/png;base64,... or a URL"}},
            "required": ["image_url"],
        }
    ),
]


class Create(BaseModel):
    """What every call takes. Numbers may also be sent as strings, as forms do. An omitted field gets its default.

    Names that diffusers and other servers use for a field are taken too: `AliasChoices`, ours first.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        json_schema_extra=document_aliases,
    )

    prompt: Prompt = Field(min_length=1, max_length=32_000, description="Describes what to generate.")
    model: str | None = Field(
        default=None,
        min_length=1,
        description="An id from GET /v1/models. Default: the first model that makes this kind of media.",
    )
    size: str | None = Field(
        default=None,
        pattern=r"^[1-9][0-9]{0,4}x[1-9][0-9]{0,4}$",
        description='Width x height in pixels, such as "96x96".',
    )
    steps: Integer | None = Field(
        default=None,
        ge=1,
        le=MOST_STEPS,
        validation_alias=AliasChoices("steps", "num_inference_steps"),
        description="Number of denoising steps.",
    )
    sf: Integer | None = Field(
        default=None,
        ge=2,
        le=MOST_STEPS,
        description="The speed knob, from 2 to steps: smaller is faster, larger is closer to the uncached result; "
        "sf = steps disables caching. GET /v1/models says how many steps each sf computes in full.",
    )
    target_speedup: Number | None = Field(
        default=None,
        ge=1,
        le=100,
        description="Instead of sf: computes steps / target_speedup of the steps in full, rounded down. With the "
        "method `paper`: the most faithful of the evaluated sf that are expected to be this many times faster.",
    )
    allow_uncalibrated: bool = Field(
        default=False,
        description="Of the method `paper`, which others do not need it for: accelerate even if no measured "
        "coefficients fit the request. Quality may be poor.",
    )
    truncate_prompt: bool = Field(
        default=True,
        description="Whether a prompt with more tokens than a text encoder reads is cut there; `prompt_tokens` says "
        "how many it read. If false, such a job fails.",
    )
    basis_runs: Integer | None = Field(
        default=None,
        ge=0,
        le=10_000,
        description="How many of the model's measured runs predictions rest on: `basis.runs` of an earlier result, to "
        "get the same bytes again after more was measured. All there are if omitted; 0 for none.",
    )
    guidance: Number | None = Field(
        default=None,
        ge=0,
        le=MOST_GUIDANCE,
        validation_alias=AliasChoices("guidance", "guidance_scale"),
        description="Guidance scale, classifier-free or embedded, depending on the model.",
    )
    true_cfg_scale: Number | None = Field(
        default=None,
        ge=1,
        le=MOST_GUIDANCE,
        description="Above 1, adds classifier-free guidance to models with embedded guidance, and doubles the time.",
    )
    flow_shift: Number | None = Field(
        default=None,
        ge=LEAST_SHIFT,
        le=MOST_SHIFT,
        validation_alias=AliasChoices("flow_shift", "shift"),
        description="Timestep shift of the flow-matching scheduler.",
    )
    seed: Integer | None = Field(
        default=None,
        ge=0,
        lt=SEEDS,
        description="The same request with the same seed gives the same result. Random if omitted; returned in the "
        "response.",
    )
    negative_prompt: str | None = Field(
        default=None, max_length=32_000, description="Describes what to keep out of the result."
    )
    priority: Literal["high", "normal", "low"] = Field(
        default="normal", description="Jobs of a higher priority start before those of a lower one."
    )

    webhook_url: str | None = Field(
        default=None,
        description="Where a message goes when the job has completed, failed or was cancelled, by Standard Webhooks; "
        "needs a secret of POST /v1/webhooks/secrets.",
    )
    deadline_seconds: Number | None = Field(
        default=None, gt=0, le=2_592_000, description="From now: what has not ended by then fails, and never starts."
    )
    reuse: Literal["in_flight", "completed", "never"] = Field(
        default="in_flight",
        description="With a `seed`: `in_flight` computes identical requests of the account that have not ended once, "
        "`completed` takes a result that is kept as well, where it is what would be computed, and `never` neither.",
    )

    @property
    def shares(self) -> bool:
        """Whether it may be computed together with an identical request; without a seed it wants one of its own."""
        return self.reuse != "never" and self.seed is not None

    @property
    def reuses(self) -> bool:
        """Whether it may get a result that is kept."""
        return self.reuse == "completed"


class CreateVideo(Create):
    """A video to generate."""

    seconds: Number | None = Field(
        default=None,
        gt=0,
        le=3600,
        description="Length in seconds, rounded to a frame count the model supports. Cannot be combined with frames.",
        json_schema_extra=or_text,
    )
    frames: Integer | None = Field(
        default=None,
        ge=1,
        le=MOST_FRAMES,
        validation_alias=AliasChoices("frames", "num_frames"),
        description="Number of frames: a multiple of the model's frame_multiple, plus one.",
    )
    fps: Integer | None = Field(default=None, ge=1, le=MOST_FPS, description="Frames per second.")
    guidance_2: Number | None = Field(
        default=None,
        ge=0,
        le=MOST_GUIDANCE,
        validation_alias=AliasChoices("guidance_2", "guidance_scale_2"),
        description="Guidance scale of the second expert, for models that have two.",
    )
    input_reference: Reference | None = Field(
        default=None,
        description="First frame, for models that take one: a PNG, JPEG or WebP file of at most 25 million pixels. "
        "It is center-cropped to the video's aspect ratio and resized.",
    )
    metadata: dict[str, str] = Field(
        default_factory=dict,
        max_length=METADATA_PAIRS,
        description="Up to 16 key-value pairs that are stored with the video; in a form, metadata[key] fields.",
    )

    @field_validator("metadata", mode="before")
    @classmethod
    def _few(cls, metadata: object) -> object:
        if isinstance(metadata, dict) and len(metadata) > METADATA_PAIRS:  # before each of them can be wrong
            raise ValueError(f"must have at most {METADATA_PAIRS} pairs, not {len(metadata)}")
        return metadata

    @field_validator("metadata")
    @classmethod
    def _small(cls, metadata: dict[str, str]) -> dict[str, str]:
        if any(not 1 <= len(key) <= 64 or len(value) > 512 for key, value in metadata.items()):
            raise ValueError("keys must have 1 to 64 characters, values at most 512")
        return metadata

    @property
    def remixed_from(self) -> None:
        """A video of its own."""
        return None

    def fingerprint(self) -> str:
        """SHA-256 in hexadecimal; equal for equal requests, whichever content type and field names they came in."""
        fields = self.model_dump(exclude_unset=True, exclude={"input_reference"})
        return hashlib.sha256(json.dumps([fields, self.reference_digest()], sort_keys=True).encode()).hexdigest()

    def reference_digest(self) -> str | None:
        """SHA-256 in hexadecimal of the file that was uploaded, or of the URL that was sent; None without one."""
        return None if self.input_reference is None else self.input_reference.sha256


class RemixVideo(BaseModel):
    """A video that was made, with another prompt."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: Prompt = Field(min_length=1, max_length=32_000, description="Describes what to generate instead.")


class RemixImage(RemixVideo):
    """An image that was made, with another prompt."""

    response_format: Literal["b64_json", "url"] = Field(
        default="b64_json", description="Return the PNG in base64, or a URL to download it from."
    )


class CreateImage(Create):
    """Images to generate."""

    n: Integer = Field(
        default=1, ge=1, le=MOST_IMAGES, description="Number of images; their seeds are seed, seed + 1, and so on."
    )
    response_format: Literal["b64_json", "url"] = Field(
        default="b64_json", description="Return each PNG in base64, or a URL to download it from."
    )


Body = TypeVar("Body", bound=BaseModel)


def parse(schema: type[Body], fields: dict[str, Any]) -> Body:
    """A decoded body by its schema. Raises `InvalidRequest` for the first field that is wrong."""
    names = names_of(schema)
    allowed = tuple(name for choices in names.values() for name in choices)
    # Before anything else: it is often the misspelt name of a field that is missing; and of a body of such names each
    # would else become an error of its own.
    known = set(allowed)
    if (unknown := next((name for name in fields if name not in known), None)) is not None:
        raise InvalidRequest(unknown, f"unknown field {shorten(unknown)}; allowed: {', '.join(allowed)}")
    # Many clients send null for what they leave out.
    sent = {name: value for name, value in fields.items() if value is not None}
    for choices in names.values():
        if len(both := [name for name in choices if name in sent]) > 1:
            values = " and ".join(f"{name} {shorten(sent[name])}" for name in both)
            raise InvalidRequest(both[1], f"{values} are the same field; set only one of them")
    try:
        return schema.model_validate(sent)
    except ValidationError as error:
        raise invalid_value(dict(error.errors(include_url=False)[0])) from None
