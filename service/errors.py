"""From an error class to what a client sees: one table, one shape, for every way a request can fail."""

import math
from dataclasses import dataclass, field

from service.error_response import ErrorResponse, error_response
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


class NotSupported(InvalidRequest):
    """The call or option exists in the OpenAI API but not in this service."""

    code = "not_supported"


class MalformedBody(ScalingCacheError):
    """The body is not what its content type says."""

    code = "malformed_body"


class MalformedRequest(ScalingCacheError):
    """What was sent is not HTTP."""

    code = "malformed_request"


class HeadTooLarge(ScalingCacheError):
    """The request's headers have more bytes than they may have."""

    code = "headers_too_large"


class HeadTooSlow(ScalingCacheError):
    """The request's headers took longer than they may take."""

    code = "headers_too_slow"


class BodyTooSlow(ScalingCacheError):
    """The body comes slower than it may."""

    code = "body_too_slow"


class BodyTooLarge(ScalingCacheError):
    """The body has more bytes than its content type may have."""

    code = "body_too_large"


class MissingKey(ScalingCacheError):
    """The request has no API key."""

    code = "missing_api_key"


class InvalidKey(ScalingCacheError):
    """The request's API key is none, or no longer one."""

    code = "invalid_api_key"


class ScopeMissing(ScalingCacheError):
    """The API key may not do this; the message names the scope that it lacks."""

    code = "insufficient_scope"

    def __init__(self, scope: str) -> None:
        super().__init__(f"the API key lacks the scope '{scope}', which this call needs")
        self.scope = scope


class CostTooHigh(InvalidRequest):
    """The request takes more of a device than one request may."""

    code = "cost_too_high"


class RateLimited(ScalingCacheError):
    """The account submits more than it may in a time."""

    code = "rate_limit_exceeded"

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


class InvalidInvitation(ScalingCacheError):
    """The invitation to a study is none, or no longer one."""

    code = "invalid_invitation"


class VotesFull(ScalingCacheError):
    """An invitation to a study has as many votes as it may have."""

    code = "votes_full"


class HostNotTrusted(ScalingCacheError):
    """The request was sent to a name that is not the service's."""

    code = "host_not_trusted"


class OriginNotAllowed(ScalingCacheError):
    """A web page of another origin sent the request."""

    code = "origin_not_allowed"


class Overloaded(ScalingCacheError):
    """The service has as much to do at a time as it may; it can take the request later."""

    code = "overloaded"


class TooManyStreams(ScalingCacheError):
    """As many event streams of the account are open as may be."""

    code = "too_many_streams"


class UnsupportedMediaType(ScalingCacheError):
    """The body has a content type that this call does not read."""

    code = "unsupported_media_type"


class ArtifactGone(ScalingCacheError):
    """The job completed, but its file is no longer kept."""

    code = "artifact_gone"


class PreviewMissing(ScalingCacheError):
    """The result has no such preview: it was made before there were any, or this one could not be made."""

    code = "preview_missing"


class RangeNotSatisfiable(ScalingCacheError):
    """The Range header asks for bytes that the file does not have."""

    code = "range_not_satisfiable"


class WaitedTooLong(ScalingCacheError):
    """A call that waits for its images has waited as long as it may."""

    code = "deadline_exceeded"


class JobFailed(ScalingCacheError):
    """A job that a client waits for ended without a result; the code is that of its record."""

    def __init__(self, job_id: str, error: JobError) -> None:
        super().__init__(f"{job_id}: {error.message}")
        self.code = error.code  # type: ignore[misc]  # of the class everywhere else


class JobRefused(JobFailed):
    """The worker found that the request asks for what cannot be had."""


class JobTooLate(JobFailed):
    """The job could not end before its deadline."""


@dataclass(frozen=True)
class Answer:
    """How a class of errors is answered. `message` replaces the error's own where that tells of the inside."""

    status: int
    type: str = "invalid_request_error"
    headers: dict[str, str] = field(default_factory=dict)
    message: str | None = None


#: What RFC 6750 has a client told that needs a key.
REALM = 'Bearer realm="scalingcache"'

# OpenAI's clients retry 408, 409, 429 and everything from 500; an error that no retry heals must stay clear of those.
ANSWERS: dict[type[ScalingCacheError], Answer] = {
    InvalidRequest: Answer(400),
    ModelNotFound: Answer(404),
    JobNotFound: Answer(404),
    JobNotFinished: Answer(422),
    IdempotencyConflict: Answer(422),
    MalformedBody: Answer(400),
    MalformedRequest: Answer(400),
    HeadTooLarge: Answer(431),
    HeadTooSlow: Answer(408),
    BodyTooSlow: Answer(408),
    BodyTooLarge: Answer(413, headers={"connection": "close"}),
    UnsupportedMediaType: Answer(415),
    ArtifactGone: Answer(410),
    PreviewMissing: Answer(404),
    RangeNotSatisfiable: Answer(416),
    JobRefused: Answer(400, "invalid_request_error", {"x-should-retry": "false"}),
    JobFailed: Answer(500, "server_error", {"x-should-retry": "false"}),  # The worker retried it where that helps.
    JobTooLate: Answer(504, "server_error", {"x-should-retry": "false"}),
    WaitedTooLong: Answer(504, "server_error", {"x-should-retry": "false"}),
    QueueFull: Answer(429, "rate_limit_error"),
    RateLimited: Answer(429, "rate_limit_error"),
    TooManyStreams: Answer(429, "rate_limit_error", {"retry-after": "5"}),
    QueueUnavailable: Answer(
        503, "server_error", {"retry-after": "1"}, "The queue cannot be reached or accepts no writes; try again."
    ),
    MissingKey: Answer(401, headers={"www-authenticate": REALM}),
    InvalidKey: Answer(401, headers={"www-authenticate": f'{REALM}, error="invalid_token"'}),
    InvalidInvitation: Answer(401, headers={"www-authenticate": f'{REALM}, error="invalid_token"'}),
    VotesFull: Answer(422),
    ScopeMissing: Answer(403),
    HostNotTrusted: Answer(400),
    OriginNotAllowed: Answer(403),
    Overloaded: Answer(503, "server_error", {"retry-after": "5"}),
    ModelUnavailable: Answer(503, "server_error", {"retry-after": "60"}),
    StorageFull: Answer(503, "server_error", {"retry-after": "60"}),
    StorageUnavailable: Answer(503, "server_error", {"retry-after": "10"}),
    StorageFailed: Answer(503, "server_error", {"retry-after": "60"}),
}

INTERNAL = Answer(500, "server_error", message="The service failed; try again.")

#: In seconds. OpenAI's clients do as they like with a longer one.
LONGEST_RETRY_AFTER = 120


def answer_of(error: ScalingCacheError) -> Answer:
    """The row of the nearest class in the table."""
    return next((ANSWERS[cls] for cls in type(error).__mro__ if cls in ANSWERS), INTERNAL)


def internal_error() -> ErrorResponse:
    """Says nothing of the cause: the log has it, under the same request id."""
    return response_of(ScalingCacheError())


def response_of(error: ScalingCacheError) -> ErrorResponse:
    """The answer to a request that failed with this error; without a row in the table it keeps the inside to itself."""
    answer = answer_of(error)
    return error_response(
        answer.status,
        message=answer.message or str(error),
        type=answer.type,
        code=ScalingCacheError.code if answer is INTERNAL else error.code,
        title=title_of(type(error)),
        param=error.param if isinstance(error, InvalidRequest) else None,
        headers=answer.headers | _headers_of(error),
    )


def title_of(kind: type[ScalingCacheError]) -> str:
    """What errors of a class have in common, in a sentence; nothing for one that keeps the inside to itself."""
    known = next((cls for cls in kind.__mro__ if cls in ANSWERS), None)
    return " ".join((kind.__doc__ or "").split("\n\n")[0].split()) if known else "The service failed."


def _headers_of(error: ScalingCacheError) -> dict[str, str]:
    """What only this very error knows."""
    if isinstance(error, QueueFull | RateLimited):
        return {"retry-after": _whole_seconds(error.seconds)}
    if isinstance(error, ScopeMissing):
        return {"www-authenticate": f'{REALM}, error="insufficient_scope", scope="{error.scope}"'}
    return {}


def _whole_seconds(seconds: float) -> str:
    """At least one, and no more than OpenAI's clients are ready to wait."""
    return str(min(LONGEST_RETRY_AFTER, max(1, math.ceil(seconds))))
