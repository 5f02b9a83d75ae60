"""Previews of every kind of checkpoint: they show where a run leads, and change nothing of it."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.workers.engine.variants import Variant
from workers.engine import latent_preview
from workers.engine.generation import ProgressCallbacks, generate
from workers.engine.latent_colours import LatentColours
from workers.engine.latent_preview import LEAST_SECONDS, MOST_FRAMES, Painter, Previews
from workers.engine.loaded import LoadedModel
from workers.engine.preview_budget import SHARE, PreviewBudget
from workers.jobs.job import GenerationRequest

Shown = list[tuple[int, bytes]]


class Clock:
    """Goes on by so much at each step, and while a preview is made by as much as that costs."""

    def __init__(self, step_seconds: float) -> None:
        self.time, self._step_seconds = 0.0, step_seconds

    def __call__(self) -> float:
        return self.time

    def callbacks(self) -> ProgressCallbacks:
        def step(*_: object) -> None:
            self.time += self._step_seconds

        return ProgressCallbacks(step=step)


def previewed(
    model: LoadedModel, variant: Variant, asked: GenerationRequest, painter: Painter, step_seconds: float = 10.0
) -> tuple[np.ndarray, str, Shown]:
    """The frames, the decisions, and what was shown."""
    clock, shown = Clock(step_seconds), Shown()
    previews = Previews(painter, lambda index, picture: shown.append((index, picture)), now=clock)
    generation = generate(model, asked, clock.callbacks(), variant.picture, previews=previews)
    return generation.frames, generation.report.decisions, shown


def test_full_steps_are_shown_from_the_second_run_on_and_the_result_is_the_same_to_the_bit(
    model: LoadedModel, variant: Variant, asked: GenerationRequest
) -> None:
    plain, colours = generate(model, asked, image=variant.picture).frames, LatentColours(model.latent_channels)
    first, _, nothing = previewed(model, variant, asked, colours)
    assert not nothing and colours.known
    second, decisions, shown = previewed(model, variant, asked, colours)
    assert np.array_equal(plain, first) and np.array_equal(plain, second)
    assert [index for index, _ in shown] == [i for i, kind in enumerate(decisions) if kind == "F" and i > 0]
    for _, picture in shown:
        with Image.open(io.BytesIO(picture)) as opened:
            assert (opened.format, opened.width / opened.height) == ("WEBP", asked.width / asked.height)
            most = min(MOST_FRAMES, 1 + (asked.frames - 1) // 4)  # frames that are alike are one
            assert 1 <= getattr(opened, "n_frames", 1) <= most
    uncached, decisions, shown = previewed(model, variant, asked.uncached, colours)
    assert len(shown) == len(decisions) - 1
    assert np.array_equal(uncached, generate(model, asked.uncached, image=variant.picture).frames)


@pytest.mark.parametrize("fails", ["animation", "LatentColours.pictures"])
def test_a_preview_that_cannot_be_made_costs_nothing_but_itself(
    model: LoadedModel, variant: Variant, asked: GenerationRequest, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("broken")

    colours = LatentColours(model.latent_channels)
    plain, _, _ = previewed(model, variant, asked, colours)
    owner, name = (LatentColours, "pictures") if "." in fails else (latent_preview, fails)
    monkeypatch.setattr(owner, name, broken)
    frames, _, shown = previewed(model, variant, asked, colours)
    assert np.array_equal(plain, frames) and not shown
    assert "step" not in vars(model.pipeline.scheduler)


def test_previews_take_no_more_than_their_share(
    model: LoadedModel, variant: Variant, asked: GenerationRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    colours, clock, shown, cost = LatentColours(model.latent_channels), Clock(1.0), Shown(), 0.01
    previewed(model, variant, asked, colours)

    def slow(*_: object) -> bytes:
        clock.time += cost
        return b""

    monkeypatch.setattr(latent_preview, "animation", slow)
    budget = PreviewBudget(cost)
    previews = Previews(colours, lambda index, picture: shown.append((index, picture)), budget, clock)
    generate(model, asked.uncached, clock.callbacks(), variant.picture, previews=previews)
    assert cost / SHARE > LEAST_SECONDS
    assert 1 < len(shown) < asked.steps - 1
    assert len(shown) * cost <= SHARE * (asked.steps - 1) * 1.0
    assert (np.diff([index for index, _ in shown]) >= LEAST_SECONDS).all()


def test_a_run_that_is_only_learnt_from_shows_nothing(
    model: LoadedModel, variant: Variant, asked: GenerationRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    colours = LatentColours(model.latent_channels)
    monkeypatch.setattr(latent_preview, "animation", lambda *_: pytest.fail("made for nobody"))
    for _ in range(2):
        generate(model, asked, image=variant.picture, previews=Previews(colours, budget=PreviewBudget(0.0)))
    assert colours.fit is not None and colours.fit.runs == 2
