"""One job in the process that holds the model: what it writes for each kind of media."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diffusers import AutoencoderTiny
from PIL import Image

from tests.workers import micro_wan_variants as variants
from tests.workers.micro_flux import micro_entry, save_micro_flux
from workers.engine import latent_preview, preview_budget
from workers.engine.generation import generate
from workers.engine.loaded import load_model
from workers.jobs.artifacts import ArtifactStore
from workers.jobs.errors import RequestRefused
from workers.jobs.job import AttemptKey, Basis, GenerationRequest, new_job_id
from workers.media.mp4 import read_mp4, write_mp4
from workers.models.catalogue import Catalogue, families
from workers.process.events import Done, Event, Observed, PreviewMade, Run, StageStarted, StepDone
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
    run = Run(AttemptKey("acme", new_job_id("micro-flux", "image"), "a" * 32), request)
    done: Any = runner.run(run, events.append, lambda: False)
    assert isinstance(done, Done)
    assert (done.artifact.media_type, Path(done.artifact.path).name) == ("image/png", "image.png")

    with Image.open(store.path(done.artifact)) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "RGB", (48, 32))
        written = np.asarray(image)
    with Image.open(store.path(done.artifact.previews["thumbnail"])) as preview:
        assert (preview.format, preview.size, set(done.artifact.previews)) == ("WEBP", (48, 32), {"thumbnail"})
    cold = load_model(catalogue.entry("micro-flux"), catalogue.family("micro-flux"))
    assert np.array_equal(written, generate(cold, request).frames[0])

    assert [event.index for event in events if isinstance(event, StepDone)] == list(range(5))
    stages = [event.stage for event in events if isinstance(event, StageStarted)]
    assert stages == ["encode_prompt", "denoise", "decode", "encode_video"]
    assert {"encode_video", "store"} <= done.report.timings.keys()


def test_a_prompt_that_comes_again_is_not_encoded_again_and_gives_the_same_bytes(
    catalogue: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[str] = []
    family, encode = type(catalogue.family("micro-flux")), type(catalogue.family("micro-flux")).encode

    def counted(self: Any, pipeline: Any, request: GenerationRequest, entry: Any) -> Any:
        encoded.append(request.prompt)
        return encode(self, pipeline, request, entry)

    monkeypatch.setattr(family, "encode", counted)

    def run(runner: Runner, prompt: str = "red circle", **settings: Any) -> Done:
        request = catalogue.request("micro-flux", prompt, seed=7, steps=5, **settings)
        key = AttemptKey("acme", new_job_id("micro-flux", "image"), "a" * 32)
        return runner.run(Run(key, request), lambda _event: None, lambda: False)

    fresh = Runner(catalogue, ArtifactStore(tmp_path / "fresh"))
    keeping = Runner(catalogue, ArtifactStore(tmp_path / "keeping"), prompt_cache_bytes=1 << 20)
    for runner in (fresh, keeping):
        runner.load(["micro-flux"])
    encoded.clear()
    wishes = [{"sf": 5}, {"sf": 2}, {"sf": 5, "true_cfg_scale": 2.0, "negative_prompt": "fog"}, {"sf": 5}]
    for prompt in ("red circle", "blue square"):
        for wish in wishes:
            assert run(keeping, prompt, **wish).artifact.sha256 == run(fresh, prompt, **wish).artifact.sha256
    assert [encoded.count(prompt) for prompt in ("red circle", "blue square")] == [4 + 2, 4 + 2]
    assert run(keeping).prompt_known and not run(fresh).prompt_known and not run(keeping, "green").prompt_known


def test_uncached_runs_show_what_later_runs_rest_on(catalogue: Catalogue, tmp_path: Path) -> None:
    runner = Runner(catalogue, ArtifactStore(tmp_path / "artifacts"))
    [fingerprint] = runner.load(["micro-flux"])

    def done(seed: int = 7, **settings: Any) -> Done:
        request = catalogue.request("micro-flux", "red circle", seed=seed, steps=20, **settings)
        key = AttemptKey("acme", new_job_id("micro-flux", "image"), "a" * 32)
        return runner.run(Run(key, request), lambda _event: None, lambda: False)

    accelerated = done(sf=4)
    assert accelerated.learnt is None
    for seed in (1, 2):
        learnt = done(seed, sf=20).learnt
        assert learnt is not None and learnt.text is not None and fingerprint in learnt.text
        runner.observe(Observed("micro-flux", (learnt.text, "of another version")))
    account = done(sf=4).report.account
    assert account is not None and account.basis == Basis(kind="measured", runs=2)
    assert done(sf=4, basis_runs=0).artifact.sha256 == accelerated.artifact.sha256


def test_what_a_full_step_has_shown_is_told_with_it(catalogue: Catalogue, tmp_path: Path) -> None:
    runner, events = Runner(catalogue, ArtifactStore(tmp_path / "artifacts")), list[Event]()
    runner.load(["micro-flux"])
    request = catalogue.request("micro-flux", "red circle", seed=7, steps=20, sf=4)
    key = AttemptKey("acme", new_job_id("micro-flux", "image"), "a" * 32)
    report = runner.run(Run(key, request), events.append, lambda: False).report
    assert report.account is not None and report.account.mispredictions
    steps = [event for event in events if isinstance(event, StepDone)]
    assert [event.shown for event in steps if event.shown] == report.account.mispredictions
    assert all(event.shown is None or event.shown.step == event.index for event in steps)


def shown(runner: Runner, catalogue: Catalogue) -> tuple[list[int], Done]:
    """The steps of a job that were shown, and its end."""
    request, events = catalogue.request("micro-flux", "red circle", seed=7, steps=5, sf=5), list[Event]()
    run = Run(AttemptKey("acme", new_job_id("micro-flux", "image"), "a" * 32), request)
    done = runner.run(run, events.append, lambda: False)
    return [event.step for event in events if isinstance(event, PreviewMade)], done


@pytest.fixture
def unbounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Previews may take any time."""
    monkeypatch.setattr(latent_preview, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(preview_budget, "SHARE", 1e9)


@pytest.mark.usefixtures("unbounded")
def test_a_job_teaches_how_the_next_is_shown_here_and_in_processes_to_come(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    first, later = (Runner(catalogue, ArtifactStore(tmp_path / "artifacts"), previews=True) for _ in range(2))
    for runner in (first, later):
        runner.load(["micro-flux"])
    steps, done = shown(first, catalogue)
    assert steps == [] and done.colours is not None
    assert shown(first, catalogue)[0] == [2, 3, 4, 5], "the first step earns nothing yet"
    later.observe(Observed("micro-flux", (), "{}"))
    later.observe(Observed("micro-flux", (), done.colours))
    assert shown(later, catalogue)[0] == [2, 3, 4, 5]


@pytest.mark.usefixtures("unbounded")
def test_a_tiny_decoder_shows_the_first_job_and_nothing_is_shown_where_that_is_off(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    AutoencoderTiny(latent_channels=4).save_pretrained(tmp_path / "tiny")
    entry = catalogue.entry("micro-flux").model_copy(update={"preview_decoder": str(tmp_path / "tiny")})
    tiny = Catalogue({entry.name: entry}, families())
    for previews, expected in ((True, [2, 3, 4, 5]), (False, [])):
        runner = Runner(tiny, ArtifactStore(tmp_path / "artifacts"), previews=previews)
        runner.load(["micro-flux"])
        for _ in range(2):
            steps, done = shown(runner, tiny)
            assert (steps, done.colours) == (expected, None)


def test_a_job_finds_the_image_that_it_was_submitted_with(tmp_path: Path) -> None:
    folder = tmp_path / "i2v"
    variants.save_micro_i2v(folder)
    entry = variants.variant_entry(folder, "wan-i2v")
    store = ArtifactStore(tmp_path / "artifacts")
    runner = Runner(Catalogue({entry.name: entry}, families()), store)
    runner.load([entry.name])
    request = GenerationRequest(
        model=entry.name, prompt="red", width=64, height=64, frames=5, fps=8, steps=2, sf=2, guidance=1.0,
        flow_shift=1.0, seed=7, input_reference="0" * 64,
    )  # fmt: skip
    run = Run(AttemptKey("acme", new_job_id(entry.name), "a" * 32), request)
    with pytest.raises(RequestRefused, match="no longer kept"):
        runner.run(run, lambda _event: None, lambda: False)

    content = io.BytesIO()
    variants.a_picture().save(content, "PNG")
    store.keep_reference(run.key, content.getvalue())
    done = runner.run(run, lambda _event: None, lambda: False)
    model = load_model(entry, families()["wan-i2v"])
    expected = generate(model, request, image=variants.a_picture()).frames
    write_mp4(tmp_path / "expected.mp4", expected, request.fps)
    assert np.array_equal(read_mp4(store.path(done.artifact)), read_mp4(tmp_path / "expected.mp4"))
    assert set(done.artifact.previews) == {"thumbnail", "spritesheet"}


def test_a_result_whose_previews_fail_is_published_without(
    catalogue: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = Runner(catalogue, ArtifactStore(tmp_path / "artifacts"))
    runner.load(["micro-flux"])
    monkeypatch.setattr("workers.process.runner.previews_of", lambda frames: 1 / 0)
    request = catalogue.request("micro-flux", "red circle", seed=7, steps=2, sf=2)
    run = Run(AttemptKey("acme", new_job_id("micro-flux", "image"), "a" * 32), request)
    done = runner.run(run, lambda _event: None, lambda: False)
    assert done.artifact.size_bytes > 0 and done.artifact.previews == {}
