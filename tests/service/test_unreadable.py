"""A job whose record cannot be read costs itself alone."""

import json

import pytest
from fastapi.testclient import TestClient

from service import status
from tests.queues import Queue
from tests.service.calls import create
from tests.service.fake_worker import MODEL, REPORT, FakeWorker
from workers.jobs import keys

_BROKEN = {
    "report": json.dumps(REPORT.model_dump() | {"epsilon": [None], "delta": [None]}),
    "request": '{"prompt": "a r',
    "surprise": "of another version",
}


@pytest.mark.parametrize("field", list(_BROKEN))
def test_it_is_shown_as_failed_and_can_be_deleted_and_nothing_else_fails(
    client: TestClient, worker: FakeWorker, queue: Queue, field: str
) -> None:
    bad = create(client)["id"]
    worker.run_one()
    good = create(client)["id"]
    queue.connection.commands.hset(keys.job(bad), field, _BROKEN[field])

    shown = client.get(f"/v1/videos/{bad}").json()
    assert (shown["status"], shown["error"]["code"], shown["model"]) == ("failed", "record_unreadable", MODEL)
    assert "Delete the job" in shown["error"]["message"]
    assert [video["id"] for video in client.get("/v1/videos").json()["data"]] == [good, bad]
    assert client.get(f"/v1/videos/{bad}/content").status_code == 422
    assert client.post(f"/v1/videos/{bad}/cancel").json()["status"] == "failed"
    assert client.get("/metrics").status_code == 200
    assert [job.code for job in status.read(queue.connection, [MODEL]).failures] == ["record_unreadable"]

    assert client.delete(f"/v1/videos/{bad}").status_code == 200
    assert [video["id"] for video in client.get("/v1/videos").json()["data"]] == [good]
