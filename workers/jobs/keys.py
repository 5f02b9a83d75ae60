"""The names of the Redis keys that Python needs; `common.lua` says what lies under each."""

import hashlib

from workers.jobs.errors import JobNotFound
from workers.jobs.job import Priority, model_of

RETRY_LANE = "retry"
#: In order of service, as in `common.lua`.
LANES = (RETRY_LANE, *Priority)

#: Workers serve several models, so what they announce lies outside every model's hash slot, in one of its own.
WORKER_KEYS = ("{workers}:beats", "{workers}:infos")


def root(model: str) -> str:
    """The start of every key of a model. The braces put them all into one slot of a Redis Cluster."""
    return f"{{q:{model}}}"


def root_of(job_id: str) -> str:
    """The root of a job's keys. Raises `JobNotFound` for an id that cannot be one of ours."""
    model = model_of(job_id)
    if model is None:
        raise JobNotFound(f"there is no job {job_id!r}")
    return root(model)


def job(job_id: str) -> str:
    return f"{root_of(job_id)}:job:{job_id}"


def tenant_jobs(model: str, tenant: str) -> str:
    return f"{root(model)}:tenant:{tenant}"


def stream(model: str, lane: str) -> str:
    return f"{root(model)}:stream:{lane}"


def queued(model: str, lane: str) -> str:
    return f"{root(model)}:queued:{lane}"


def leases(model: str) -> str:
    return f"{root(model)}:leases"


def expiries(model: str) -> str:
    return f"{root(model)}:expiries"


def dead(model: str) -> str:
    return f"{root(model)}:dead"


def idempotency(tenant: str, key: str) -> str:
    """Hashed: the key is the client's text, of any length."""
    return "idempotency:" + hashlib.sha256(f"{tenant}\0{key}".encode()).hexdigest()
