"""What a request would take, by jobs whose times are known."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service import estimation
from service.app import create_app
from service.dependencies import Resources
from service.estimation import Plan, StepTimes
from service.settings import Settings
from tests.catalogues import a_model
from tests.queues import Queue
from tests.service import fake_worker
from tests.service.calls import create
from tests.service.fake_worker import MODEL, REPORT, FakeWorker
from tests.workers.evaluations import a_pair, an_evaluation
from tests.workers.factories import a_request
from workers.jobs.job import Account, GenerationRequest, Job, JobState, Priority, RunReport
from workers.jobs.presence import Presence, WorkerInfo
from workers.jobs.token_counts import EncoderTokens, TokenCounts
from workers.models.catalogue import Catalogue, families

#: The schedule of an evaluation's runs, and that of a later job.
EVALUATED, LATER = "F" * 18 + "P" * 32, "F" * 17 + "P" * 32 + "F"


def a_job(request: GenerationRequest | None = None, **changes: Any) -> Job:
    return Job(
        id="video_x",
        tenant="acme",
        priority=Priority.NORMAL,
        request=request or a_request(),
        state=JobState.COMPLETED,
        created_at=0,
        report=REPORT.model_copy(update=changes),
    )


def of(**changes: Any) -> GenerationRequest:
    return a_request().model_copy(update=changes)


@pytest.mark.parametrize(
    ("request_", "plan"),
    [
        (of(), Plan(18, 32)),
        (of(sf=50), Plan(50, 0)),
        (of(sf=45), Plan(50, 0)),  # little gain
        (of(full_steps=25), Plan(25, 25)),
    ],
)
def test_the_plan_is_that_of_the_method(request_: GenerationRequest, plan: Plan) -> None:
    assert estimation.plan_of(request_, "covariance") == plan


def test_the_schedule_is_that_of_the_first_earlier_run_with_as_many_steps() -> None:
    request, plan = of(steps=6, sf=2), Plan(3, 3)
    assert estimation.decisions(request, plan, ["FFFFFF", "FFPFP", "FFPFPP", "FFPPFP"]) == "FFPFPP"
    assert estimation.decisions(request, plan, ["FFPFPF"]) is None


def test_the_schedule_of_an_uncached_run_needs_no_earlier_one() -> None:
    assert estimation.decisions(of(steps=6, sf=6), Plan(6, 0), []) == "FFFFFF"


def test_a_method_that_decides_as_it_goes_has_a_plan_only_without_acceleration() -> None:
    assert estimation.plan_of(of(), "paper") is None
    assert estimation.plan_of(of(sf=50), "paper") == Plan(50, 0)


def test_times_are_medians_over_jobs_of_the_same_size() -> None:
    jobs = [a_job(full_step_seconds=seconds) for seconds in (0.1, 0.2, 9.0)]
    other = a_job(of(width=192), full_step_seconds=1.0)
    times = estimation.step_times(of(), [*jobs, other])
    assert times == StepTimes(full=0.2, predicted=0.004, other=pytest.approx(0.61), jobs=3, same_size=True)


def test_times_of_other_sizes_are_scaled_by_pixels_and_frames() -> None:
    times = estimation.step_times(of(width=192, frames=66), [a_job()])
    assert times == StepTimes(pytest.approx(0.8), pytest.approx(0.016), pytest.approx(2.44), 1, same_size=False)


def test_jobs_that_ran_the_transformer_another_number_of_times_a_step_tell_nothing() -> None:
    assert estimation.step_times(of(guidance=1.0), [a_job()]) is None
    assert estimation.step_times(of(), []) is None


def test_a_run_is_its_steps_and_what_is_no_step() -> None:
    assert estimation.run_seconds(Plan(18, 32), StepTimes(0.5, 0.01, 2.0, 3, True)) == pytest.approx(11.32)


@pytest.mark.parametrize(
    ("ahead", "running", "workers", "seconds"),
    [(0, 0, 1, 0.0), (0, 1, 2, 0.0), (0, 1, 1, 2.305), (3, 1, 1, 16.135), (3, 2, 2, 9.22), (0, 0, 0, None)],
)
def test_the_wait_is_for_those_ahead_and_half_of_those_that_run(
    ahead: int, running: int, workers: int, seconds: float | None
) -> None:
    waited = estimation.queued_seconds(ahead, running, workers, [a_job()])
    assert waited == (None if seconds is None else pytest.approx(seconds))


def test_without_a_measured_job_a_wait_is_not_known() -> None:
    assert estimation.queued_seconds(1, 1, 1, []) is None


@pytest.fixture
def client(settings: Settings, tmp_path: Path) -> Iterator[TestClient]:
    """Its model was evaluated at the default size."""
    pairs = [a_pair(10, 2.4, 31.0, decisions=EVALUATED), a_pair(20, 1.5, 41.0)]
    an_evaluation(pairs).model_copy(update={"steps": 50, "size": "96x64", "frames": 33}).save(tmp_path / "e.json")
    entry = a_model(MODEL, evaluation=str(tmp_path / "e.json"))
    catalogue = Catalogue({entry.name: entry}, families())
    with TestClient(create_app(settings, replace(Resources.open(settings), catalogue=catalogue))) as client:
        yield client


def estimated(client: TestClient, **fields: Any) -> dict[str, Any]:
    answer = client.post("/v1/videos:estimate", json={"prompt": "a red ball"} | fields)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_a_service_that_has_made_nothing_says_what_it_knows(client: TestClient, queue: Queue) -> None:
    known = estimated(client)
    assert (known["full_steps"], known["cached_steps"], known["steps"], known["sf"]) == (18, 32, 50, 10)
    assert (known["run_seconds"], known["measured_jobs"], known["measured_at_this_size"]) == (None, 0, None)
    assert (known["queue_position"], known["live_workers"], known["queued_seconds"]) == (0, 0, None)
    assert known["evaluated"]["psnr"]["mean"] == 31.0 and known["evaluated"]["sf"] == 10
    assert (known["expected_snr"], known["decisions"]) == (None, EVALUATED)
    assert queue.inspection.depth(MODEL).queued == 0, "nothing was made"
    assert client.get("/v1/videos").json()["data"] == []


def test_it_tells_by_what_was_made_and_what_waits(
    client: TestClient, worker: FakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = Account(method="covariance", expected_snr=21.5)
    ran = {"account": account, "full_steps": 18, "cached_steps": 32, "decisions": LATER}
    report: RunReport = REPORT.model_copy(update=ran)
    monkeypatch.setattr(fake_worker, "REPORT", report)
    create(client)
    worker.run_one()
    worker.announce()
    for priority in ("high", "normal", "low"):
        create(client, priority=priority)
    known = estimated(client)
    assert known["run_seconds"] == pytest.approx(18 * 0.2 + 32 * 0.004 + 0.61)
    assert (known["measured_jobs"], known["measured_at_this_size"], known["expected_snr"]) == (1, True, 21.5)
    assert known["decisions"] == LATER
    assert (known["queue_position"], known["live_workers"]) == (2, 1)
    assert known["queued_seconds"] == pytest.approx(2 * 4.61)
    assert estimated(client, priority="high")["queue_position"] == 1
    slower = estimated(client, sf=20)
    assert (slower["expected_snr"], slower["decisions"]) == (None, None)
    other = estimated(client, size="96x96", sf=20)
    assert (other["measured_at_this_size"], other["evaluated"]) == (False, None)


@pytest.mark.parametrize(("fields", "param"), [({"sf": 1}, "sf"), ({"size": "97x96"}, "size"), ({"x": 1}, "x")])
def test_what_would_be_refused_is_refused(client: TestClient, fields: dict[str, Any], param: str) -> None:
    answer = client.post("/v1/videos:estimate", json={"prompt": "a red ball"} | fields)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_who_lives_is_asked_once(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, workers = list[Presence](), Presence.workers

    def counted(presence: Presence) -> list[WorkerInfo]:
        asked.append(presence)
        return workers(presence)

    monkeypatch.setattr(Presence, "workers", counted)
    estimated(client)
    assert len(asked) == 1


def test_tokens_are_those_of_the_encoder_that_reads_the_most(
    settings: Settings, worker: FakeWorker, queue: Queue
) -> None:
    worker.announce()
    counts = TokenCounts(queue.connection, 4.0)
    resources = replace(Resources.open(settings), token_counts=counts)
    with TestClient(create_app(settings, resources)) as client, ThreadPoolExecutor(1) as pool:
        asking = pool.submit(estimated, client)
        question = counts.next([MODEL], 4.0)
        assert question is not None and question.prompt == "a red ball"
        by_encoder = (("clip", 5, 77), ("t5", 9, 512))
        counts.answer(question, [EncoderTokens(encoder=e, tokens=n, limit=most) for e, n, most in by_encoder])
        known = asking.result()
    assert (known["prompt_tokens"], known["prompt_token_limit"]) == (9, 512)


def test_tokens_are_unknown_where_no_worker_lives_or_none_answers(client: TestClient, worker: FakeWorker) -> None:
    known = estimated(client)
    assert (known["live_workers"], known["prompt_tokens"], known["prompt_token_limit"]) == (0, None, None)
    worker.announce()
    known = estimated(client)
    assert (known["live_workers"], known["prompt_tokens"], known["prompt_token_limit"]) == (1, None, None)
