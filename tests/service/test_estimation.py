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
from service.estimation import Progress
from service.settings import Settings
from tests.catalogues import a_model
from tests.queues import Queue
from tests.service import fake_worker
from tests.service.calls import create
from tests.service.fake_worker import MODEL, REPORT, FakeWorker
from tests.workers.evaluations import a_pair, an_evaluation
from tests.workers.factories import a_request
from workers.jobs.job import Account, GenerationRequest, RunReport
from workers.jobs.presence import Presence, WorkerInfo
from workers.jobs.token_counts import EncoderTokens, TokenCounts
from workers.models.catalogue import Catalogue, families
from workers.models.duration import Pace, Plan

#: The schedule of an evaluation's runs, and that of a later job.
EVALUATED, LATER = "F" * 18 + "P" * 32, "F" * 17 + "P" * 32 + "F"


def of(**changes: Any) -> GenerationRequest:
    return a_request().model_copy(update=changes)


def test_the_schedule_is_that_of_the_first_earlier_run_with_as_many_steps() -> None:
    request, plan = of(steps=6, sf=2), Plan(3, 3)
    assert estimation.decisions(request, plan, ["FFFFFF", "FFPFP", "FFPFPP", "FFPPFP"]) == "FFPFPP"
    assert estimation.decisions(request, plan, ["FFPFPF"]) is None


def test_the_schedule_of_an_uncached_run_needs_no_earlier_one() -> None:
    assert estimation.decisions(of(steps=6, sf=6), Plan(6, 0), []) == "FFFFFF"


#: Of a run that takes 18 x 0.5 + 32 x 0.01 + 3 = 12.32 s.
PLAN, PACE = Plan(18, 32), Pace(full=0.5, predicted=0.01, before=1.0, after=2.0, runs=5, same_size=True)


@pytest.mark.parametrize(
    ("progress", "seconds"),
    [
        (Progress(0.0, None, 0, None, None), 12.32),
        (Progress(-0.4, "encode_prompt", 0, None, None), 11.92),
        (Progress(-60.0, "encode_prompt", 0, None, None), 10.82),  # the steps are still to come
        (Progress(-6.0, "denoise", 10, 10, 0.5), 6.32),
        (Progress(-11.0, "denoise", 10, 10, 1.0), 10.32),  # its own steps are slower
        (Progress(-60.0, "denoise", 10, 10, 0.5), 5.32),  # one may have been done since it was told
        (Progress(-1.0, "denoise", 10, 10, 0.5), 6.32),  # it cannot take longer than its steps
        (Progress(None, "denoise", 10, 10, 0.5), 6.32),
        (Progress(-6.0, "denoise", 30, None, 0.5), 5.63),  # its worker does not tell which
        (Progress(-11.32, "decode", 50, 18, 0.5), 1.0),
        (Progress(-3.0, "store", 50, 18, 0.5), 2.0),
        (Progress(-99.0, "store", 50, 18, 0.5), 0.0),
        (Progress(-12.0, "denoise", 40, 22, 0.5), 1.1),  # more were computed in full than expected
    ],
)
def test_what_is_left_of_a_run_is_told_by_the_clock_within_what_its_steps_take(
    progress: Progress, seconds: float
) -> None:
    assert estimation.seconds_left(PLAN, PACE, progress, 0.0) == pytest.approx(seconds)


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
    assert (known["eta_seconds"], known["eta_reason"]) == (None, "not_measured")
    assert known["evaluated"]["psnr"]["mean"] == 31.0 and known["evaluated"]["sf"] == 10
    assert (known["expected_snr"], known["decisions"]) == (None, EVALUATED)
    evaluated = [estimated(client, target_speedup=target)["evaluated"] for target in (2.7, 2.6)]
    assert [each and each["sf"] for each in evaluated] == [10, None], "18 and 19 full steps"
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
    assert known["run_seconds"] == pytest.approx(4.61), "as the one before"
    assert (known["eta_seconds"], known["eta_reason"]) == (pytest.approx(3 * 4.61), None)
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
