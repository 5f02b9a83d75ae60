"""How the whole system stands, for its operator."""

from fastapi import APIRouter

from service import status
from service.dependencies import ResourcesDep
from service.permissions import Operator
from service.served import known_models
from service.status import SystemStatus

router = APIRouter(tags=["health"])


@router.get("/v1/status")
def read(resources: ResourcesDep, _: Operator) -> SystemStatus:
    """Workers, queues, what runs and how far it is, what failed last. Of all accounts; never a prompt."""
    models = known_models(resources.presence, list(resources.catalogue.entries))
    return status.read(resources.connection, models, resources.clock)
