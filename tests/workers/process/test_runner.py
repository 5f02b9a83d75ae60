"""One job in the process that holds the model: what it writes for each kind of media."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.workers.micro_flux import micro_entry, save_micro_flux
from workers.engine.generation import generate
from workers.engine.loaded import load_model
from workers.jobs.artifacts import ArtifactStore
from workers.jobs.job import AttemptKey, new_job_id
from workers.models.catalogue import Catalogue, families
from workers.process.events import Done, Event, Run, StageStarted, StepDone
from workers.process.runner import Runner


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    save_micro_flux(tmp_path / "micro-flux")
    return Catalogue({"micro-flux": micro_entry(tmp_path / "micro-flux")}, families())


def test_an_image_model_gives_a_png_with_exactly_the_pixels_that_were_made(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    store, events = ArtifactStore(tmp_path / "artifacts"), list[Event]()
    runner = Runner(catalogue, store)
    runner.load(["micro-flux"])
    request = catalogue.request("micro-flux", "red circle", width=48, seed=7, steps=5, sf=5)
    run = Run(AttemptKey("acme", new_job_id("micro-flux", "image"), "token"), request)
    done: Any = runner.run(run, events.append, lambda: False)
    assert isinstance(done, Done)
    assert (done.artifact.media_type, Path(done.artifact.path).name) == ("image/png", "image.png")

    with Image.open(store.path(done.artifact)) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "RGB", (48, 32))
        written = np.asarray(image)
    cold = load_model(catalogue.entry("micro-flux"), catalogue.family("micro-flux"))
    assert np.array_equal(written, generate(cold, request).frames[0])

    assert [event.index for event in events if isinstance(event, StepDone)] == list(range(5))
    stages = [event.stage for event in events if isinstance(event, StageStarted)]
    assert stages == ["encode_prompt", "denoise", "decode", "encode_video"]
    assert {"encode_video", "store"} <= done.report.timings.keys()
