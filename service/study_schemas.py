"""The bodies that the calls of preference studies take."""

from pydantic import BaseModel, ConfigDict, Field, field_validator

from service.ballots import Choice
from service.refusals import shorten
from service.schemas import Integer, Prompt

MOST_COMPARED = 200
#: By one invitation: nobody may fill Redis.
MOST_VOTES = 1000


class CreateStudy(BaseModel):
    """What a preference study compares."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Prompt = Field(min_length=1, max_length=120, description="Participants see it: it should not name settings.")
    ids: list[str] = Field(
        min_length=2,
        max_length=MOST_COMPARED,
        description="2 to 200 ids of completed videos or images. Those that differ in nothing but sf and steps are "
        "shown beside each other.",
    )

    @field_validator("ids")
    @classmethod
    def _distinct(cls, ids: list[str]) -> list[str]:
        if (twice := next((each for each in ids if ids.count(each) > 1), None)) is not None:
            raise ValueError(f"must name each once; {shorten(twice, 120)} is there twice")
        return ids


class Invite(BaseModel):
    """How far an invitation goes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seconds: Integer | None = Field(
        default=None, ge=60, description="How long it is good for. Default: until the first result expires."
    )
    votes: Integer = Field(default=MOST_VOTES, ge=1, le=MOST_VOTES, description="Of all who have it, together.")


class CastVote(BaseModel):
    """What a participant prefers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    choice: Choice
