"""Who may call what. Every endpoint names one of these; a test holds that none is without."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer, SecurityScopes
from starlette.exceptions import HTTPException

from service.accounts import Scope
from service.authentication import Caller, presented_key
from service.dependencies import Resources, ResourcesDep
from service.errors import InvalidKey, MissingKey, ScopeMissing
from service.settings import Access
from service.studies import Invitation, Study
from workers.jobs.errors import QueueUnavailable

#: For the documentation: what is wrong with a key is told in our own shape.
_BEARER = HTTPBearer(auto_error=False, scheme_name="api_key", description="From `python -m service keys create`.")
_INVITED = HTTPBearer(
    auto_error=False, scheme_name="invitation", description="From `POST /v1/studies/{id}/invitations`."
)


async def tenant(
    request: Request, needed: SecurityScopes, resources: ResourcesDep, _: Annotated[object, Depends(_BEARER)]
) -> str:
    """Whose request this is, before anything of its body is read. Raises `MissingKey`, `InvalidKey`, `ScopeMissing`,
    `QueueUnavailable`."""
    caller = await _caller(request, resources)
    for scope in needed.scopes:
        if scope not in caller.scopes:
            raise ScopeMissing(scope)
    return caller.account


#: The account of a call that makes, cancels or deletes something.
Maker = Annotated[str, Security(tenant, scopes=[Scope.GENERATE])]
#: The account of a call that shows something.
Reader = Annotated[str, Security(tenant, scopes=[Scope.READ])]


#: The account of a call that shows what is the operator's.
Operator = Annotated[str, Security(tenant, scopes=[Scope.ADMIN])]


@dataclass(frozen=True, slots=True)
class Guest:
    """Who was invited to a study: no account, and nothing else is open to them."""

    study: Study
    invitation: Invitation


def guest(request: Request, resources: ResourcesDep, _: Annotated[object, Depends(_INVITED)]) -> Guest:
    """What the caller's invitation is to. Raises `MissingKey`, `InvalidInvitation`, `QueueUnavailable`."""
    presented = presented_key(request.headers.getlist("authorization"), "an invitation")
    study, invitation = resources.studies.invited(presented, resources.clock())
    request.state.account = study.tenant
    return Guest(study, invitation)


GuestDep = Annotated[Guest, Depends(guest)]


async def may_read_metrics(request: Request, resources: ResourcesDep) -> None:
    """Raises as `tenant` does, and `HTTPException` where nobody may."""
    await _check(resources.metrics_access, request, resources)


async def may_read_docs(request: Request, resources: ResourcesDep) -> None:
    """Raises as `tenant` does, and `HTTPException` where nobody may."""
    await _check(resources.docs_access, request, resources)


async def sees_status(request: Request, resources: Resources, *, has_redis: bool) -> bool:
    """Whether the caller may see what is not ready. Without Redis nobody can tell who has a key."""
    if resources.status_access == "open":
        return True
    if resources.accounts is not None and not has_redis:
        return False
    try:
        return Scope.ADMIN in (await _caller(request, resources)).scopes
    except (MissingKey, InvalidKey, QueueUnavailable):
        return False


async def _check(access: Access, request: Request, resources: Resources) -> None:
    if access == "off":
        raise HTTPException(404, "Not Found")
    if access == "admin" and Scope.ADMIN not in (await _caller(request, resources)).scopes:
        raise ScopeMissing(Scope.ADMIN)


async def _caller(request: Request, resources: Resources) -> Caller:
    caller = await resources.authentication.caller(request.headers.getlist("authorization"))
    request.state.account, request.state.api_key = caller.account, caller.key_id
    return caller
