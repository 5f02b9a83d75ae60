"""An answer to each way a call can fail, made as the service makes it: what the documentation shows of errors."""

from service.error_handlers import http_error
from service.error_response import ErrorResponse
from service.errors import (
    ArtifactGone,
    BodyTooLarge,
    BodyTooSlow,
    CostTooHigh,
    HeadTooLarge,
    HeadTooSlow,
    HostNotTrusted,
    InvalidInvitation,
    InvalidKey,
    JobFailed,
    MalformedBody,
    MalformedRequest,
    MissingKey,
    NotSupported,
    OriginNotAllowed,
    Overloaded,
    PreviewMissing,
    RangeNotSatisfiable,
    RateLimited,
    ScopeMissing,
    TooManyStreams,
    UnsupportedMediaType,
    VotesFull,
    WaitedTooLong,
    internal_error,
    response_of,
)
from workers.jobs.errors import (
    IdempotencyConflict,
    InvalidRequest,
    JobNotFinished,
    JobNotFound,
    ModelNotFound,
    ModelUnavailable,
    QueueFull,
    QueueUnavailable,
    ScalingCacheError,
    StorageFailed,
    StorageFull,
    StorageUnavailable,
)
from workers.jobs.job import JobError

_JOB = "video_wan-tiny_91d2c5d5a1f84b6c8f0f6e3d2b7a9c10"

_RAISED: tuple[ScalingCacheError, ...] = (
    InvalidRequest("sf", "sf 1: must be greater than or equal to 2"),
    CostTooHigh("size", "size 96x96, frames 33, steps 50 cost 15206400 (their product); allowed: at most 10000000"),
    NotSupported("path", "POST /v1/videos/edits is not supported; create a new video instead"),
    MalformedBody("the body is not valid JSON: EOF while parsing a value at line 1 column 0"),
    MalformedRequest("Invalid HTTP request received."),
    HostNotTrusted("host 'rebound.example' is not served here; allowed: IP addresses and localhost"),
    MissingKey("an API key is required: send it as `Authorization: Bearer <key>`"),
    InvalidKey("the API key is not valid: it is mistyped, revoked, or its time is over"),
    InvalidInvitation("the invitation is not valid: it is cut short, revoked, or its time is over"),
    ScopeMissing("generate"),
    OriginNotAllowed("pages of 'https://other.example' may not call this service; allowed: its own"),
    JobNotFound(f"there is no job {_JOB!r}"),
    ModelNotFound("model", "model 'sora-2' is not served here; allowed: wan-tiny"),
    HeadTooSlow("the request's headers did not arrive within 10 s"),
    BodyTooSlow("of the body 512 bytes came in 20 s"),
    ArtifactGone(f"the content of {_JOB} is no longer available"),
    PreviewMissing(f"{_JOB} has no spritesheet; it has: video"),
    BodyTooLarge("the body has 2097152 bytes; a JSON body may have 1048576"),
    UnsupportedMediaType("content-type 'text/xml' is not supported; allowed: application/json, multipart/form-data"),
    RangeNotSatisfiable("range 'bytes=4096-' cannot be served; the file has 4096 bytes"),
    JobNotFinished(f"{_JOB} is queued; its content is available once it is completed"),
    IdempotencyConflict("Idempotency-Key", "this Idempotency-Key was used with another request body"),
    QueueFull("1000 jobs wait for wan-tiny, which is the most that may; try again later", 42.0),
    TooManyStreams("50 streams of yours are open, which is the most that may be; close one"),
    RateLimited("100 submissions a minute are allowed, 100 at once; try again in 2 s", 2.0),
    VotesFull("this invitation has its 1000 votes; ask for another one"),
    HeadTooLarge("the request's headers have more than 65536 bytes"),
    QueueUnavailable("no answer"),
    Overloaded("too many uploads at a time; try again"),
    ModelUnavailable("no worker can load wan-tiny"),
    StorageFull("there is no space left for the upload"),
    StorageFailed("the upload could not be stored: Input/output error"),
    StorageUnavailable("the image could not be stored: the store does not answer, or not in order"),
    WaitedTooLong("not made within 600 s, and cancelled"),
    JobFailed("image_flux-tiny_0", JobError(code="generation_failed", message="the generation failed")),
)


def error_examples() -> dict[str, ErrorResponse]:
    """By code, the answer."""
    return {error.code: response_of(error) for error in _RAISED} | {
        "method_not_allowed": http_error(405, "PUT /v1/videos: Method Not Allowed", {"allow": "GET, HEAD, POST"}),
        "internal_error": internal_error(),
    }
