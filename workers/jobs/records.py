"""Between the flat hash in Redis and the typed `Job`."""

import json
from collections.abc import Sequence

from workers.jobs.job import Job

_JSON = ("request", "metadata", "error", "artifact", "report")
#: Kept in the hash for the scripts; no part of a job.
_INTERNAL = ("token", "lane", "entry", "deleted")


def job_from(record: Sequence[str] | dict[str, str]) -> Job:
    """The job in a hash, given as a mapping or as the flat list that a script returns."""
    fields = dict(record) if isinstance(record, dict) else dict(zip(record[::2], record[1::2], strict=True))
    for name in _INTERNAL:
        fields.pop(name, None)
    return Job.model_validate({name: json.loads(text) if name in _JSON else text for name, text in fields.items()})
