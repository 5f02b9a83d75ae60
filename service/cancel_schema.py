"""The body of the call that cancels many videos."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from service.schemas import METADATA_PAIRS

MOST_CANCELLED = 1000


class CancelVideos(BaseModel):
    """Which videos to cancel: by their ids, or all that have not ended and are like this."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ids: list[str] | None = Field(
        default=None, min_length=1, max_length=MOST_CANCELLED, description="Up to 1000 ids; with nothing beside."
    )
    status: Literal["queued", "in_progress"] | None = Field(default=None, description="Only those that wait, or run.")
    model: str | None = Field(default=None, min_length=1, description="Only those of this model.")
    metadata: dict[str, str] | None = Field(
        default=None, min_length=1, max_length=METADATA_PAIRS, description="Only those with all of these pairs."
    )
    all: bool = Field(default=False, description="All of them, where nothing else is said.")
