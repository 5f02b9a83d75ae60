"""From latents to colours by what a model's runs have decoded."""

import json

import numpy as np
import pytest
import torch
from torch import Tensor

from workers.engine.latent_colours import LEARNT_RUNS, LatentColours

RNG = np.random.default_rng(7)
MAP = RNG.normal(0, 0.05, (16, 3))


def decoded(latents: Tensor) -> np.ndarray:
    """As a linear decoder would, 8 pixels to each latent, 4 frames for each but the first."""
    colours = np.einsum("cfhw,ck->fhwk", latents.numpy(), MAP) + 0.5
    frames = np.repeat(colours, [1, *[4] * (latents.shape[1] - 1)], axis=0)
    return (np.repeat(np.repeat(frames, 8, axis=1), 8, axis=2).clip(0, 1) * 255).round().astype(np.uint8)


def a_run() -> Tensor:
    return torch.from_numpy(RNG.normal(0, 1, (16, 5, 6, 8)).astype(np.float32))


def test_what_a_decoder_does_linearly_is_learnt_from_one_run() -> None:
    colours = LatentColours(16)
    assert not colours.known
    colours.learn(latents := a_run(), decoded(latents))
    assert colours.known
    other = a_run()
    shown = colours.pictures(other)
    assert shown.shape == (5, 6, 8, 3) and shown.dtype == np.uint8
    assert np.abs(shown.astype(int) - decoded(other)[[0, 1, 5, 9, 13]][:, ::8, ::8].astype(int)).mean() < 2


def test_a_bad_first_run_counts_less_with_each_one_after_it() -> None:
    colours, wrong = LatentColours(16), a_run()
    colours.learn(wrong, 255 - decoded(wrong))
    errors = []
    for _ in range(6):
        colours.learn(latents := a_run(), decoded(latents))
        shown = colours.pictures(latents).astype(int)
        errors.append(np.abs(shown - decoded(latents)[[0, 1, 5, 9, 13]][:, ::8, ::8].astype(int)).mean())
    assert errors[-1] < errors[0] / 2


def test_an_image_has_one_frame_and_what_is_not_finite_is_still_a_picture() -> None:
    colours, latents = LatentColours(16), a_run()[:, :1]
    colours.learn(latents, decoded(latents))
    assert colours.pictures(latents).shape == (1, 6, 8, 3)
    assert colours.pictures(torch.full_like(latents, torch.nan)).dtype == np.uint8


def test_after_some_runs_nothing_more_is_learnt() -> None:
    colours = LatentColours(16)
    for _ in range(LEARNT_RUNS):
        assert colours.learns
        colours.learn(latents := a_run(), decoded(latents))
    assert not colours.learns


def test_what_one_worker_has_learnt_another_adopts_and_goes_on_from() -> None:
    first, second = LatentColours(16), LatentColours(16)
    for _ in range(2):
        first.learn(latents := a_run(), decoded(latents))
    assert first.fit is not None
    second.learn(wrong := a_run(), 255 - decoded(wrong))
    second.adopt(first.fit.text())
    assert second.fit is not None and second.fit.runs == 2
    assert np.abs(second.pictures(latents).astype(int) - first.pictures(latents).astype(int)).max() <= 1
    second.learn(latents, decoded(latents))
    assert second.fit.runs == 3
    second.adopt(first.fit.text())
    assert second.fit.runs == 3, "what it knows is more"


def test_calibrated_colours_are_known_at_once_and_stay() -> None:
    teacher = LatentColours(16)
    teacher.learn(latents := a_run(), decoded(latents))
    assert teacher.fit is not None
    colours = LatentColours(16, teacher.fit.weights())
    assert colours.known and not colours.learns
    shown = colours.pictures(latents)
    other = LatentColours(16)
    other.learn(latents, 255 - decoded(latents))
    assert other.fit is not None
    colours.adopt(other.fit.text())
    assert np.array_equal(colours.pictures(latents), shown)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"squares": [[1.0]]}, "colours of 0 latent channels, not of 16"),
        ({"products": [[0.0, 0.0]] * 17}, "not of 16"),
        ({"squares": [[float("nan")] * 17] * 17}, "not finite"),
    ],
)
def test_colours_that_cannot_be_the_models_are_refused(changes: dict[str, object], words: str) -> None:
    colours = LatentColours(16)
    colours.learn(latents := a_run(), decoded(latents))
    assert colours.fit is not None
    with pytest.raises(ValueError, match=words):
        LatentColours(16).adopt(json.dumps(json.loads(colours.fit.text()) | changes))
