"""What tenants have used: jobs by how they ended, steps, seconds of devices. The scripts count it as it happens."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Self

from pydantic import BaseModel, Field

from workers.jobs import keys
from workers.jobs.connection import Connection

DAY_SECONDS = 86_400
#: For so long what was used on a day is kept.
KEPT_DAYS = 400


class Usage(BaseModel):
    """Sums over jobs."""

    submitted: int = Field(default=0, description="Jobs accepted.")
    completed: int = Field(default=0, description="Jobs that ended with a result.")
    failed: int = Field(default=0, description="Jobs that ended without one.")
    cancelled: int = Field(default=0, description="Jobs that were cancelled; not those that were deleted before.")
    shared: int = Field(
        default=0,
        description="Of the completed ones, those that took the result of an identical job: no steps, no device.",
    )
    full_steps: int = Field(default=0, description="Steps of completed jobs that the model computed.")
    cached_steps: int = Field(default=0, description="Steps of completed jobs that were predicted.")
    device_seconds: float = Field(
        default=0.0,
        description="How long workers had jobs, also those that failed, were cancelled or ran again, times the GPUs "
        "that computed each together.",
    )

    @classmethod
    def of(cls, counted: Mapping[str, str]) -> Self:
        """From the numbers in Redis; names of another version are passed over."""
        known = {name: float(counted[name]) for name in cls.model_fields if name in counted}
        return cls(**{name: value if name == "device_seconds" else round(value) for name, value in known.items()})

    @classmethod
    def sum(cls, parts: Iterable["Usage"]) -> Self:
        """All of them together."""
        total: dict[str, float] = defaultdict(int)
        for part in parts:
            for name, value in part:
                total[name] += value
        return cls(**total | {"device_seconds": round(total["device_seconds"], 3)})


class TenantLoad(BaseModel):
    """What a tenant has in the queue, and what it has used in all."""

    tenant: str
    queued: int
    running: int
    used: Usage


class UsageRecords:
    """Reads only. Every method raises `QueueUnavailable`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def by_day(self, tenant: str, models: Sequence[str], days: Sequence[int]) -> dict[tuple[str, int], Usage]:
        """What a tenant has used, by model and day, where it is anything. days: since 1970, by UTC."""
        places = [(model, day) for model in models for day in days]
        with self._connection.asking(), self._connection.commands.pipeline(transaction=False) as pipeline:
            for model, day in places:
                pipeline.hgetall(keys.used_on(model, tenant, day))
            counted = pipeline.execute()
        return {place: Usage.of(each) for place, each in zip(places, counted, strict=True) if each}

    def totals(self, models: Sequence[str]) -> dict[str, dict[str, Usage]]:
        """What each tenant has used in all, by model. Who was first to use one comes first, and stays so."""
        with self._connection.asking(), self._connection.commands.pipeline(transaction=False) as pipeline:
            for model in models:
                pipeline.hgetall(keys.used(model))
            hashes = pipeline.execute()
        totals: defaultdict[str, dict[str, Usage]] = defaultdict(dict)
        first: dict[str, float] = {}
        for model, counted in zip(models, hashes, strict=True):
            for tenant, each in _by_tenant(counted).items():
                totals[tenant][model] = Usage.of(each)
                first[tenant] = min(float(each.get("since", "inf")), first.get(tenant, math.inf))
        return {tenant: totals[tenant] for tenant in sorted(totals, key=lambda tenant: first[tenant])}

    def loads(self, models: Sequence[str]) -> list[TenantLoad]:
        """Of all tenants that ever had a job of these models, by name."""
        totals = self.totals(models)
        tenants = sorted(totals)
        with self._connection.asking(), self._connection.commands.pipeline(transaction=False) as pipeline:
            for tenant in tenants:
                for model in models:
                    pipeline.scard(keys.waiting(model, tenant))
                    pipeline.scard(keys.running(model, tenant))
                    pipeline.scard(keys.following(model, tenant))
            counts = iter(pipeline.execute())
        loads = []
        for tenant in tenants:
            of_models = [(next(counts), next(counts), next(counts)) for _ in models]
            queued, running, following = (sum(each) for each in zip(*of_models, strict=True))
            used = Usage.sum(totals[tenant].values())
            loads.append(TenantLoad(tenant=tenant, queued=queued, running=running + following, used=used))
        return loads


def _by_tenant(counted: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Of a hash whose fields are `<tenant>:<what>`."""
    parts: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for field, value in counted.items():
        tenant, _, what = field.partition(":")
        parts[tenant][what] = value
    return parts
