"""The page of the error codes: what each means by the docstring of its class, and what to do about it."""

from collections.abc import Iterator
from pathlib import Path

import service.app  # noqa: F401  # loads every error that a call can answer with
from service.error_handlers import HTTP_CODES, HTTP_TITLES
from service.errors import ANSWERS, JobFailed
from workers.jobs.errors import AttemptFailed, JobCancelled, ScalingCacheError
from workers.jobs.records import UNREADABLE

#: What to do about each code.
CURES = {
    "artifact_gone": "Make the video again; results are kept until `expires_at`.",
    "body_too_large": "Send less: 1 MiB of JSON, 20 MiB of a form.",
    "body_too_slow": "Send faster: 20 s, and a second more for each 32 KiB. Look for a proxy that holds bodies back.",
    "cancelled": "None needed: a client asked for it.",
    "cost_too_high": "Ask for a smaller size, fewer frames or steps, or have the operator raise "
    "`SCALINGCACHE_MAX_COST`.",
    "deadline_exceeded": "Give a longer `deadline_seconds`, ask for fewer images or steps at a time, or have the "
    "operator raise `SCALINGCACHE_IMAGE_SECONDS`.",
    "device_error": "The operator looks at the host: driver, cooling, memory errors. Then make the job again.",
    "generation_failed": "Try once more; where it happens again, the operator finds the cause in the worker's log "
    "under the job's id.",
    "group_failed": "Try again; where it happens again, the operator looks at the worker's log, which names the rank.",
    "headers_too_large": "Send shorter headers: 64 KiB in all.",
    "headers_too_slow": "Send the headers within 10 s.",
    "host_not_trusted": "Call the service by a name in `SCALINGCACHE_TRUSTED_HOSTS`, or have it added.",
    "http_error": "The message says what the server did not take.",
    "idempotency_conflict": "Use a new `Idempotency-Key` for another body, also for one that differs in a field.",
    "insufficient_scope": "Use a key with the scope that the message names.",
    "internal_error": "Try again; the operator finds the cause in the log under the `x-request-id`, or the job's id.",
    "invalid_api_key": "Check the key; the operator makes a new one with `python -m service keys create`.",
    "invalid_invitation": "Ask who runs the study for another invitation.",
    "invalid_request": "Change the field that `param` names, as the message says.",
    "malformed_body": "Send valid JSON with each name once, or a whole form, in UTF-8.",
    "malformed_request": "Send HTTP/1.1.",
    "method_not_allowed": "Use a method that the header `Allow` names.",
    "missing_api_key": "Send `Authorization: Bearer <key>`.",
    "model_not_found": "Use an id from `GET /v1/models`.",
    "model_not_served": "Use another model; the operator took this one out while the job waited.",
    "model_unavailable": "Use another model, or wait: `python -m service status` tells the operator what is wrong.",
    "not_finite": "Lower `guidance`; where that does not help, the operator tries another `dtype` of the weights.",
    "not_found": "Check the path and the id. It may have been deleted or have expired, or be another account's.",
    "not_ready": "Wait until `status` is `completed`; one that failed will never have it.",
    "not_supported": "Leave the option out, or use what the message names in its place.",
    "origin_not_allowed": "Call from a backend: web pages of other origins are not served.",
    "out_of_memory": "Ask for a smaller size, fewer frames, or less `true_cfg_scale`; the operator lowers the limits.",
    "overloaded": "Try again after `Retry-After`.",
    "preview_missing": "Use one that `variants` of the video names, or show the result itself.",
    "queue_full": "Try again after `Retry-After`, which is when there may be room.",
    "queue_unavailable": "Try again after `Retry-After`; nothing that was accepted is lost.",
    "range_not_satisfiable": "Ask for bytes that there are: `Content-Range` of the answer has the size.",
    "rate_limit_exceeded": "Try again after `Retry-After`; `RateLimit` says how many submissions are left.",
    "record_unreadable": "Delete the job, and send its request again.",
    "step_timeout": "Try again; where it happens again, the operator raises `SCALINGCACHE_STEP_TIMEOUT_SECONDS`.",
    "storage_failed": "Try again after `Retry-After`; the operator looks at the folder of the results.",
    "storage_full": "Try again after `Retry-After`; the operator makes room in the folder of the results.",
    "storage_unavailable": "Try again after `Retry-After`; the operator looks at the bucket of the results.",
    "too_many_streams": "Close a stream, or follow all jobs with one: `GET /v1/events`.",
    "unsupported_media_type": "Send `application/json` or `multipart/form-data`, in UTF-8.",
    "unsupported_pipeline": "Ask for `sf` = `steps`, which runs without the cache.",
    "votes_full": "Ask who runs the study for another invitation; a vote that was cast can still be changed.",
    "worker_crashed": "Try again; where it happens with this request alone, make it smaller.",
}


def errors_page() -> str:
    """The text of errors.md."""
    parts = [(Path(__file__).parent / "errors.head.md").read_text()]
    for title, place, rows in (
        ("Of a call", "status", sorted(_of_calls())),
        ("Of a job, in `error.code` of its video", "", sorted(_of_jobs())),
    ):
        parts.append(f"\n## {title}\n\n| code |{f' {place} |' if place else ''} means | do |\n")
        parts.append("|---|---|---|---|\n" if place else "|---|---|---|\n")
        for code, status, says in rows:
            middle = f" {status} |" if place else ""
            parts.append(f"| `{code}` |{middle} {says} | {CURES[code]} |\n")
    return "".join(parts)


def call_codes() -> set[tuple[str, int]]:
    """Those of calls, each with its status."""
    return {(code, status) for code, status, _ in _of_calls()}


def codes() -> set[str]:
    """All that there are."""
    return {code for code, *_ in [*_of_calls(), *_of_jobs()]}


def _of_calls() -> set[tuple[str, int, str]]:
    found: dict[tuple[str, int], str] = {("internal_error", 500): "The service failed, or the image's job did."}
    for status, code in HTTP_CODES.items():
        found[code, status] = HTTP_TITLES[status]
    found["http_error", 400] = "The server did not take the request, for a reason that has no code of its own."
    for kind in _below(ScalingCacheError):
        answer = next((ANSWERS[cls] for cls in kind.__mro__ if cls in ANSWERS), None)
        # One of a job that a call waits for has the code of that; of classes with one code the first explains it.
        if answer is not None and not issubclass(kind, JobFailed):
            found.setdefault((kind.code, answer.status), _says(kind))
            if (kind.code, answer.status) == ("not_found", 404):
                found[kind.code, answer.status] = (
                    "There is no such path, video, image, study, delivery or secret of yours."
                )
    return {(code, status, says) for (code, status), says in found.items()}


def _of_jobs() -> set[tuple[str, int, str]]:
    found = {kind.code: _says(kind) for kind in _below(AttemptFailed)}
    found[JobCancelled.code], found[UNREADABLE.code] = _says(JobCancelled), UNREADABLE.message.partition(":")[0] + "."
    return {(code, 0, says) for code, says in found.items()}


def _below(kind: type[ScalingCacheError]) -> Iterator[type[ScalingCacheError]]:
    for child in kind.__subclasses__():
        if child.__module__.startswith(("service.", "workers.jobs.")):
            yield child
            yield from _below(child)


def _says(kind: type[ScalingCacheError]) -> str:
    return " ".join((kind.__doc__ or "").split("\n\n")[0].split())
