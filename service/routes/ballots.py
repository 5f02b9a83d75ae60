"""The calls of who was invited to judge: two results at a time, without what tells how they were made."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field
from starlette.responses import StreamingResponse

from service.anonymous import anonymous_response
from service.ballots import Choice, Place, Side, new_ballot, open_positions, place_at, places
from service.bodies import read_body
from service.body_docs import body_docs
from service.content import open_artifact
from service.dependencies import Resources, ResourcesDep
from service.errors import ArtifactGone
from service.permissions import Guest, GuestDep
from service.study_schemas import CastVote
from workers.jobs.errors import JobNotFinished, JobNotFound, StorageUnavailable
from workers.jobs.job import Job, JobKey

router = APIRouter(tags=["studies"])


class Ballot(BaseModel):
    """One participant's way through a study."""

    id: str = Field(description="Order and sides follow from it, so that they are the same whenever it is opened.")
    object: Literal["ballot"] = "ballot"
    name: str = Field(description="Of the study.")
    expires_at: int = Field(description="When the invitation ends.")
    pairs: int
    voted: int
    next: int | None = Field(description="The first pair, from 1, that is still to be voted on; null when all are.")


class BallotPair(BaseModel):
    """Two results to choose between. What is on which side is at random."""

    position: int
    object: Literal["ballot.pair"] = "ballot.pair"
    media: Literal["video", "image"]
    prompt: str
    choice: Choice | None = Field(description="The vote so far; another one replaces it.")
    left: str = Field(description="Path of what is to be shown on the left.")
    right: str


async def _vote_body(request: Request) -> CastVote:
    async with read_body(request, CastVote) as body:
        return body


@router.post("/v1/ballots")
def open_ballot(resources: ResourcesDep, guest: GuestDep) -> Ballot:
    """Open a ballot. Needs an invitation in the place of an API key, as all calls on ballots do."""
    return _ballot(resources, guest, new_ballot())


@router.get("/v1/ballots/{ballot_id}")
def retrieve_ballot(resources: ResourcesDep, guest: GuestDep, ballot_id: str) -> Ballot:
    """How far it is."""
    return _ballot(resources, guest, ballot_id)


@router.get("/v1/ballots/{ballot_id}/pairs/{position}")
def retrieve_pair(resources: ResourcesDep, guest: GuestDep, ballot_id: str, position: int) -> BallotPair:
    """A pair, by its position from 1. A 410 where one of its results is gone."""
    place = place_at(_places(guest, ballot_id), position)
    chosen = resources.studies.voted(guest.study, guest.invitation, ballot_id).get(place.pair)
    job, _ = (_job(resources, guest, place, side) for side in ("left", "right"))
    path = f"v1/ballots/{ballot_id}/pairs/{position}"
    return BallotPair(
        position=position,
        media="video" if job.id.startswith("video_") else "image",
        prompt=job.request.prompt,
        choice=None if chosen is None else place.choice(chosen),
        left=f"{path}/left",
        right=f"{path}/right",
    )


@router.put("/v1/ballots/{ballot_id}/pairs/{position}", openapi_extra=body_docs(CastVote, form=False))
def vote(
    resources: ResourcesDep,
    guest: GuestDep,
    ballot_id: str,
    position: int,
    body: Annotated[CastVote, Depends(_vote_body)],
) -> Ballot:
    """Vote on a pair. A second vote takes the place of the first."""
    place = place_at(_places(guest, ballot_id), position)
    resources.studies.vote(guest.study, guest.invitation, ballot_id, place.pair, place.chosen(body.choice))
    return _ballot(resources, guest, ballot_id)


@router.get(
    "/v1/ballots/{ballot_id}/pairs/{position}/{side}",
    response_class=StreamingResponse,
    responses={200: {"content": {"video/mp4": {}, "image/png": {}}}},
)
def shown(resources: ResourcesDep, guest: GuestDep, ballot_id: str, position: int, side: Side) -> StreamingResponse:
    """The result on one side, without its name, its hash, and what its file says of itself."""
    job = _job(resources, guest, place_at(_places(guest, ballot_id), position), side)
    try:
        file = open_artifact(job, resources.artifacts)
    except (JobNotFinished, ArtifactGone):
        raise _gone(side) from None
    except StorageUnavailable as error:
        raise StorageUnavailable(f"the result on the {side} cannot be read now") from error
    return anonymous_response(job, file, side)


def _places(guest: Guest, ballot_id: str) -> list[Place]:
    return places(guest.study.id, ballot_id, len(guest.study.pairs))


def _ballot(resources: Resources, guest: Guest, ballot_id: str) -> Ballot:
    found = _places(guest, ballot_id)
    voted = resources.studies.voted(guest.study, guest.invitation, ballot_id)
    return Ballot(
        id=ballot_id,
        name=guest.study.name,
        expires_at=guest.invitation.expires_at,
        pairs=len(found),
        voted=len(voted),
        next=next(iter(open_positions(found, voted)), None),
    )


def _job(resources: Resources, guest: Guest, place: Place, side: Side) -> Job:
    """The job behind a side. Its id is told to no participant: errors do not name it. Raises `ArtifactGone`."""
    pair = guest.study.pairs[place.pair]
    try:
        return resources.jobs.get(JobKey(guest.study.tenant, pair.first if place.is_first(side) else pair.second))
    except JobNotFound:
        raise _gone(side) from None


def _gone(side: Side) -> ArtifactGone:
    return ArtifactGone(f"the result on the {side} is no longer kept; go on to the next pair")
