"""Which of an account's jobs a list or a bulk call means."""

import re
from collections.abc import Iterable, Mapping, Sequence

from fastapi import Request

from service.refusals import shorten
from service.video import STATUS
from workers.jobs.errors import InvalidRequest
from workers.jobs.job import JobState, Media
from workers.jobs.walk import Only

_METADATA = re.compile(r"metadata\[([^\[\]]{1,64})\]")


def wanted(statuses: Iterable[str], metadata: Mapping[str, str]) -> Only | None:
    """Jobs in one of these statuses, of any where there are none, with all of these pairs. None for all jobs."""
    states = {state for state, status in STATUS.items() if status in set(statuses)}
    if not states and not metadata:
        return None

    def only(state: JobState, has: Mapping[str, str]) -> bool:
        return (not states or state in states) and all(has.get(name) == value for name, value in metadata.items())

    return only


def models_named(model: str | None, known: Sequence[str], media: Media) -> list[str]:
    """The models to look at. Raises `InvalidRequest` for one of which there cannot be a job."""
    if model is None:
        return list(known)
    if model not in known:
        raise InvalidRequest(
            "model", f"model {shorten(model)} is not one of those that make {media}s: {', '.join(known)}"
        )
    return [model]


def metadata_of_query(request: Request, names: Iterable[str]) -> dict[str, str]:
    """The pairs `metadata[key]=value` of a query. names: of its other parameters.

    Raises `InvalidRequest` for any that is neither: a filter that is misspelt would else show everything.
    """
    metadata, allowed = {}, [*names, "metadata[key]"]
    for name, value in request.query_params.multi_items():
        if match := _METADATA.fullmatch(name):
            metadata[match[1]] = value
        elif name not in allowed:
            raise InvalidRequest(name, f"unknown query parameter {shorten(name)}; allowed: {', '.join(allowed)}")
    return metadata
