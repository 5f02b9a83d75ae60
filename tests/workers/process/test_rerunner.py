"""A completed job again, uncached, on real checkpoints: what it is compared with, what it teaches, how it stops."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.workers import micro_wan_variants as variants
from tests.workers.micro_flux import micro_entry as flux_entry
from tests.workers.micro_flux import save_micro_flux
from tests.workers.micro_wan import micro_entry
from workers.engine.generation import generate
from workers.engine.loaded import load_model
from workers.jobs import observations
from workers.jobs.artifacts import ArtifactStore
from workers.jobs.errors import JobCancelled, ModelLoadFailed
from workers.jobs.job import AttemptKey, Basis, GenerationRequest, JobKey, new_job_id
from workers.measurement import fidelity
from workers.measurement.fidelity import psnr, ssim
from workers.media.mp4 import read_mp4, write_mp4
from workers.models.catalogue import Catalogue, families
from workers.process.events import Again, Done, Event, LeftOut, Observed, RanAgain, Run, StageStarted
from workers.process.runner import Runner
from workers.scalingcache.budget import CALIBRATION_RUNS

STEPS = 20


class Lab:
    """A loaded model of either kind, its jobs, and their reruns."""

    def __init__(self, catalogue: Catalogue, folder: Path) -> None:
        [self.model] = catalogue.entries
        self.catalogue, self.store = catalogue, ArtifactStore(folder)
        self.runner = Runner(catalogue, self.store)
        self.runner.load([self.model])
        self.events: list[Event] = []

    def request(self, **settings: Any) -> GenerationRequest:
        return self.catalogue.request(self.model, "red circle", **{"seed": 7, "steps": STEPS, "sf": 4, **settings})

    def run(self, request: GenerationRequest) -> Done:
        media = self.catalogue.family(self.model).media
        key = AttemptKey("acme", new_job_id(self.model, media), "a" * 32)
        return self.runner.run(Run(key, request), self.events.append, lambda: False)

    def again(
        self, request: GenerationRequest, done: Done | None = None, stopped: Callable[[], bool] = lambda: False
    ) -> RanAgain | LeftOut:
        key = AttemptKey("acme", done.job_id if done else new_job_id(self.model), "a" * 32)
        command = Again("b" * 32, key, request, done.artifact if done else None)
        return self.runner.run_again(command, self.events.append, stopped)

    def observe(self, *shown: RanAgain | LeftOut) -> None:
        texts = tuple(each.learnt.text for each in shown if isinstance(each, RanAgain) and each.learnt.text)
        self.runner.observe(Observed(self.model, texts))


@pytest.fixture
def videos(micro_folder: Path, tmp_path: Path) -> Lab:
    return Lab(Catalogue({"micro-wan": micro_entry(micro_folder)}, families()), tmp_path / "artifacts")


@pytest.fixture
def images(tmp_path: Path) -> Lab:
    save_micro_flux(tmp_path / "micro-flux")
    return Lab(Catalogue({"micro-flux": flux_entry(tmp_path / "micro-flux")}, families()), tmp_path / "artifacts")


def uncached(lab: Lab, request: GenerationRequest) -> np.ndarray:
    model = load_model(lab.catalogue.entry(lab.model), lab.catalogue.family(lab.model))
    return generate(model, request.uncached).frames


def test_a_video_is_compared_as_its_client_has_it_with_the_uncached_one_encoded_alike(
    videos: Lab, tmp_path: Path
) -> None:
    request = videos.request()
    done = videos.run(request)
    result = videos.again(request, done)
    assert isinstance(result, RanAgain) and result.fidelity is not None
    write_mp4(tmp_path / "uncached.mp4", uncached(videos, request), request.fps)
    delivered, expected = read_mp4(videos.store.path(done.artifact)), read_mp4(tmp_path / "uncached.mp4")
    assert result.fidelity.psnr == pytest.approx(psnr(delivered, expected))
    assert result.fidelity.ssim == pytest.approx(ssim(delivered, expected))
    assert result.fidelity.psnr < 100, "it was accelerated"
    stored = sorted(path.name for path in (tmp_path / "artifacts").rglob("*") if path.is_file())
    assert stored == ["spritesheet.webp", "thumbnail.webp", "video.mp4"], "of the job alone"


def test_an_image_is_compared_pixel_by_pixel(images: Lab) -> None:
    request = images.request()
    result = images.again(request, images.run(request))
    assert isinstance(result, RanAgain) and result.fidelity is not None
    delivered = generate(
        load_model(images.catalogue.entry("micro-flux"), images.catalogue.family("micro-flux")), request
    )
    assert result.fidelity.psnr == pytest.approx(psnr(delivered.frames, uncached(images, request)))


def test_an_uncached_result_compared_with_itself_is_equal(images: Lab) -> None:
    request = images.request(sf=STEPS)
    result = images.again(request, images.run(request))
    assert isinstance(result, RanAgain) and result.fidelity is not None
    assert (result.fidelity.psnr, result.fidelity.ssim) == (100.0, pytest.approx(1.0))


def test_a_calibration_decodes_nothing_and_shows_what_an_uncached_job_shows(images: Lab) -> None:
    request = images.request()
    result = images.again(request)
    stages = [event.stage for event in images.events if isinstance(event, StageStarted)]
    assert stages == ["encode_prompt", "denoise"]
    assert isinstance(result, RanAgain) and result.fidelity is None
    job = images.run(request.uncached)
    assert job.learnt is not None and job.learnt == result.learnt


def test_a_promoted_run_changes_the_basis_of_the_next_job_and_a_pinned_one_keeps_its_bytes(images: Lab) -> None:
    before = images.run(images.request())
    first, second, third = (images.again(images.request(seed=seed)) for seed in (1, 2, 3))
    assert isinstance(first, RanAgain) and first.learnt.verdict == "held_back"
    images.observe(first)
    held = images.run(images.request())
    assert held.artifact.sha256 == before.artifact.sha256, "what is held back changes nothing"

    second = images.again(images.request(seed=2))
    assert isinstance(second, RanAgain) and second.learnt.verdict == "promoted"
    images.observe(second)
    after = images.run(images.request())
    assert after.report.account and after.report.account.basis == Basis(kind="measured", runs=2)
    assert after.artifact.sha256 != before.artifact.sha256
    images.observe(third)
    assert images.run(images.request(basis_runs=0)).artifact.sha256 == before.artifact.sha256
    assert images.run(images.request(basis_runs=2)).artifact.sha256 == after.artifact.sha256


def test_where_enough_runs_are_known_nothing_is_run(images: Lab) -> None:
    shown = images.again(images.request())
    images.observe(*[shown] * CALIBRATION_RUNS)
    images.events.clear()
    assert images.again(images.request(seed=8)) == LeftOut("b" * 32, "not_needed")
    assert images.again(images.request(steps=8, sf=3)) == LeftOut("b" * 32, "not_needed")
    assert images.events == []


def test_where_no_more_can_be_kept_nothing_is_run(images: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    images.observe(images.again(images.request()))
    monkeypatch.setattr(observations, "MOST", 1)
    assert images.again(images.request(seed=8)) == LeftOut("b" * 32, "not_needed")
    monkeypatch.setattr(observations, "MOST", 2)
    assert isinstance(images.again(images.request(seed=8)), RanAgain)


def test_it_stops_also_while_a_prompt_is_read_or_a_result_decoded_and_leaves_no_trace(
    videos: Lab, tmp_path: Path
) -> None:
    request = videos.request()
    done = videos.run(request)
    expected = videos.again(request, done)
    hooks, vae = count_hooks(videos), videos.runner._models[videos.model].pipeline.vae
    for stage in ("encode_prompt", "denoise", "decode"):
        videos.events.clear()

        def stopped(at: str = stage) -> bool:
            return any(isinstance(event, StageStarted) and event.stage == at for event in videos.events)

        with pytest.raises(JobCancelled):
            videos.again(request, done, stopped)
        [last] = [event.stage for event in videos.events if isinstance(event, StageStarted)][-1:]
        assert last == stage
        assert count_hooks(videos) == hooks
        assert all(each is None for each in vae._feat_map), "no memory of the device is held"
    assert videos.again(request, done) == expected, "the model is as it was"
    assert videos.run(request).artifact.sha256 == done.artifact.sha256


def count_hooks(lab: Lab) -> int:
    parts = [part for part in lab.runner._models[lab.model].pipeline.components.values() if hasattr(part, "modules")]
    return sum(len(layer._forward_pre_hooks) for part in parts for layer in part.modules())


def test_what_was_delivered_or_started_from_may_be_gone(images: Lab, tmp_path: Path) -> None:
    request = images.request()
    done = images.run(request)
    images.store.path(done.artifact).unlink()
    assert images.again(request, done) == LeftOut("b" * 32, "gone")

    variants.save_micro_i2v(tmp_path / "i2v")
    entry = variants.variant_entry(tmp_path / "i2v", "wan-i2v")
    animating = Lab(Catalogue({entry.name: entry}, families()), tmp_path / "artifacts")
    started = GenerationRequest(
        model=entry.name, prompt="red", width=64, height=64, frames=5, fps=8, steps=STEPS, sf=4, guidance=1.0,
        flow_shift=1.0, seed=7, input_reference="0" * 64,
    )  # fmt: skip
    assert animating.again(started) == LeftOut("b" * 32, "gone")

    content = io.BytesIO()
    variants.a_picture().save(content, "PNG")
    key = JobKey("acme", new_job_id(entry.name))
    animating.store.keep_reference(key, content.getvalue())
    command = Again("b" * 32, key, started, None)
    assert isinstance(animating.runner.run_again(command, lambda _event: None, lambda: False), RanAgain)


def test_a_share_that_could_not_be_measured_is_refused_when_the_model_is_loaded(
    micro_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fidelity, "find_spec", lambda _name: None)
    runner = Runner(Catalogue({"m": micro_entry(micro_folder, shadow_share=0.1)}, families()), ArtifactStore(tmp_path))
    with pytest.raises(ModelLoadFailed, match="shadow_share needs scikit-image"):
        runner.load(["m"])
