"""From latents to colours by what a model's runs have decoded."""

import numpy as np

from workers.engine.latent_colours import LEARNT_RUNS, LatentColours

RNG = np.random.default_rng(7)
MAP = RNG.normal(0, 0.05, (16, 3))


def decoded(latents: np.ndarray) -> np.ndarray:
    """As a linear decoder would, 8 pixels to each latent, 4 frames for each but the first."""
    colours = np.einsum("cfhw,ck->fhwk", latents, MAP) + 0.5
    frames = np.repeat(colours, [1, *[4] * (latents.shape[1] - 1)], axis=0)
    return (np.repeat(np.repeat(frames, 8, axis=1), 8, axis=2).clip(0, 1) * 255).round().astype(np.uint8)


def a_run() -> np.ndarray:
    return RNG.normal(0, 1, (16, 5, 6, 8)).astype(np.float32)


def test_what_a_decoder_does_linearly_is_learnt_from_one_run() -> None:
    colours = LatentColours()
    assert not colours.known
    colours.learn(latents := a_run(), decoded(latents))
    assert colours.known
    other = a_run()
    shown = colours.pictures(other)
    assert shown.shape == (5, 6, 8, 3) and shown.dtype == np.uint8
    assert np.abs(shown.astype(int) - decoded(other)[[0, 1, 5, 9, 13]][:, ::8, ::8].astype(int)).mean() < 2


def test_a_bad_first_run_counts_less_with_each_one_after_it() -> None:
    colours, wrong = LatentColours(), a_run()
    colours.learn(wrong, 255 - decoded(wrong))
    errors = []
    for _ in range(6):
        colours.learn(latents := a_run(), decoded(latents))
        shown = colours.pictures(latents).astype(int)
        errors.append(np.abs(shown - decoded(latents)[[0, 1, 5, 9, 13]][:, ::8, ::8].astype(int)).mean())
    assert errors[-1] < errors[0] / 2


def test_an_image_has_one_frame_and_what_is_not_finite_is_still_a_picture() -> None:
    colours, latents = LatentColours(), a_run()[:, :1]
    colours.learn(latents, decoded(latents))
    assert colours.pictures(latents).shape == (1, 6, 8, 3)
    assert colours.pictures(np.full_like(latents, np.nan)).dtype == np.uint8


def test_after_some_runs_nothing_more_is_learnt() -> None:
    colours = LatentColours()
    for _ in range(LEARNT_RUNS):
        assert colours.learns
        colours.learn(latents := a_run(), decoded(latents))
    assert not colours.learns
