"""A catalogue that also has an image model, and what serves it without a model."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from service.settings import Settings
from tests.queues import Queue
from tests.service.conftest import CATALOGUE
from tests.service.fake_worker import FakeWorker
from workers.jobs.artifacts import ArtifactStore

IMAGE_MODEL = "flux-test"
MODELS = (
    CATALOGUE
    + """
[models.flux-test]
family = "flux"
source = "nowhere"
device = "cpu"
dtype = "float32"

[models.flux-test.defaults]
width = 64
height = 64
frames = 1
fps = 1
steps = 50
sf = 10
guidance = 3.5
max_sequence_length = 64

[models.flux-test.limits]
max_width = 128
max_height = 128
max_frames = 1
max_steps = 100
"""
)


def image_worker(settings: Settings, queue: Queue) -> FakeWorker:
    store = ArtifactStore(settings.artifacts)
    return FakeWorker(queue, store, model=IMAGE_MODEL, filename="image.png", media_type="image/png")


@contextmanager
def live_image_worker(settings: Settings) -> Iterator[None]:
    """Completes one image after the other in a thread, but for the prompt `impossible`."""
    queue, stop = Queue.open(settings.redis_url), threading.Event()
    worker = image_worker(settings, queue)

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
