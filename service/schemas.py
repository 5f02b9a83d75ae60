"""What the HTTP calls take: the fields of a request, their checks, and the generation they become."""

import hashlib
import json
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema, field_validator

from service.errors import invalid_value
from service.reference import uploaded
from workers.jobs.errors import InvalidRequest, ModelNotFound
from workers.jobs.job import GenerationRequest
from workers.models.catalogue import Catalogue
from workers.models.entry import ModelEntry

METADATA_PAIRS = 16
MOST_IMAGES = 10
MOST_SEEDS = 2**63

Media = Literal["video", "image"]
CALLS: dict[Media, str] = {"video": "/v1/videos", "image": "/v1/images/generations"}
#: What a generation takes from the body as it is.
_SETTINGS = {
    "negative_prompt", "steps", "sf", "guidance", "true_cfg_scale", "flow_shift", "seed", "allow_uncalibrated",
}  # fmt: skip


def _not_a_boolean(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be a number, not a boolean")
    return value


Integer = Annotated[int, BeforeValidator(_not_a_boolean)]
Number = Annotated[float, BeforeValidator(_not_a_boolean)]
Reference = Annotated[
    bytes,
    BeforeValidator(uploaded),
    WithJsonSchema(
        {
            "type": "object",
            "properties": {"image_url": {"type": "string", "description": "data:image/png;base64,..."}},
            "required": ["image_url"],
        }
    ),
]


class Create(BaseModel):
    """What every call takes. Numbers may also come as strings, as in forms. What is left out gets the default."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    prompt: str = Field(min_length=1, max_length=32_000, description="What is to be seen.")
    model: str | None = Field(
        default=None, description="A model of GET /v1/models. Default: the first of them that makes what is asked for."
    )
    size: str | None = Field(
        default=None, pattern=r"^[1-9][0-9]{0,4}x[1-9][0-9]{0,4}$", description="Width x height in pixels: 96x96."
    )
    steps: Integer | None = Field(default=None, ge=1, le=10_000, description="Denoising steps.")
    sf: Integer | None = Field(
        default=None,
        ge=2,
        le=10_000,
        description="ScalingCache's S_f, from 2 to steps: how many first steps run in full. Smaller is faster, "
        "larger more faithful; sf = steps runs the plain pipeline.",
    )
    target_speedup: Number | None = Field(
        default=None,
        ge=1,
        le=100,
        description="In place of sf: of the evaluated sf that are expected to be this much faster, the most faithful.",
    )
    allow_uncalibrated: bool = Field(
        default=False,
        description="Accelerate also where no coefficients of the model fit the request; the result may be poor.",
    )
    guidance: Number | None = Field(default=None, ge=0, le=100, description="Guidance scale, as the model means it.")
    true_cfg_scale: Number | None = Field(
        default=None,
        ge=1,
        le=100,
        description="Above 1: classifier-free guidance on top, for models whose guidance is built in. Twice the time.",
    )
    flow_shift: Number | None = Field(default=None, gt=0, le=100, description="Shift of the flow-matching schedule.")
    seed: Integer | None = Field(
        default=None,
        ge=0,
        lt=MOST_SEEDS,
        description="Same request, same seed: same result. Random when left out; told.",
    )
    negative_prompt: str | None = Field(default=None, max_length=32_000, description="What must not be seen.")
    priority: Literal["high", "normal", "low"] = Field(default="normal", description="High overtakes normal and low.")

    @field_validator("prompt")
    @classmethod
    def _says_something(cls, prompt: str) -> str:
        if not prompt.strip():
            raise ValueError("must have at least one character that is not a space")
        return prompt


class CreateVideo(Create):
    """A video to make."""

    seconds: Number | None = Field(
        default=None,
        gt=0,
        le=3600,
        description="Length; made is the nearest frame count of the model. Not with frames.",
    )
    frames: Integer | None = Field(default=None, ge=1, le=100_000, description="Frames, in the model's pattern.")
    fps: Integer | None = Field(default=None, ge=1, le=120, description="Frames a second.")
    guidance_2: Number | None = Field(
        default=None, ge=0, le=100, description="Guidance scale of the second expert, in models that have two."
    )
    input_reference: Reference | None = Field(
        default=None,
        description="The first frame, for models that take one: a PNG, JPEG or WebP file of up to 25 million pixels, "
        "cut to the video's shape around its middle and scaled.",
    )
    metadata: dict[str, str] = Field(
        default_factory=dict,
        max_length=METADATA_PAIRS,
        description="Up to 16 pairs of yours, kept with the job; in a form as metadata[key].",
    )

    @field_validator("metadata")
    @classmethod
    def _small(cls, metadata: dict[str, str]) -> dict[str, str]:
        if any(not 1 <= len(key) <= 64 or len(value) > 512 for key, value in metadata.items()):
            raise ValueError("keys must have 1 to 64 characters, values at most 512")
        return metadata

    def fingerprint(self) -> str:
        """Equal for equal requests, whichever content type they came in."""
        said = self.model_dump(exclude_unset=True) | {"input_reference": self.reference_digest()}
        canonical = json.dumps(said, sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def reference_digest(self) -> str | None:
        """SHA-256 of the file that was uploaded."""
        return None if self.input_reference is None else hashlib.sha256(self.input_reference).hexdigest()


class CreateImage(Create):
    """Images to make."""

    n: Integer = Field(
        default=1, ge=1, le=MOST_IMAGES, description="How many: each of its own seed, counted up from seed."
    )
    response_format: Literal["b64_json", "url"] = Field(
        default="b64_json", description="The PNG itself in base64, or where to get it."
    )


Body = TypeVar("Body", bound=Create)


def parse_create(fields: dict[str, Any]) -> CreateVideo:
    """The request for a video in a decoded body. Raises `InvalidRequest` for the first field that is wrong."""
    return parse(CreateVideo, fields)


def parse(schema: type[Body], fields: dict[str, Any]) -> Body:
    """A decoded body by its schema. Raises `InvalidRequest` for the first field that is wrong."""
    # Many clients send null for what they leave out. An unknown field stays unknown.
    said = {name: value for name, value in fields.items() if value is not None or name not in schema.model_fields}
    try:
        return schema.model_validate(said)
    except ValidationError as error:
        complaints = error.errors(include_url=False)
        # An unknown field explains the others: it is often the misspelt name of the one that is missing.
        first = next((each for each in complaints if each["type"] == "extra_forbidden"), complaints[0])
        raise invalid_value(dict(first), tuple(schema.model_fields)) from None


def models_of(media: Media, catalogue: Catalogue) -> list[ModelEntry]:
    """The models that make videos, or those that make images, in the catalogue's order."""
    return [entry for entry in catalogue.entries.values() if catalogue.family(entry.name).media == media]


def _model(name: str | None, media: Media, catalogue: Catalogue) -> ModelEntry:
    served = models_of(media, catalogue)
    for entry in served:
        if name is None or entry.name == name:
            return entry
    allowed = f"allowed: {', '.join(entry.name for entry in served)}" if served else f"no {media} model is served here"
    if name is not None and name in catalogue.entries:
        made = catalogue.family(name).media
        raise InvalidRequest("model", f"model {name!r} makes {made}s, by POST {CALLS[made]}; {allowed}")
    raise ModelNotFound("model", f"model {name!r} does not exist; {allowed}" if name else allowed)


def _frames(body: CreateVideo, entry: ModelEntry, catalogue: Catalogue) -> int:
    if body.frames is not None and body.seconds is not None:
        raise InvalidRequest("seconds", f"seconds {body.seconds:g} and frames {body.frames}: give one of the two")
    if body.seconds is None:
        return body.frames or entry.defaults.frames
    fps, most = body.fps or entry.defaults.fps, entry.limits.max_frames
    if body.seconds * fps > most + 1:
        raise InvalidRequest(
            "seconds",
            f"seconds {body.seconds:g} at {fps} fps is {body.seconds * fps:g} frames; "
            f"{entry.name} makes at most {most} frames, which is {most / fps:.6g} seconds",
        )
    return catalogue.family(entry.name).nearest_frames(body.seconds * fps, entry.limits)


def _request(body: Create, entry: ModelEntry, catalogue: Catalogue, **given: object) -> GenerationRequest:
    steps = body.steps or entry.defaults.steps
    if body.sf is not None and body.sf > max(2, steps):
        raise InvalidRequest(
            "sf", f"sf {body.sf} must be between 2 and steps, which is {steps}; sf {steps} runs without the cache"
        )
    width, height = map(int, body.size.split("x")) if body.size else (None, None)
    given |= body.model_dump(include=_SETTINGS)
    if body.target_speedup is not None:
        given["sf"] = _sf_for(body, body.target_speedup, steps, entry, catalogue)
    return catalogue.request(entry.name, body.prompt, width=width, height=height, **given)


def _sf_for(body: Create, speedup: float, steps: int, entry: ModelEntry, catalogue: Catalogue) -> int:
    if body.sf is not None:
        raise InvalidRequest("target_speedup", f"target_speedup {speedup:g} and sf {body.sf}: give one of the two")
    found = catalogue.evaluation(entry.name)
    if found is None:
        raise InvalidRequest(
            "target_speedup", f"target_speedup {speedup:g}: {entry.name} has no evaluation to choose by; give sf"
        )
    if found.steps != steps:
        raise InvalidRequest(
            "target_speedup",
            f"target_speedup {speedup:g}: {entry.name} was evaluated with {found.steps} steps, not {steps}; give sf",
        )
    if found.input_reference != (getattr(body, "input_reference", None) is not None):
        kind = "with" if found.input_reference else "without"
        raise InvalidRequest(
            "target_speedup", f"target_speedup {speedup:g}: {entry.name} was evaluated {kind} input_reference; give sf"
        )
    return found.sf_for(speedup)


def resolve(body: CreateVideo, catalogue: Catalogue) -> GenerationRequest:
    """The generation that a request asks for, every default filled in and checked against its model."""
    entry = _model(body.model, "video", catalogue)
    given = {"frames": _frames(body, entry, catalogue), "fps": body.fps, "guidance_2": body.guidance_2}
    return _request(body, entry, catalogue, input_reference=body.reference_digest(), **given)


def resolve_images(body: CreateImage, catalogue: Catalogue) -> list[GenerationRequest]:
    """One generation for each image, alike but for the seed."""
    first = _request(body, _model(body.model, "image", catalogue), catalogue)
    if first.seed + body.n > MOST_SEEDS:
        raise InvalidRequest("seed", f"seed {first.seed} with n {body.n}: the last seed must be below {MOST_SEEDS}")
    return [first.model_copy(update={"seed": first.seed + i}) for i in range(body.n)]
