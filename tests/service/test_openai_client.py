"""The unmodified `openai` client against the service on a real port, with a worker that has no model."""

import threading
from collections.abc import Iterator
from typing import Any, Literal

import httpx2
import openai
import pytest
from openai import OpenAI

from demo.embedded_redis import EmbeddedRedis
from service.settings import Settings
from tests.queues import Queue
from tests.service.fake_worker import MODEL, VIDEO, FakeWorker
from tests.service.serving import served
from tests.service.settings import settings_in
from workers.jobs.artifacts import ArtifactStore

pytestmark = pytest.mark.filterwarnings("ignore:The Sora API is scheduled:DeprecationWarning")


@pytest.fixture(scope="module")
def settings(redis_server: EmbeddedRedis, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return settings_in(tmp_path_factory.mktemp("service"), redis_server.url)


@pytest.fixture(scope="module")
def address(settings: Settings) -> Iterator[str]:
    """One process for all tests of this file: each starts on an empty Redis."""
    with served(settings) as service:
        yield service.address


@pytest.fixture
def openai_client(address: str, redis_url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=2) as client:
        yield client


@pytest.fixture
def live_worker(settings: Settings) -> Iterator[None]:
    """Completes one job after the other in a thread, each in sight of whoever polls."""
    queue = Queue.open(settings.redis_url)
    worker, stop = FakeWorker(queue, ArtifactStore(settings.artifacts)), threading.Event()

    def work() -> None:
        while not stop.is_set():
            if attempt := queue.leases.claim([MODEL], worker.name):
                if attempt.job.request.prompt == "impossible":
                    worker.fail(attempt, "generation_failed", "the model refused")
                else:
                    worker.complete(attempt)
            else:
                queue.leases.wait([MODEL], 0.2)

    thread = threading.Thread(target=work)
    thread.start()
    yield
    stop.set()
    thread.join()
    queue.close()


class LostReply(httpx2.HTTPTransport):
    """Delivers the first POST and loses its answer."""

    lost = False

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        response = super().handle_request(request)
        if request.method == "POST" and not self.lost:
            self.lost = True
            response.close()
            raise httpx2.ReadError("the reply was lost")
        return response


def create(client: OpenAI, **extra: Any) -> openai.types.Video:
    # Sizes, seconds and models of ours are not among the literals of the client's types.
    arguments: dict[str, Any] = {"prompt": "a red ball", "model": MODEL, "size": "96x96", "seconds": "2"}
    return client.videos.create(**(arguments | extra))


def test_it_creates_polls_and_downloads(openai_client: OpenAI, live_worker: None) -> None:
    extra = {"sf": 12, "seed": 7, "priority": "high", "metadata": {"team": "video"}}
    made = create(openai_client, extra_body=extra)
    assert (made.object, made.prompt, made.model, made.size) == ("video", "a red ball", MODEL, "96x96")
    assert {name: getattr(made, name) for name in extra} == extra
    done = openai_client.videos.poll(made.id, poll_interval_ms=10)
    assert (done.status, done.progress, done.error) == ("completed", 100, None)
    assert done.completed_at is not None and done.completed_at >= done.created_at
    assert openai_client.videos.download_content(made.id).read() == VIDEO
    part = openai_client.videos.download_content(made.id, extra_headers={"Range": "bytes=1-3"})
    assert part.read() == VIDEO[1:4]


def test_create_and_poll_reads_the_interval_from_the_service(openai_client: OpenAI, live_worker: None) -> None:
    done = openai_client.videos.create_and_poll(prompt="a red ball")
    assert done.status == "completed"


def test_a_failed_job_is_no_exception(openai_client: OpenAI, live_worker: None) -> None:
    failed = openai_client.videos.poll(create(openai_client, prompt="impossible").id, poll_interval_ms=10)
    assert failed.status == "failed" and failed.error is not None
    assert (failed.error.code, failed.error.message) == ("generation_failed", "the model refused")


def test_its_pages_iterate_over_all(openai_client: OpenAI) -> None:
    ids = [create(openai_client).id for _ in range(7)]
    assert [video.id for video in openai_client.videos.list(limit=3, order="asc")] == ids
    assert [video.id for video in openai_client.videos.list(limit=2)] == ids[::-1]


def test_a_lost_reply_makes_no_second_job(address: str, redis_url: str) -> None:
    http = openai.DefaultHttpxClient(transport=LostReply())
    with OpenAI(base_url=f"{address}/v1", api_key="none", http_client=http) as client:
        made = create(client)
        assert [video.id for video in client.videos.list()] == [made.id]


def test_it_deletes(openai_client: OpenAI) -> None:
    deleted = openai_client.videos.delete(create(openai_client).id)
    assert (deleted.object, deleted.deleted) == ("video.deleted", True)
    with pytest.raises(openai.NotFoundError) as caught:
        openai_client.videos.retrieve(deleted.id)
    assert (caught.value.code, caught.value.type) == ("not_found", "invalid_request_error")
    assert caught.value.request_id


def test_it_raises_its_own_error_classes_with_param_and_code(openai_client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        create(openai_client, extra_body={"sf": 1})
    assert (caught.value.code, caught.value.param) == ("invalid_request", "sf")
    with pytest.raises(openai.UnprocessableEntityError):
        openai_client.videos.download_content(create(openai_client).id)
    with pytest.raises(openai.BadRequestError, match="input_reference"):
        create(openai_client, input_reference=("a.png", b"x" * 100, "image/png"))
    with pytest.raises(openai.NotFoundError):
        openai_client.videos.remix("video_1", prompt="a blue ball")


def test_it_lists_models(openai_client: OpenAI) -> None:
    assert [model.id for model in openai_client.models.list()] == [MODEL]
    assert openai_client.models.retrieve(MODEL).object == "model"
    with pytest.raises(openai.NotFoundError):
        openai_client.models.retrieve("sora-2")


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_what_is_listed_may_be_deleted_on_the_way(openai_client: OpenAI, order: Literal["asc", "desc"]) -> None:
    made = {openai_client.videos.create(prompt="a", model=MODEL).id for _ in range(7)}
    deleted = set()
    for video in openai_client.videos.list(limit=3, order=order):
        openai_client.videos.delete(video.id)
        deleted.add(video.id)
    assert deleted == made
