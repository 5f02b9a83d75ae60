"""What an account has used."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from service.dependencies import ResourcesDep
from service.permissions import Reader
from service.served import known_models
from workers.jobs.usage import DAY_SECONDS, KEPT_DAYS, Usage, UsageRecords

router = APIRouter(tags=["usage"])


class ModelUsage(Usage):
    """Of one model."""

    model: str


class DayUsage(Usage):
    """Of one day."""

    date: str = Field(description="By UTC.")


class AccountUsage(BaseModel):
    """Of the days from `start_time` on; Unix seconds."""

    object: Literal["usage"] = "usage"
    account: str
    start_time: int
    end_time: int
    total: Usage
    models: list[ModelUsage] = Field(description="Those of which anything was used.")
    days: list[DayUsage] = Field(description="Those on which anything was used, the oldest first.")


@router.get("/v1/usage")
def usage(
    resources: ResourcesDep,
    tenant: Reader,
    days: Annotated[int, Query(ge=1, le=KEPT_DAYS, description="How many days, today included.")] = 30,
) -> AccountUsage:
    """Show what the account has used: jobs by how they ended, steps, and seconds of devices. Days are those of UTC."""
    now = int(resources.clock())
    today = now // DAY_SECONDS
    span = range(today - days + 1, today + 1)
    models = known_models(resources.presence, list(resources.catalogue.entries))
    used = UsageRecords(resources.connection).by_day(tenant, models, span)
    by_model = {model: Usage.sum(each for (of, _), each in used.items() if of == model) for model, _ in used}
    by_day = {day: Usage.sum(each for (_, on), each in used.items() if on == day) for _, day in sorted(used, key=_day)}
    return AccountUsage(
        account=tenant,
        start_time=span[0] * DAY_SECONDS,
        end_time=now,
        total=Usage.sum(used.values()),
        models=[ModelUsage(model=model, **dict(each)) for model, each in by_model.items()],
        days=[DayUsage(date=_date(day), **dict(each)) for day, each in by_day.items()],
    )


def _day(place: tuple[str, int]) -> int:
    return place[1]


def _date(day: int) -> str:
    return datetime.fromtimestamp(day * DAY_SECONDS, UTC).date().isoformat()
