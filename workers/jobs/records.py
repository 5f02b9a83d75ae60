"""Between the flat hash in Redis and the typed `Job`."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import from_json

from workers.jobs.job import GenerationRequest, Job, JobError, JobState, Priority, model_of

_JSON = ("request", "metadata", "error", "artifact", "report")
#: Kept in the hash for the scripts; no part of a job.
_INTERNAL = ("token", "lane", "entry", "deleted", "retention")

UNREADABLE: Final = JobError(
    code="record_unreadable",
    message="The job's record cannot be read: it is damaged, or another version wrote it. Delete the job, and send its "
    "request again.",
)


def fields_of(record: Sequence[str] | Mapping[str, str]) -> dict[str, str]:
    """The fields of a hash, given as a mapping or as the flat list that a script returns."""
    return dict(record) if isinstance(record, Mapping) else dict(zip(record[::2], record[1::2], strict=True))


def job_from(record: Sequence[str] | Mapping[str, str]) -> Job:
    """The job in a hash. Raises `ValueError` for one that this version cannot read; pydantic's error is one."""
    return Job.model_validate({name: _value(name, text) for name, text in _job_fields(record).items()})


def readable_job(record: Sequence[str] | Mapping[str, str], job_id: str, tenant: str) -> Job:
    """The job in a hash, for those who only look: one that cannot be read is a failed job with the error `UNREADABLE`.

    Of that one every field is kept that can be read by itself, but no result. So a bad record costs itself alone, and
    not the list that it stands in.
    """
    try:
        return job_from(record)
    except ValueError:
        return _remains(_job_fields(record), job_id, tenant)


def is_visible(fields: Mapping[str, str], tenant: str) -> bool:
    """Whether the tenant may see the job. Its record may have gone since it was listed."""
    return fields.get("tenant") == tenant and "deleted" not in fields


def _job_fields(record: Sequence[str] | Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in fields_of(record).items() if name not in _INTERNAL}


def _value(name: str, text: str) -> Any:
    return from_json(text) if name in _JSON else text


def _remains(fields: Mapping[str, str], job_id: str, tenant: str) -> Job:
    kept: dict[str, Any] = {}
    for name, text in fields.items():
        try:
            kept[name] = _value(name, text)
        except ValueError:
            continue
    try:
        Job.model_validate(kept)
    except ValidationError as error:
        for details in error.errors(include_url=False, include_input=False):
            kept.pop(str(details["loc"][0]), None)
    for result in ("artifact", "report"):
        kept.pop(result, None)
    known = {"priority": Priority.NORMAL, "request": _no_request(job_id), "created_at": 0.0} | kept
    return Job.model_validate(known | {"id": job_id, "tenant": tenant, "state": JobState.FAILED, "error": UNREADABLE})


def _no_request(job_id: str) -> GenerationRequest:
    """In place of one that cannot be read. Nothing is made up: the prompt is empty, sizes and numbers are 0, or 1 where
    others are divided by them."""
    return GenerationRequest.model_construct(
        model=model_of(job_id) or "",
        prompt="",
        width=0,
        height=0,
        frames=0,
        fps=1,
        steps=1,
        sf=0,
        guidance=0.0,
        seed=0,
    )
