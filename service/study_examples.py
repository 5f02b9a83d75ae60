"""What the documentation shows of preference studies: each answer's own class, filled in."""

from pydantic import BaseModel

from service.ballots import Choice
from service.preference import Comparison, wilson
from service.routes.ballots import Ballot, BallotPair
from service.routes.studies import (
    InvitationMade,
    InvitationShown,
    StudyDeleted,
    StudyList,
    StudyResults,
    StudyShown,
)

STUDY_ID = "study_7d2a4c6f9e1d8b7a6c5f4e3d5f0c3b8e"
INVITATION_ID = "4c6f9e1d8b7a6c5f"
BALLOT_ID = "8b7a6c5f4e3d5f0c"
_CREATED = 1795669200
_FIRST, _SECOND = ("video_wan-tiny_91d2c5d5a1f84b6c8f0f6e3d2b7a9c10", "video_wan-tiny_3b8e7d2a4c6f9e1d8b7a6c5f4e3d5f0c")
_TOKEN = f"scv_{STUDY_ID.removeprefix('study_')}_{INVITATION_ID}_" + 43 * "x"
_SETTING, _BASELINE = "sf 10, 50 steps", "uncached, 50 steps"
_CHOICE: Choice = "left"

_INVITATION = InvitationShown(
    id=INVITATION_ID,
    created_at=_CREATED,
    expires_at=_CREATED + 86_400,
    revoked=False,
    votes=12,
    most_votes=1000,
)
_STUDY = StudyShown(
    id=STUDY_ID,
    name="Which is better?",
    created_at=_CREATED,
    expires_at=_CREATED + 30 * 86_400,
    shown_until=_CREATED + 86_400,
    models=["wan-tiny"],
    settings=[_SETTING, _BASELINE],
    ids=sorted([_FIRST, _SECOND]),
    pairs=1,
    votes=12,
    invitations=[_INVITATION],
)
_COMPARISON = Comparison(
    model="wan-tiny",
    setting=_SETTING,
    baseline=_BASELINE,
    pairs=1,
    votes=12,
    participants=12,
    setting_preferred=3,
    no_difference=6,
    baseline_preferred=3,
    setting_share=wilson(0.25, 12),
    no_difference_share=wilson(0.5, 12),
    baseline_share=wilson(0.25, 12),
    score=wilson(0.5, 12),
)
_BALLOT = Ballot(id=BALLOT_ID, name="Which is better?", expires_at=_CREATED + 86_400, pairs=1, voted=0, next=1)
_PATH = f"v1/ballots/{BALLOT_ID}/pairs/1"

#: As in `service/examples.py`.
EXAMPLES: dict[type[BaseModel], dict[str, BaseModel]] = {
    StudyShown: {"study": _STUDY},
    StudyList: {"studies": StudyList(data=[_STUDY])},
    StudyDeleted: {"deleted": StudyDeleted(id=STUDY_ID)},
    StudyResults: {
        "results": StudyResults(id=STUDY_ID, name=_STUDY.name, votes=12, participants=12, data=[_COMPARISON])
    },
    InvitationMade: {
        "made": InvitationMade(
            **_INVITATION.model_dump(), token=_TOKEN, url=f"https://videos.example.com/#vote/{_TOKEN}"
        )
    },
    Ballot: {"ballot": _BALLOT},
    BallotPair: {
        "voted": BallotPair(
            position=1,
            media="video",
            prompt="a red circle moving to the right on a black background",
            choice=_CHOICE,
            left=f"{_PATH}/left",
            right=f"{_PATH}/right",
        )
    },
}
PARAMETERS: dict[str, str | int] = {
    "study_id": STUDY_ID,
    "invitation_id": INVITATION_ID,
    "ballot_id": BALLOT_ID,
    "position": 1,
    "side": "left",
}
