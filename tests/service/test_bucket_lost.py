"""A bucket whose server dies while a client takes a file from it, through a service in a process of its own."""

from pathlib import Path

import httpx
import pytest

from tests.queues import Queue
from tests.s3_servers import BUCKET, KEYS, PATIENT, an_s3_server
from tests.service.fake_worker import REPORT
from tests.service.serving import served
from tests.service.settings import settings_in
from workers.jobs.object_store import PIECE_BYTES, ObjectStore

#: More than the service and both ends of a connection hold between them.
LARGE = bytes(8 * PIECE_BYTES)


def test_a_download_is_cut_off_and_never_ends_as_if_it_were_whole(tmp_path: Path, redis_url: str) -> None:
    with an_s3_server() as server:
        settings = settings_in(tmp_path, redis_url).model_copy(
            update={
                "storage_url": f"s3://{BUCKET}/own",
                "storage_endpoint": server.endpoint,
                "storage_access_key": KEYS[0],
                "storage_secret_key": KEYS[1],
            }
        )
        store, queue = ObjectStore(server.location("own"), PATIENT), Queue.open(redis_url)
        with served(settings) as service, httpx.Client(base_url=service.address, timeout=60) as client:
            path = f"/v1/videos/{client.post('/v1/videos', json={'prompt': 'red'}).json()['id']}/content"
            attempt = queue.leases.claim(["wan-test"], "worker-1")
            assert attempt is not None
            artifact = store.publish(attempt.key, "video.mp4", lambda file: _write(file, LARGE), "video/mp4")
            queue.leases.complete(attempt, artifact, REPORT)
            assert len(client.get(path).content) == len(LARGE)

            with client.stream("GET", path) as response:
                parts = response.iter_bytes(1 << 16)
                read = len(next(parts))
                server.stop()
                with pytest.raises(httpx.RemoteProtocolError):
                    for part in parts:
                        read += len(part)
            assert 0 < read < len(LARGE) == int(response.headers["content-length"])
            lost = client.get(path)
            assert (lost.status_code, lost.json()["error"]["code"]) == (503, "storage_unavailable")
            assert client.get("/healthz").status_code == 200
        queue.close()


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
