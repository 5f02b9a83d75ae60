"""A catalogue that also has an image model, and what serves it without a model."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from service.settings import Settings
from tests.catalogues import a_model
from tests.queues import Queue
from tests.service.fake_worker import FakeWorker
from tests.service.settings import VIDEO_MODEL
from workers.jobs.artifacts import ArtifactStore
from workers.jobs.versions import Version

IMAGE_MODEL = "flux-test"
#: A catalogue that has one model of videos, one of images.
MODELS = (
    VIDEO_MODEL,
    a_model(
        IMAGE_MODEL,
        "flux",
        defaults={"width": 64, "height": 64, "frames": 1, "fps": 1, "guidance": 3.5, "flow_shift": None},
        limits={"max_frames": 1},
    ),
)


def image_worker(settings: Settings, queue: Queue, version: Version | None = None) -> FakeWorker:
    store = ArtifactStore(settings.artifacts)
    of_images = {"model": IMAGE_MODEL, "filename": "image.png", "media_type": "image/png"}
    return FakeWorker(queue, store, version=version, **of_images)


@contextmanager
def live_image_worker(settings: Settings, version: Version | None = None) -> Iterator[None]:
    """Completes one image after the other in a thread, but for the prompt `impossible`."""
    queue, stop = Queue.open(settings.redis_url), threading.Event()
    worker = image_worker(settings, queue, version)

    def work() -> None:
        while not stop.is_set():
            if attempt := queue.leases.claim([IMAGE_MODEL], worker.name):
                if attempt.job.request.prompt == "impossible":
                    worker.fail(attempt, "generation_failed", "the model refused")
                else:
                    worker.complete(attempt)
            else:
                queue.leases.wait([IMAGE_MODEL], 0.2)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        queue.close()
