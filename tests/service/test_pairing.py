"""What is shown beside what."""

import pytest

from service.pairing import paired, setting_of
from tests.service.judged import report_of
from tests.workers.factories import a_request, an_artifact
from workers.jobs.errors import InvalidRequest
from workers.jobs.job import GenerationRequest, Job, JobState, Priority, new_job_id


def a_job(request: GenerationRequest) -> Job:
    job = Job(
        id=new_job_id(request.model),
        tenant="acme",
        priority=Priority.NORMAL,
        request=request,
        state=JobState.COMPLETED,
        created_at=1.0,
        artifact=an_artifact(),
    )
    return job.model_copy(update={"report": report_of(job)})


def test_each_result_stands_beside_the_uncached_one_of_its_prompt_and_seed() -> None:
    ball = {sf: a_job(a_request("a ball", sf=sf)) for sf in (50, 10, 6)}
    cube = {sf: a_job(a_request("a cube", sf=sf)) for sf in (6, 50)}
    pairs = paired([ball[10], cube[6], ball[50], cube[50], ball[6]])
    assert {(pair.first, pair.second) for pair in pairs} == {
        (ball[10].id, ball[50].id), (ball[6].id, ball[50].id), (cube[6].id, cube[50].id),
    }  # fmt: skip
    assert {(pair.setting, pair.baseline) for pair in pairs} == {
        ("sf 10, 50 steps", "uncached, 50 steps"), ("sf 6, 50 steps", "uncached, 50 steps"),
    }  # fmt: skip


def test_fewer_steps_are_a_setting_as_well() -> None:
    few, all_steps = (a_job(a_request(steps=steps, sf=steps)) for steps in (18, 50))
    [pair] = paired([few, all_steps])
    assert (pair.first, pair.setting, pair.baseline) == (few.id, "uncached, 18 steps", "uncached, 50 steps")


def test_a_setting_is_what_was_in_force_and_not_what_was_asked_for() -> None:
    asked = a_job(a_request(sf=10))
    in_full = a_job(a_request(sf=50)).report
    assert setting_of(asked).label == "sf 10, 50 steps"
    assert setting_of(asked.model_copy(update={"report": in_full})).label == "uncached, 50 steps"
    faster = a_job(a_request(sf=10).model_copy(update={"full_steps": 12}))
    assert setting_of(faster).label == "12 of 50 steps"


@pytest.mark.parametrize(
    "change",
    [{"prompt": "other"}, {"seed": 8}, {"width": 64}, {"guidance": 1.0}, {"fps": 8}, {"input_reference": "0" * 64}],
)
def test_results_that_differ_in_anything_else_are_no_pair(change: dict[str, object]) -> None:
    lone, plain = a_job(a_request(sf=10).model_copy(update=change)), a_job(a_request(sf=50))
    with pytest.raises(InvalidRequest, match="has no partner") as refusal:
        paired([lone, plain])
    assert lone.id in str(refusal.value) and refusal.value.param == "ids"


def test_two_results_with_one_setting_are_refused_by_name() -> None:
    one, other, plain = (a_job(a_request(sf=sf)) for sf in (10, 10, 50))
    with pytest.raises(InvalidRequest, match="are the same request, sf 10, 50 steps") as refusal:
        paired([plain, one, other])
    assert one.id in str(refusal.value) and other.id in str(refusal.value)
