"""What is around every answer, and what of a request is in the log."""

import pytest
from fastapi.testclient import TestClient
from structlog.testing import capture_logs

from tests.service.calls import create
from tests.service.fake_worker import FakeWorker


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/healthz"), ("GET", "/v1/videos"), ("POST", "/v1/videos"), ("PUT", "/v1/videos"), ("GET", "/nowhere")],
)
def test_no_answer_is_kept_by_anybody_nor_taken_for_what_it_is_not(client: TestClient, method: str, path: str) -> None:
    headers = client.request(method, path).headers
    assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff")


def test_a_file_may_be_kept_by_its_client_who_asks_each_time(client: TestClient, worker: FakeWorker) -> None:
    video_id = create(client)["id"]
    worker.run_one()
    headers = client.get(f"/v1/videos/{video_id}/content").headers
    assert (headers["cache-control"], headers["x-content-type-options"]) == ("private, no-cache", "nosniff")


def test_of_a_long_path_the_log_has_the_start(client: TestClient) -> None:
    with capture_logs() as lines:
        client.get("/" + "x" * 50_000)
        client.request("M" * 5_000, "/")
    assert [len(line["path"]) for line in lines if line["event"] == "request"] == [200, 1]
    assert all(len(str(line)) < 1000 for line in lines)
