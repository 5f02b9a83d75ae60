"""The calls of preference studies for who runs them: what is compared, who is invited, what came of it."""

import csv
import io
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from service.anonymous import MEDIA_TYPES
from service.bodies import read_body
from service.body_docs import body_docs
from service.dependencies import Resources, ResourcesDep
from service.pairing import paired
from service.permissions import Maker, Reader
from service.preference import Comparison, compare
from service.refusals import shorten
from service.studies import Invitation, Study
from service.study_schemas import CreateStudy, Invite
from workers.jobs.errors import InvalidRequest, JobNotFound
from workers.jobs.job import Job, JobKey

router = APIRouter(tags=["studies"])


class InvitationShown(BaseModel):
    """An invitation, without its secret. Times are whole Unix seconds."""

    id: str
    object: Literal["study.invitation"] = "study.invitation"
    created_at: int
    expires_at: int
    revoked: bool
    votes: int
    most_votes: int


class InvitationMade(InvitationShown):
    """An invitation as it is shown once."""

    token: str = Field(description="Whoever has it can vote, and nothing else; it cannot be asked for again.")
    url: str = Field(description="The page to vote on. The token is behind its `#`, which browsers send to nobody.")


class StudyShown(BaseModel):
    """A preference study. Times are whole Unix seconds."""

    id: str
    object: Literal["study"] = "study"
    name: str
    created_at: int
    expires_at: int = Field(description="When the study is deleted with its votes.")
    shown_until: int = Field(description="When the first of its results expires, and with it every invitation.")
    models: list[str]
    settings: list[str]
    ids: list[str] = Field(description="The results that are compared.")
    pairs: int
    votes: int
    invitations: list[InvitationShown]


class StudyList(BaseModel):
    """All studies, the newest first."""

    object: Literal["list"] = "list"
    data: list[StudyShown]


class StudyDeleted(BaseModel):
    """Says that the study is gone with its votes."""

    id: str
    object: Literal["study.deleted"] = "study.deleted"
    deleted: Literal[True] = True


class StudyResults(BaseModel):
    """What the votes say so far."""

    id: str
    object: Literal["study.results"] = "study.results"
    name: str
    votes: int
    participants: int
    data: list[Comparison]


async def _study_body(request: Request) -> CreateStudy:
    async with read_body(request, CreateStudy) as body:
        return body


async def _invite_body(request: Request) -> Invite:
    async with read_body(request, Invite) as body:
        return body


@router.post("/v1/studies", openapi_extra=body_docs(CreateStudy, form=False))
def create_study(
    resources: ResourcesDep, tenant: Maker, body: Annotated[CreateStudy, Depends(_study_body)]
) -> StudyShown:
    """Make a study of completed videos or images. Each is shown beside the one of the same prompt, seed and other
    settings that was computed most fully: the uncached one, where there is one."""
    jobs = [_result(resources, tenant, job_id) for job_id in body.ids]
    now = int(resources.clock())
    until = int(min(job.expires_at or now for job in jobs))
    return _shown(resources, resources.studies.create(tenant, body.name, paired(jobs), until, now))


@router.get("/v1/studies")
def list_studies(resources: ResourcesDep, tenant: Reader) -> StudyList:
    """List all studies."""
    return StudyList(data=[_shown(resources, study) for study in resources.studies.all(tenant)])


@router.get("/v1/studies/{study_id}")
def retrieve_study(resources: ResourcesDep, tenant: Reader, study_id: str) -> StudyShown:
    """Retrieve a study."""
    return _shown(resources, resources.studies.get(tenant, study_id))


@router.delete("/v1/studies/{study_id}")
def delete_study(resources: ResourcesDep, tenant: Maker, study_id: str) -> StudyDeleted:
    """Delete a study with its invitations and votes. The videos stay."""
    resources.studies.delete(tenant, study_id)
    return StudyDeleted(id=study_id)


@router.post("/v1/studies/{study_id}/invitations", openapi_extra=body_docs(Invite, form=False))
def invite(
    request: Request,
    resources: ResourcesDep,
    tenant: Maker,
    study_id: str,
    body: Annotated[Invite, Depends(_invite_body)],
) -> InvitationMade:
    """Make an invitation, for any number of people. It is good until the first result of the study expires, or for a
    shorter time."""
    study, now = resources.studies.get(tenant, study_id), int(resources.clock())
    made, token = resources.studies.invite(study, _end(study, body, now), body.votes, now)
    base = resources.public_url or str(request.base_url).rstrip("/")
    return InvitationMade(**_invitation(made, 0), token=token, url=f"{base}/#vote/{token}")


@router.delete("/v1/studies/{study_id}/invitations/{invitation_id}")
def revoke_invitation(resources: ResourcesDep, tenant: Maker, study_id: str, invitation_id: str) -> StudyShown:
    """End an invitation at once. Its votes still count."""
    study = resources.studies.get(tenant, study_id)
    resources.studies.revoke(study, invitation_id)
    return _shown(resources, study)


@router.get("/v1/studies/{study_id}/results")
def results(resources: ResourcesDep, tenant: Reader, study_id: str) -> StudyResults:
    """How often each setting was preferred to its baseline, by model, with 95 % confidence intervals."""
    study = resources.studies.get(tenant, study_id)
    votes = resources.studies.votes(study)
    return StudyResults(
        id=study.id,
        name=study.name,
        votes=len(votes),
        participants=len({vote.participant for vote in votes}),
        data=compare(study.pairs, votes),
    )


@router.get(
    "/v1/studies/{study_id}/results.csv", response_class=Response, responses={200: {"content": {"text/csv": {}}}}
)
def results_as_csv(resources: ResourcesDep, tenant: Reader, study_id: str) -> Response:
    """The same as a table."""
    study = resources.studies.get(tenant, study_id)
    text = _csv(compare(study.pairs, resources.studies.votes(study)))
    named = {"content-disposition": f'attachment; filename="{study.id}.csv"'}
    return Response(text, media_type="text/csv", headers=named)


def _result(resources: Resources, tenant: str, job_id: str) -> Job:
    try:
        job = resources.jobs.get(JobKey(tenant, job_id))
    except JobNotFound:
        raise InvalidRequest("ids", f"there is no video or image {shorten(job_id, 120)}") from None
    if job.artifact is None or job.artifact.media_type not in MEDIA_TYPES:
        raise InvalidRequest("ids", f"{job.id} is {job.state.value} and has no result; allowed: completed ones")
    return job


def _end(study: Study, body: Invite, now: int) -> int:
    until = min(study.shown_until, study.expires_at)
    if now >= until:
        raise InvalidRequest("study", "results of this study have expired; make it again with new ones")
    if body.seconds is not None and now + body.seconds > until:
        raise InvalidRequest(
            "seconds",
            f"seconds {body.seconds} is longer than the results of this study are kept; allowed: up to {until - now}",
        )
    return until if body.seconds is None else now + body.seconds


def _shown(resources: Resources, study: Study) -> StudyShown:
    invited = resources.studies.invitations(study)
    counts = resources.studies.counts(study, invited)
    return StudyShown(
        id=study.id,
        name=study.name,
        created_at=study.created_at,
        expires_at=study.expires_at,
        shown_until=study.shown_until,
        models=sorted({pair.model for pair in study.pairs}),
        settings=sorted({each for pair in study.pairs for each in (pair.setting, pair.baseline)}),
        ids=sorted({each for pair in study.pairs for each in (pair.first, pair.second)}),
        pairs=len(study.pairs),
        votes=sum(counts),
        invitations=[InvitationShown(**_invitation(each, count)) for each, count in zip(invited, counts, strict=True)],
    )


def _invitation(invitation: Invitation, votes: int) -> dict[str, Any]:
    return invitation.model_dump(exclude={"digest"}) | {"votes": votes}


def _csv(rows: list[Comparison]) -> str:
    """Each interval in three columns."""
    flat = []
    for row in rows:
        cells: dict[str, Any] = {}
        for name in Comparison.model_fields:
            value = getattr(row, name)
            if not name.endswith(("share", "score")):
                cells[name] = value
                continue
            for part in ("mean", "low", "high"):
                column = name if part == "mean" else f"{name}_{part}"
                cells[column] = "" if value is None else f"{getattr(value, part):.4f}"
        flat.append(cells)
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(flat[0]))
    writer.writeheader()
    writer.writerows(flat)
    return text.getvalue()
