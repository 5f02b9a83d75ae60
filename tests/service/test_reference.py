"""Videos that start from an image: what is taken, what is refused, and what the worker finds."""

import base64
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.settings import Settings
from tests.images import a_file, chunk, opened
from tests.queues import Queue
from tests.service.fake_worker import FakeWorker
from tests.service.first_frames import BODY, MODELS, post
from tests.service.settings import settings_in
from workers.jobs.append_only import AppendOnlyFile
from workers.jobs.artifacts import ArtifactStore
from workers.jobs.job import JobKey, JobState
from workers.jobs.store_binding import StoreBinding
from workers.media.first_frame import MOST_PIXELS, fitted
from workers.process.housekeeping import Housekeeping
from workers.process.metrics import Metrics


@pytest.fixture
def settings(tmp_path: Path, redis_url: str) -> Settings:
    return settings_in(tmp_path, redis_url, *MODELS)


def stored(settings: Settings, job_id: str) -> Path:
    return ArtifactStore(settings.artifacts).reference(JobKey("default", job_id))


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_a_worker_finds_the_image_in_the_size_of_the_video(
    client: TestClient, settings: Settings, queue: Queue, format: str
) -> None:
    response = post(client, a_file(format, (400, 90)), size="192x96")
    assert response.status_code == 200, response.text
    attempt = queue.leases.claim(["animator"], "w")
    assert attempt is not None and attempt.job.request.input_reference is not None
    image = opened(stored(settings, attempt.job.id))
    assert image.size == (192, 96)
    assert image.getpixel((5, 5))[0] > 250 and image.getpixel((5, 5))[1] < 5  # type: ignore[index]


def test_an_image_may_come_in_json_as_a_data_url(client: TestClient, settings: Settings) -> None:
    content = a_file()
    url = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    response = client.post("/v1/videos", json=BODY | {"input_reference": {"image_url": url}})
    assert response.status_code == 200, response.text
    same = post(client, None, **{"input_reference[image_url]": url})
    assert same.status_code == 200, same.text
    first, second = (stored(settings, each.json()["id"]).read_bytes() for each in (response, same))
    assert first == second == fitted(content, 96, 64)


@pytest.mark.parametrize(
    "head",
    [
        "data:image/jpg;base64,",
        "DATA:IMAGE/PNG;BASE64,",
        "data:image/png;charset=utf-8;base64,",
        "data:image/png; base64,",
    ],
)
def test_a_data_url_may_be_written_in_all_usual_ways(client: TestClient, head: str) -> None:
    url = head + base64.b64encode(a_file()).decode()
    response = client.post("/v1/videos", json=BODY | {"input_reference": {"image_url": url}})
    assert response.status_code == 200, response.text


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("data:image/svg+xml;base64,AAAA", "type 'image/svg+xml' is not supported; allowed: image/png"),
        ("data:;base64,AAAA", "type '' is not supported"),
        ("data:image/png,AAAA", "must be in base64"),
        ("data:image/png;base64,AAA", "not valid base64"),
        ("data:image/png;base64,A-_A", "not valid base64"),
        ("data:image/png;base64", "is not supported"),
        ("data:image/png;base64,AAAA", "cannot be read"),
    ],
)
def test_a_data_url_is_refused_with_the_true_reason(client: TestClient, url: str, reason: str) -> None:
    response = client.post("/v1/videos", json=BODY | {"input_reference": {"image_url": url}})
    assert response.status_code == 400
    assert reason in response.json()["error"]["message"]


def test_the_model_says_whether_it_takes_an_image(client: TestClient) -> None:
    takes = {each["id"]: each["input_reference"] for each in client.get("/v1/models").json()["data"]}
    assert takes == {"wan-test": "none", "animator": "required", "either": "optional"}
    assert post(client, a_file(), model="either").status_code == 200
    assert client.post("/v1/videos", json=BODY | {"model": "either"}).status_code == 200


@pytest.mark.parametrize(
    ("model", "content", "words"),
    [
        ("wan-test", a_file(), "wan-test takes no image"),
        ("animator", None, "input_reference is required: model animator"),
    ],
)
def test_an_image_too_many_or_none_is_refused_naming_the_model(
    client: TestClient, queue: Queue, model: str, content: bytes | None, words: str
) -> None:
    response = post(client, content, model=model)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (400, "invalid_request", "input_reference")
    assert words in error["message"]
    assert queue.inspection.depth(model).queued == 0


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few hundred bytes whose header promises that many pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pieces = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"\0" * 1000)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(pieces)


UNREADABLE = {
    "no image": b"x" * 1000,
    "nothing": b"",
    "text": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "gif": a_file("GIF"),
    "bmp": a_file("BMP"),
    "tiff": a_file("TIFF"),
    "pdf": b"%PDF-1.7",
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    "truncated png": a_file("PNG", (600, 600))[:-200],
    "truncated jpeg": a_file("JPEG", (600, 600))[:-200],
    "truncated webp": a_file("WEBP", (600, 600), mode="RGB")[:-20],
    "header alone": bomb(10, 10)[:40],
    "pixels missing": bomb(1000, 1000),
    "no width": bomb(0, 10),
}


@pytest.mark.parametrize("content", UNREADABLE.values(), ids=list(UNREADABLE))
def test_what_is_no_whole_image_is_refused_without_the_decoders_words(
    client: TestClient, queue: Queue, content: bytes
) -> None:
    response = post(client, content)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (400, "invalid_request", "input_reference")
    assert error["message"] == "input_reference cannot be read; allowed: a complete PNG, JPEG or WebP file"
    assert queue.inspection.depth("animator").queued == 0


@pytest.mark.parametrize("size", [(5001, 5000), (20_000, 5_000), (2**31 - 1, 2**31 - 1), (MOST_PIXELS + 1, 1)])
def test_an_image_of_too_many_pixels_is_refused_from_its_header(client: TestClient, size: tuple[int, int]) -> None:
    response = post(client, bomb(*size))
    assert response.status_code == 400
    assert f"more than the {MOST_PIXELS} pixels allowed" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    ("reference", "code"),
    [
        ({"image_url": "http://169.254.169.254/"}, "not_supported"),
        ({"image_url": "file:///etc/passwd"}, "not_supported"),
        ({"image_url": "data:image/png;base64,!"}, "invalid_request"),
        ({"image_url": "data:image/svg+xml;base64,AAAA"}, "invalid_request"),
        ({"image_url": 7}, "invalid_request"),
        ({"file_id": "file-1"}, "invalid_request"),
        ({"image_url": "data:,", "more": 1}, "invalid_request"),
        ("x", "invalid_request"),
        ([], "invalid_request"),
        (0, "invalid_request"),
    ],
)
def test_a_reference_that_is_no_image_is_refused(client: TestClient, reference: Any, code: str) -> None:
    response = client.post("/v1/videos", json=BODY | {"input_reference": reference})
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (400, code, "input_reference")


def test_a_url_in_a_form_is_not_fetched(client: TestClient) -> None:
    response = post(client, None, **{"input_reference[image_url]": "http://x"})
    assert (response.status_code, response.json()["error"]["code"]) == (400, "not_supported")


def test_the_key_of_a_request_stands_for_its_image_too(client: TestClient) -> None:
    key = {"idempotency-key": "k"}
    first = post(client, a_file(), key)
    assert post(client, a_file(), key).json()["id"] == first.json()["id"]
    other = post(client, a_file(color="blue"), key)
    assert (other.status_code, other.json()["error"]["code"]) == (422, "idempotency_conflict")


def test_a_retry_without_a_key_is_known_by_its_image(client: TestClient) -> None:
    first = post(client, a_file(), {"x-stainless-retry-count": "0"}).json()["id"]
    assert post(client, a_file(), {"x-stainless-retry-count": "1"}).json()["id"] == first
    assert post(client, a_file(color="blue"), {"x-stainless-retry-count": "1"}).json()["id"] != first


def test_a_refused_image_does_not_use_up_its_key(client: TestClient) -> None:
    key = {"idempotency-key": "k"}
    assert post(client, b"broken", key).status_code == 400
    assert post(client, a_file(), key).status_code == 200


def test_a_retry_brings_the_image_of_a_job_whose_first_try_broke_off(
    client: TestClient, settings: Settings, queue: Queue
) -> None:
    job_id = post(client, a_file(), {"idempotency-key": "k"}).json()["id"]
    ArtifactStore(settings.artifacts).delete(JobKey("default", job_id))
    assert post(client, a_file(), {"idempotency-key": "k"}).json()["id"] == job_id
    assert stored(settings, job_id).exists()


@pytest.fixture
def housekeeping(settings: Settings, queue: Queue) -> Housekeeping:
    store = ArtifactStore(settings.artifacts)
    binding = StoreBinding(store, queue.connection)
    append_only = AppendOnlyFile(queue.connection)
    return Housekeeping(
        queue.leases, queue.presence, append_only, store, binding, Metrics(["animator"]), ["animator"], 3600
    )


def test_the_image_goes_with_the_job(client: TestClient, settings: Settings, housekeeping: Housekeeping) -> None:
    job_id = post(client, a_file()).json()["id"]
    client.delete(f"/v1/videos/{job_id}")
    housekeeping.delete_expired("animator")
    assert not stored(settings, job_id).parent.parent.exists()


def test_the_image_of_a_completed_job_is_deleted_at_once(
    client: TestClient, settings: Settings, queue: Queue, worker: FakeWorker
) -> None:
    job_id = post(client, a_file()).json()["id"]
    attempt = queue.leases.claim(["animator"], "w")
    assert attempt is not None and worker.complete(attempt).state is JobState.COMPLETED
    assert stored(settings, job_id).exists()
    client.delete(f"/v1/videos/{job_id}")
    assert not stored(settings, job_id).parent.parent.exists()


def test_a_sweep_spares_the_images_of_jobs_and_takes_those_of_none(
    client: TestClient, settings: Settings, queue: Queue
) -> None:
    store = ArtifactStore(settings.artifacts)
    job_id = post(client, a_file()).json()["id"]
    orphan = job_id[:-4] + "0000"
    store.keep_reference(JobKey("default", orphan), b"never submitted")
    assert sum(store.sweep(queue.leases.is_referenced, older_than_seconds=-1)) == 1
    assert stored(settings, job_id).exists()
    assert not stored(settings, orphan).exists()
