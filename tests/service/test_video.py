"""The video object of records that are hard to come by."""

import pytest

from service.outlook import Eta
from service.video import poll_after_ms, video_of
from tests.workers.factories import a_report
from workers.jobs.job import GenerationRequest, Job, JobState, Priority
from workers.models.catalogue import families

REQUEST = GenerationRequest(
    model="m", prompt="p", width=96, height=64, frames=33, fps=16, steps=50, sf=50, guidance=5, flow_shift=1, seed=7
)


def job(sf: int = 50, **changes: object) -> Job:
    request = REQUEST.model_copy(update={"sf": sf})
    base = {
        "id": "video_m_1",
        "tenant": "t",
        "priority": Priority.NORMAL,
        "state": JobState.QUEUED,
        "created_at": 100.9,
    }
    return Job.model_validate({**base, "request": request, **changes})


def test_times_are_whole_seconds_and_never_round_up() -> None:
    video = video_of(job(state=JobState.COMPLETED, completed_at=200.99), queue_position=None)
    assert (video.created_at, video.completed_at) == (100, 200)


@pytest.mark.parametrize(
    ("state", "status", "code"),
    [
        (JobState.QUEUED, "queued", None),
        (JobState.RUNNING, "in_progress", None),
        (JobState.COMPLETED, "completed", None),
        (JobState.FAILED, "failed", "internal_error"),
        (JobState.DEAD, "failed", "internal_error"),
        (JobState.CANCELLED, "failed", "cancelled"),
    ],
)
def test_each_state_has_one_status_and_every_failed_one_an_error_code(
    state: JobState, status: str, code: str | None
) -> None:
    video = video_of(job(state=state), queue_position=None)
    assert (video.status, video.state) == (status, state)
    assert (video.error and video.error.code) == code


def test_the_error_of_an_earlier_attempt_does_not_show_while_the_job_goes_on() -> None:
    again = job(error={"code": "worker_crashed", "message": "x"}, attempts=1)
    assert video_of(again, queue_position=0).error is None


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        (None, None),
        ({"code": "not_requested"}, "not_requested"),
        ({"code": "resampled", "detail": "measured with 50 steps"}, "resampled: measured with 50 steps"),
    ],
)
def test_the_reason_is_its_code_and_behind_a_colon_its_detail(reason: object, text: str | None) -> None:
    report = a_report().model_dump() | {"reason": reason}
    video = video_of(job(state=JobState.COMPLETED, report=report), queue_position=None)
    assert video.reason == text


def test_what_will_have_no_effect_is_named_before_the_run() -> None:
    asked = REQUEST.model_copy(update={"guidance": 0.5, "negative_prompt": "fog", "guidance_2": 3.0})
    queued = job().model_copy(update={"request": asked})
    video = video_of(queued, queue_position=0, family=families()["wan"])
    assert set(video.no_effect) == {"guidance", "negative_prompt", "guidance_2"}
    guided = queued.model_copy(update={"request": asked.model_copy(update={"guidance": 5.0})})
    assert video_of(guided, queue_position=0, family=families()["wan"]).no_effect == {}
    assert video_of(queued, queue_position=0).no_effect == {}, "nothing is known of a model that is gone"


@pytest.mark.parametrize(
    ("full_steps", "reason", "allow", "named"),
    [
        (20, None, False, set()),
        (20, {"code": "uncalibrated"}, True, set()),
        (20, None, True, {"allow_uncalibrated"}),
        (50, {"code": "other_settings", "detail": "flow shift"}, False, {"sf"}),
        (50, {"code": "too_few_steps"}, True, {"sf", "allow_uncalibrated"}),
    ],
)
def test_what_had_no_effect_on_the_run_is_named_after_it(
    full_steps: int, reason: object, allow: bool, named: set[str]
) -> None:
    report = a_report(full_steps=full_steps).model_dump() | {"reason": reason, "no_effect": {"guidance_2": "no step"}}
    done = job(sf=10, state=JobState.COMPLETED, report=report)
    done = done.model_copy(update={"request": done.request.model_copy(update={"allow_uncalibrated": allow})})
    assert set(video_of(done, queue_position=None).no_effect) == {"guidance_2", *named}


@pytest.mark.parametrize(("eta", "milliseconds"), [(None, 1000), (0.0, 500), (30.0, 3000), (10_000.0, 5000)])
def test_the_next_look_is_a_tenth_of_the_eta_within_bounds(eta: float | None, milliseconds: int) -> None:
    video = video_of(job(state=JobState.RUNNING, started_at=100.0, step=20), queue_position=None, eta=Eta(eta))
    assert (video.eta_seconds, poll_after_ms(video)) == (eta, milliseconds)


def test_the_decisions_of_a_running_job_are_those_of_the_steps_that_are_done() -> None:
    running = job(state=JobState.RUNNING, started_at=100.0, step=3, decisions="FPF")
    assert video_of(running, queue_position=None).decisions == "FPF"
    assert video_of(job(), queue_position=0).decisions is None
