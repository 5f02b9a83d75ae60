"""A page of an account's jobs that make videos, or of those that make images."""

from typing import Annotated, Literal

from fastapi import Query, Request
from pydantic.dataclasses import dataclass

from service.dependencies import Resources
from service.resolution import models_of
from service.selection import metadata_of_query, models_named, wanted
from service.served import known_models
from service.video import VideoStatus
from workers.jobs.job import Job, Media


@dataclass(frozen=True)
class PageQuery:
    """Which page of which jobs; a dependency of the calls that list."""

    after: Annotated[str | None, Query(description="The last id of the previous page.")] = None
    limit: Annotated[int, Query(ge=1, le=100)] = 20
    order: Annotated[Literal["asc", "desc"], Query(description="Sort by time of creation.")] = "desc"
    status: Annotated[VideoStatus | None, Query(description="Only those in this status.")] = None
    model: Annotated[str | None, Query(description="Only those of this model.")] = None


def listed(
    resources: Resources, request: Request, tenant: str, media: Media, query: PageQuery
) -> tuple[list[Job], bool]:
    """The jobs of a page, and whether another one follows.

    request: with `metadata[key]=value` in its query, those with this pair alone. Raises `InvalidRequest`,
    `QueueUnavailable`.
    """
    metadata = metadata_of_query(request, PageQuery.__dataclass_fields__)
    return resources.jobs.list(
        tenant,
        models_named(query.model, known_of(resources, media), media),
        after=query.after,
        limit=query.limit,
        ascending=query.order == "asc",
        media=media,
        only=wanted([query.status] if query.status else [], metadata),
    )


def known_of(resources: Resources, media: Media) -> list[str]:
    """The models that make this, or once did. Raises `QueueUnavailable`."""
    return known_models(resources.presence, [entry.name for entry in models_of(media, resources.catalogue)])
