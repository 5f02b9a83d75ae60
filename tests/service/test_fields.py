"""Every field of a body reaches the job, under each of its names, in JSON and in forms."""

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.dependencies import Resources
from service.schemas import CreateImage, CreateVideo, names_of
from service.settings import Settings
from tests.catalogues import a_model
from tests.images import a_file
from tests.queues import Queue
from tests.waiting import wait_until
from tests.workers.evaluations import a_pair, an_evaluation
from workers.jobs.job import GenerationRequest, Job, Priority
from workers.models.catalogue import Catalogue, families

IMAGE = a_file()


@dataclass(frozen=True)
class Sample:
    """A value that no default has, where it arrives as what, and what else it needs in its body."""

    sent: Any
    arrives: Callable[[GenerationRequest], object]
    expected: Any = None
    beside: dict[str, Any] = field(default_factory=dict)

    @property
    def wanted(self) -> object:
        return self.sent if self.expected is None else self.expected


RUN = {
    "prompt": Sample("another", lambda request: request.prompt),
    "size": Sample("128x96", lambda request: (request.width, request.height), (128, 96)),
    "steps": Sample(40, lambda request: request.steps),
    "sf": Sample(12, lambda request: request.sf),
    "target_speedup": Sample(2, lambda request: request.full_steps, 25),
    "allow_uncalibrated": Sample(True, lambda request: request.allow_uncalibrated),
    "truncate_prompt": Sample(False, lambda request: request.truncate_prompt),
    "basis_runs": Sample(3, lambda request: request.basis_runs),
    "guidance": Sample(4.5, lambda request: request.guidance),
    "seed": Sample(2**31 + 5, lambda request: request.seed),
}
VIDEO = RUN | {
    "model": Sample("experts", lambda request: request.model),
    "true_cfg_scale": Sample(3.0, lambda request: request.true_cfg_scale, beside={"model": "embedded"}),
    "flow_shift": Sample(3.0, lambda request: request.flow_shift),
    "negative_prompt": Sample("fog", lambda request: request.negative_prompt),
    "seconds": Sample(1, lambda request: request.frames, 17),
    "frames": Sample(9, lambda request: request.frames),
    "fps": Sample(8, lambda request: request.fps),
    "guidance_2": Sample(2.5, lambda request: request.guidance_2, beside={"model": "experts"}),
    "input_reference": Sample(
        {"image_url": "data:image/png;base64," + base64.b64encode(IMAGE).decode()},
        lambda request: request.input_reference,
        hashlib.sha256(IMAGE).hexdigest(),
        {"model": "animator"},
    ),
}
IMAGES = RUN | {
    "model": Sample("second", lambda request: request.model),
    "true_cfg_scale": Sample(3.0, lambda request: request.true_cfg_scale),
    "negative_prompt": Sample("fog", lambda request: request.negative_prompt, beside={"true_cfg_scale": 2}),
}
#: What is no part of the generation.
OF_THE_JOB = {"priority", "metadata", "webhook_url", "deadline_seconds", "reuse"}
OF_THE_ANSWER = {"n", "response_format", "webhook_url"}
#: What no family of images takes: it arrives where its refusal says so.
REFUSED_FOR_IMAGES = {"flow_shift"}


def each_name(schema: type[CreateVideo] | type[CreateImage], samples: dict[str, Sample]) -> Any:
    names = [(name, samples[field]) for field, names in names_of(schema).items() if field in samples for name in names]
    return pytest.mark.parametrize(("name", "sample"), names, ids=[name for name, _ in names])


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    """Models of videos and images that between them take every field."""
    evaluation = an_evaluation([a_pair(4, 3.0, 20.0), a_pair(20, 2.4, 31.0)]).model_copy(update={"steps": 50})
    evaluation.save(tmp_path / "evaluation.json")
    still, measured = {"frames": 1, "fps": 1, "flow_shift": None}, str(tmp_path / "evaluation.json")
    entries = (
        a_model(evaluation=measured),
        a_model("experts", defaults={"guidance_2": 4.0}),
        a_model("embedded", "hunyuan_video"),
        a_model("animator", "wan-i2v"),
        a_model("first", "flux", defaults=still, evaluation=measured),
        a_model("second", "flux", defaults=still),
    )
    return Catalogue({entry.name: entry for entry in entries}, families())


@pytest.fixture
def client(settings: Settings, catalogue: Catalogue) -> Iterator[TestClient]:
    with TestClient(create_app(settings, replace(Resources.open(settings), catalogue=catalogue))) as client:
        yield client


def jobs_of(queue: Queue, catalogue: Catalogue) -> list[Job]:
    return queue.jobs.list("default", list(catalogue.entries), after=None, limit=10, ascending=True)[0]


def form_of(body: dict[str, Any]) -> dict[str, Any]:
    """The same body in the fields of a form."""
    form: dict[str, Any] = {}
    for name, value in body.items():
        if name == "input_reference":
            form[name] = ("frame.png", IMAGE, "image/png")
        elif isinstance(value, dict):
            form |= {f"{name}[{key}]": (None, text) for key, text in value.items()}
        else:
            form[name] = (None, json.dumps(value) if isinstance(value, bool) else str(value))
    return form


def test_every_field_has_a_sample_here() -> None:
    assert set(VIDEO) | OF_THE_JOB == set(CreateVideo.model_fields)
    assert set(IMAGES) | OF_THE_ANSWER | REFUSED_FOR_IMAGES | {"priority", "deadline_seconds", "reuse"} == set(
        CreateImage.model_fields
    )


@pytest.mark.parametrize("form", [False, True], ids=["json", "form"])
@each_name(CreateVideo, VIDEO)
def test_every_field_of_a_video_reaches_its_job(
    client: TestClient, queue: Queue, catalogue: Catalogue, name: str, sample: Sample, form: bool
) -> None:
    body = {"prompt": "a red ball", **sample.beside}
    if name != "input_reference":  # The model that needs one refuses a body without it.
        assert client.post("/v1/videos", json=body).status_code == 200
    body[name] = sample.sent
    response = client.post("/v1/videos", files=form_of(body)) if form else client.post("/v1/videos", json=body)
    assert response.status_code == 200, response.text
    *without, job = jobs_of(queue, catalogue)
    assert sample.arrives(job.request) == sample.wanted
    assert all(sample.arrives(other.request) != sample.wanted for other in without), "it is the field that does it"


@pytest.mark.parametrize("form", [False, True], ids=["json", "form"])
def test_priority_and_metadata_reach_the_job_of_a_video(
    client: TestClient, queue: Queue, catalogue: Catalogue, form: bool
) -> None:
    body = {"prompt": "a", "priority": "high", "metadata": {"team": "video"}}
    assert (client.post("/v1/videos", files=form_of(body)) if form else client.post("/v1/videos", json=body)).is_success
    [job] = jobs_of(queue, catalogue)
    assert (job.priority, job.metadata) == (Priority.HIGH, {"team": "video"})


@pytest.mark.parametrize("form", [False, True], ids=["json", "form"])
@each_name(CreateImage, IMAGES)
def test_every_field_of_an_image_reaches_its_jobs(
    client: TestClient, queue: Queue, catalogue: Catalogue, name: str, sample: Sample, form: bool
) -> None:
    body = {"prompt": "a red ball", "n": 2, "priority": "low", **sample.beside, name: sample.sent}
    path = "/v1/images/generations"
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(client.post, path, **({"files": form_of(body)} if form else {"json": body}))
        wait_until(lambda: len(jobs_of(queue, catalogue)) == 2)
        jobs = jobs_of(queue, catalogue)
        queue.jobs.cancel(jobs[0].key)  # Nobody makes them here: the call ends with the first that is cancelled.
        assert answer.result(timeout=30).json()["error"]["code"] == "cancelled"
    assert [job.priority for job in jobs] == [Priority.LOW, Priority.LOW]
    assert sample.arrives(jobs[0].request) == sample.wanted
    assert jobs[1].request == jobs[0].request.model_copy(update={"seed": jobs[0].request.seed + 1})


@pytest.mark.parametrize("name", names_of(CreateImage)["flow_shift"])
def test_a_field_that_no_image_model_takes_is_refused_for_what_it_is(client: TestClient, name: str) -> None:
    response = client.post("/v1/images/generations", json={"prompt": "a", name: 3.0})
    assert response.status_code == 400
    assert response.json()["error"]["message"].startswith("flow_shift 3: ")


TWICE = [
    (path, names)
    for path, schema in (("/v1/videos", CreateVideo), ("/v1/images/generations", CreateImage))
    for names in names_of(schema).values()
    if len(names) > 1
]


@pytest.mark.parametrize("form", [False, True], ids=["json", "form"])
@pytest.mark.parametrize(("path", "names"), TWICE, ids=[f"{path}-{names[1]}" for path, names in TWICE])
def test_a_field_under_two_names_at_once_is_refused(
    client: TestClient, path: str, names: list[str], form: bool
) -> None:
    ours, other = names
    body = {"prompt": "a", ours: 5, other: 5}
    response = client.post(path, files=form_of(body)) if form else client.post(path, json=body)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (400, "invalid_request", other)
    for word in (ours, other, "set only one of them"):
        assert word in error["message"]


def test_the_names_that_other_servers_use_are_the_expected_ones() -> None:
    others = {names[0]: names[1:] for names in names_of(CreateVideo).values() if len(names) > 1}
    assert others == {
        "steps": ["num_inference_steps"],
        "frames": ["num_frames"],
        "guidance": ["guidance_scale"],
        "guidance_2": ["guidance_scale_2"],
        "flow_shift": ["shift"],
    }


def test_a_wrong_value_is_refused_under_the_name_it_was_sent_with_and_null_is_as_if_left_out(
    client: TestClient,
) -> None:
    error = client.post("/v1/videos", json={"prompt": "a", "num_inference_steps": 0}).json()["error"]
    assert error["param"] == "num_inference_steps" and "num_inference_steps 0: must be" in error["message"]
    video = client.post("/v1/videos", json={"prompt": "a", "steps": None, "num_inference_steps": 40}).json()
    assert video["steps"] == 40


def test_a_body_is_the_same_under_either_name(client: TestClient) -> None:
    ids = {
        client.post("/v1/videos", json={"prompt": "a", name: 40}, headers={"idempotency-key": "k"}).json()["id"]
        for name in ("steps", "num_inference_steps")
    }
    assert len(ids) == 1


def test_the_page_of_the_api_names_every_field() -> None:
    page = (Path(__file__).parents[2] / "docs" / "http.md").read_text()
    for schema in (CreateVideo, CreateImage):
        for names in names_of(schema).values():
            for name in names:
                assert f"`{name}`" in page
