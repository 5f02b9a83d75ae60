"""Between the flat hash in Redis and the typed `Job`."""

import json
from collections.abc import Mapping, Sequence

from workers.jobs.job import Job

_JSON = ("request", "metadata", "error", "artifact", "report")
#: Kept in the hash for the scripts; no part of a job.
_INTERNAL = ("token", "lane", "entry", "deleted")


def fields_of(record: Sequence[str] | Mapping[str, str]) -> dict[str, str]:
    """The fields of a hash, given as a mapping or as the flat list that a script returns."""
    return dict(record) if isinstance(record, Mapping) else dict(zip(record[::2], record[1::2], strict=True))


def job_from(record: Sequence[str] | Mapping[str, str]) -> Job:
    """The job in a hash. Raises pydantic's `ValidationError` for one that this version cannot read."""
    fields = {name: text for name, text in fields_of(record).items() if name not in _INTERNAL}
    return Job.model_validate({name: json.loads(text) if name in _JSON else text for name, text in fields.items()})


def is_visible(fields: Mapping[str, str], tenant: str) -> bool:
    """Whether the tenant may see the job. Its record may have gone since it was listed."""
    return bool(fields) and fields["tenant"] == tenant and "deleted" not in fields
