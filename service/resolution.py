"""From the fields of a request to the generation that they ask for: every default filled in, every limit checked."""

from service.schemas import Create, CreateImage, CreateVideo
from workers.jobs.errors import InvalidRequest, ModelNotFound
from workers.jobs.job import SEEDS, GenerationRequest, Media, uncached_sf
from workers.models.catalogue import Catalogue
from workers.models.entry import ModelEntry
from workers.models.wishes import check_reached, frames_of, knob

CALLS: dict[Media, str] = {"video": "/v1/videos", "image": "/v1/images/generations"}


def resolve_video(body: CreateVideo, catalogue: Catalogue) -> GenerationRequest:
    """The generation of a video. Raises `InvalidRequest` for what its model cannot do, `ModelNotFound`."""
    entry = _model(body.model, "video", catalogue)
    frames, reference = _frames(body, entry, catalogue), body.reference_digest()
    return _request(body, entry, catalogue, frames=frames, input_reference=reference)


def resolve_images(body: CreateImage, catalogue: Catalogue) -> list[GenerationRequest]:
    """One generation for each image, alike but for the seed. Raises `InvalidRequest`, `ModelNotFound`."""
    first = _request(body, _model(body.model, "image", catalogue), catalogue)
    if first.seed + body.n > SEEDS:
        raise InvalidRequest("seed", f"seed {first.seed} with n {body.n}: the last seed must be below {SEEDS}")
    return [first.model_copy(update={"seed": first.seed + i}) for i in range(body.n)]


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
        other = catalogue.family(name).media
        raise InvalidRequest("model", f"model {name!r} makes {other}s, by POST {CALLS[other]}; {allowed}")
    raise ModelNotFound("model", f"model {name!r} does not exist; {allowed}" if name else allowed)


def _request(body: Create, entry: ModelEntry, catalogue: Catalogue, **decided: object) -> GenerationRequest:
    """What the body says by the generation's own names, and over it what follows from its other fields."""
    if body.reuse == "completed" and body.seed is None:
        raise InvalidRequest("reuse", 'reuse "completed" needs a seed: without one, no two requests are for the same')
    steps = body.steps or entry.defaults.steps
    if body.sf is not None and body.sf > (most := uncached_sf(steps)):
        bound = f"steps, which is {steps}" if most == steps else f"{most}, as steps is {steps}"
        raise InvalidRequest("sf", f"sf {body.sf} must be between 2 and {bound}; sf {most} runs without the cache")
    if body.size is not None:
        decided["width"], decided["height"] = map(int, body.size.split("x"))
    if body.target_speedup is not None:
        decided |= _knob(body, body.target_speedup, steps, entry, catalogue)
    taken = body.model_dump(include=type(body).model_fields.keys() & GenerationRequest.model_fields.keys())
    request = catalogue.request(**taken | decided | {"model": entry.name})
    if body.target_speedup is not None:
        check_reached(request, body.target_speedup, entry, catalogue)
    return request


def _frames(body: CreateVideo, entry: ModelEntry, catalogue: Catalogue) -> int:
    if body.frames is not None and body.seconds is not None:
        raise InvalidRequest("seconds", f"seconds {body.seconds:g} and frames {body.frames}: set only one of them")
    if body.seconds is None:
        return body.frames or entry.defaults.frames
    return frames_of(body.seconds, body.fps or entry.defaults.fps, entry, catalogue)


def _knob(body: Create, speedup: float, steps: int, entry: ModelEntry, catalogue: Catalogue) -> dict[str, int]:
    """The fields that make a run this much faster."""
    if body.sf is not None:
        wanted = f"target_speedup {speedup:g}"
        raise InvalidRequest("target_speedup", f"{wanted} and sf {body.sf}: set only one of them")
    from_image = isinstance(body, CreateVideo) and body.input_reference is not None
    return knob(speedup, steps, entry, catalogue, from_image=from_image)
