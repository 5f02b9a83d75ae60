"""What the service tells and decides by what was measured of a model: its evaluation, its coefficients' reach."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from tests.catalogues import catalogue_text
from tests.queues import Queue
from tests.service.calls import create
from tests.service.settings import VIDEO_MODEL
from tests.workers.evaluations import a_pair, an_evaluation
from workers.jobs.job import JobKey
from workers.models.basis import readable
from workers.models.catalogue import Catalogue
from workers.models.evaluation import Evaluation
from workers.scalingcache.budget import full_steps


@pytest.fixture
def evaluation() -> Evaluation:
    pairs = [a_pair(4, 3.0, 20.0), a_pair(10, 2.0, 31.0), a_pair(20, 1.4, 40.0)]
    return an_evaluation(pairs).model_copy(update={"steps": 50, "provenance": {"date": "2026-11-23"}})


@pytest.fixture
def measured(settings: Settings, evaluation: Evaluation) -> Iterator[TestClient]:
    """The service over a model of the paper's method, with coefficients of 50 steps and an evaluation."""
    catalogue = settings.catalogue
    catalogue.write_text(catalogue_text(VIDEO_MODEL.model_copy(update={"method": "paper", "evaluation": "e.json"})))
    evaluation.save(catalogue.parent / "e.json")
    coefficients(catalogue.parent)
    with TestClient(create_app(settings)) as client:
        yield client


def refusal(client: TestClient, **body: object) -> tuple[str, str]:
    answer = client.post("/v1/videos", json={"prompt": "a", **body})
    assert answer.status_code == 400, answer.text
    return answer.json()["error"]["param"], answer.json()["error"]["message"]


def test_a_model_shows_what_each_sf_is_expected_to_bring(measured: TestClient) -> None:
    expected = measured.get("/v1/models/wan-test").json()["expected"]
    assert {name: expected[name] for name in ("steps", "size", "frames", "prompts", "date")} == {
        "steps": 50, "size": "32x32", "frames": 5, "prompts": 1, "date": "2026-11-23",
    }  # fmt: skip
    assert [row["sf"] for row in expected["sf"]] == [4, 10, 20]
    assert expected["sf"][1]["speedup"] == {"mean": 2.0, "low": 2.0, "high": 2.0}
    assert (expected["sf"][1]["psnr"]["mean"], expected["sf"][1]["lpips"]) == (31.0, None)


def test_a_model_without_an_evaluation_promises_no_fidelity(client: TestClient) -> None:
    assert client.get("/v1/models/wan-test").json()["expected"] is None


def test_a_model_says_how_many_steps_each_sf_computes_in_full(client: TestClient, measured: TestClient) -> None:
    by_sf = client.get("/v1/models/wan-test").json()["sf"]["full_steps"]
    assert list(by_sf) == [str(sf) for sf in range(2, 51)]
    assert (by_sf["4"], by_sf["6"], by_sf["10"], by_sf["50"]) == (8, 11, 18, 50)
    assert (by_sf["30"], by_sf["32"]) == (42, 50), "44 in full would be no gain, so all are"
    assert measured.get("/v1/models/wan-test").json()["sf"]["full_steps"] is None, "the paper's rule decides it later"


@pytest.mark.parametrize(
    ("target", "steps", "count"), [(1, 50, 50), (1.5, 50, 33), (2, 50, 25), (2.5, 50, 20), (3, 40, 13), ("25", 50, 2)]
)
def test_a_target_speedup_sets_the_number_of_full_steps(
    client: TestClient, queue: Queue, target: float | str, steps: int, count: int
) -> None:
    video = create(client, sf=None, steps=steps, target_speedup=target)
    request = queue.jobs.get(JobKey("default", video["id"])).request
    assert (request.full_steps, steps >= float(target) * count) == (count, True)
    assert (video["target_full_steps"], create(client, steps=steps)["target_full_steps"]) == (count, None)
    assert request.sf == video["sf"] and full_steps(video["sf"], steps) <= max(count, full_steps(2, steps))


def test_a_paper_model_without_an_evaluation_has_no_target_speedup(measured: TestClient, settings: Settings) -> None:
    (settings.catalogue.parent / "e.json").unlink()
    param, message = refusal(measured, target_speedup=2)
    assert param == "target_speedup" and "wan-test has no evaluation" in message


def test_a_speedup_is_not_chosen_by_an_evaluation_of_videos_from_images(
    measured: TestClient, settings: Settings, evaluation: Evaluation
) -> None:
    evaluation.model_copy(update={"input_reference": True}).save(settings.catalogue.parent / "e.json")
    assert measured.get("/v1/models/wan-test").json()["expected"]["input_reference"] is True
    param, message = refusal(measured, target_speedup=2)
    assert param == "target_speedup" and "evaluated with input_reference" in message


def test_an_evaluation_that_cannot_be_read_hides_no_model(measured: TestClient, settings: Settings) -> None:
    (settings.catalogue.parent / "e.json").write_text('{"model": "of another version"}')
    listed = measured.get("/v1/models")
    assert listed.status_code == 200
    assert [(model["id"], model["expected"]) for model in listed.json()["data"]] == [("wan-test", None)]


@pytest.mark.parametrize(("target", "sf"), [(3, 4), (1.5, 10), ("1.2", 20)])
def test_a_target_speedup_chooses_the_most_faithful_sf_that_reaches_it(
    measured: TestClient, target: float | str, sf: int
) -> None:
    assert create(measured, sf=None, steps=None, target_speedup=target)["sf"] == sf


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"target_speedup": 2, "sf": 10}, "target_speedup 2 and sf 10: set only one of them"),
        ({"target_speedup": 3.5}, "expected to reach at most 3.00"),
        ({"target_speedup": 2, "steps": 40}, "evaluated with 50 steps, not 40"),
        ({"target_speedup": 0.5}, "greater than or equal to 1"),
    ],
)
def test_a_target_that_cannot_be_kept_is_refused(measured: TestClient, body: dict[str, object], words: str) -> None:
    param, message = refusal(measured, **body)
    assert param == "target_speedup" and words in message


def coefficients(folder: Path, **key: object) -> None:
    """A file of the paper's method for the model's default requests, as far as the service reads it."""
    usual = {"steps": 50, "size_class": 18, "guidance": True, "scheduler": {"class": "UniPC", "flow_shift": 1.0}}
    table = {"key": usual | key, "prompts": 20, "seeds": 5, "provenance": {"date": "2026-11-23"}}
    (folder / "nowhere.json").write_text(json.dumps(table))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"size": "32x32"}, "32x32, 33 frames: size class 15, measured 18"),
        ({"flow_shift": 3}, "flow_shift 3, measured 1"),
        ({"guidance": 1}, "no guidance, measured with it"),
    ],
)
def test_a_speed_is_refused_where_nothing_would_be_accelerated(
    measured: TestClient, settings: Settings, body: dict[str, object], words: str
) -> None:
    assert create(measured, sf=None, steps=None, target_speedup=2)["sf"] == 10
    param, message = refusal(measured, target_speedup=2, **body)
    assert (param, words in message) == ("target_speedup", True), message
    assert "set sf 50 to have it computed in full" in message
    assert create(measured, sf=None, steps=None, target_speedup=2, allow_uncalibrated=True, **body)["sf"] == 10


@pytest.mark.parametrize("text", [None, '{"key": {"steps": 50'], ids=["missing", "cut"])
def test_a_speed_is_refused_where_no_coefficients_can_be_read(
    measured: TestClient, settings: Settings, text: str | None
) -> None:
    file = settings.catalogue.parent / "nowhere.json"
    file.unlink()
    if text is not None:
        file.write_text(text)
    param, message = refusal(measured, target_speedup=2)
    assert param == "target_speedup" and "(no coefficients file can be read)" in message
    assert create(measured, sf=None, steps=None, target_speedup=2, allow_uncalibrated=True)["sf"] == 10


@pytest.mark.parametrize(("target", "steps", "count"), [(1.1, 50, 45), (1.01, 50, 49), (1.1, 8, 7)])
def test_a_speed_that_is_not_worth_it_is_refused(client: TestClient, target: float, steps: int, count: int) -> None:
    param, message = refusal(client, target_speedup=target, steps=steps)
    assert param == "target_speedup" and f"{count} of {steps} steps in full are less than 1.15 times faster" in message


def test_a_model_says_what_its_acceleration_rests_on(measured: TestClient, settings: Settings) -> None:
    (settings.catalogue.parent / "nowhere.json").write_text('{"key": {"steps": 50}}')
    assert measured.get("/v1/models/wan-test").json()["rests_on"] == [], "a file that cannot be read hides no model"
    coefficients(settings.catalogue.parent)
    [file] = measured.get("/v1/models/wan-test").json()["rests_on"]
    assert file == {
        "method": "paper", "runs": 100, "steps": 50, "size_class": 18, "guidance": True, "input_reference": False,
        "flow_shift": 1.0, "plan": None, "date": "2026-11-23",
    }  # fmt: skip


def test_a_model_that_ships_rests_on_its_measured_runs() -> None:
    [file] = readable(Catalogue.read(Path("models.toml")).entry("wan-tiny").coefficients, "covariance")
    assert (file.runs, file.steps, file.size_class, file.flow_shift, file.plan) == (8, 50, 18, None, "tried")


@pytest.mark.parametrize("steps", [24, 12])
def test_an_sf_for_steps_that_the_coefficients_do_not_reach_is_refused(measured: TestClient, steps: int) -> None:
    param, message = refusal(measured, steps=steps, sf=4)
    assert param == "steps" and "accelerated with 25 to 100 steps" in message


def test_a_file_that_is_not_written_yet_hides_no_other_one_s_reach(measured: TestClient, settings: Settings) -> None:
    both = VIDEO_MODEL.model_copy(update={"method": "paper", "coefficients": ("nowhere.json", "later.json")})
    settings.catalogue.write_text(catalogue_text(both))
    with TestClient(create_app(settings)) as client:
        param, message = refusal(client, steps=24, sf=4)
    assert param == "steps" and "accelerated with 25 to 100 steps" in message


@pytest.mark.parametrize(
    "body",
    [
        {"steps": 25, "sf": 4},
        {"steps": 100, "sf": 4},
        {"steps": 12, "sf": 4, "allow_uncalibrated": True},
        {"steps": 12, "sf": 12},
        {"steps": 12, "sf": None},
    ],
)
def test_within_reach_uncached_or_allowed_it_is_taken(measured: TestClient, body: dict[str, object]) -> None:
    assert create(measured, **body)["status"] == "queued"


def test_metrics_say_the_psnr_that_was_evaluated_and_nothing_of_a_broken_file(
    measured: TestClient, settings: Settings
) -> None:
    def shown() -> list[str]:
        lines = measured.get("/metrics").text.splitlines()
        return [line for line in lines if line.startswith("scalingcache_evaluated_psnr_decibels{")]

    model = VIDEO_MODEL.name
    assert shown() == [
        f'scalingcache_evaluated_psnr_decibels{{model="{model}",sf="{sf}"}} {psnr}'
        for sf, psnr in ((4, 20.0), (10, 31.0), (20, 40.0))
    ]
    (settings.catalogue.parent / "e.json").write_text("{")
    assert shown() == []
