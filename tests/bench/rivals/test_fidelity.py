"""Measures of nearness, on pictures whose distance is known."""

import numpy as np
import pytest
import torch

from bench.rivals.fidelity import fidelity, ms_ssim, snr
from bench.rivals.runs import Frames, Outcome
from bench.rivals.vmaf import Unmeasured, vmaf


def an_outcome(frames: Frames, latents: float = 1.0) -> Outcome:
    return Outcome(frames, torch.full((2, 2), latents), 1)


def noise(side: int, seed: int = 0) -> Frames:
    return np.random.default_rng(seed).uniform(50, 200, size=(2, side, side, 3)).astype(np.float32)


def test_a_difference_below_one_level_of_eight_bits_is_seen() -> None:
    frames = noise(32)
    found = fidelity(an_outcome(frames + 0.1), an_outcome(frames))
    assert found.psnr == pytest.approx(20 * np.log10(255 / 0.1), abs=0.01)
    assert 0.9999 < found.ssim <= 1


def test_equal_runs_have_the_most_of_everything() -> None:
    found = fidelity(an_outcome(noise(32)), an_outcome(noise(32)))
    assert (found.psnr, found.snr) == (100.0, 100.0)
    assert (found.ssim, found.ms_ssim) == (pytest.approx(1.0), pytest.approx(1.0))


def test_dark_and_bright_do_not_wrap_around() -> None:
    dark, bright = np.zeros((1, 32, 32, 3), np.float32), np.full((1, 32, 32, 3), 255.0, np.float32)
    assert fidelity(an_outcome(dark), an_outcome(bright)).psnr == pytest.approx(0.0)


def test_the_signal_to_noise_ratio_is_of_energies() -> None:
    assert snr(torch.tensor([3.0, 4.5]), torch.tensor([3.0, 4.0])) == pytest.approx(20.0)


def test_a_run_that_is_no_number_anywhere_has_nothing() -> None:
    frames = noise(32)
    for astray in (an_outcome(frames, float("nan")), an_outcome(frames * np.float32("inf"))):
        assert set(fidelity(astray, an_outcome(frames)).model_dump().values()) == {0.0}


@pytest.mark.parametrize("side", [16, 32, 96, 200])
def test_multi_scale_ssim_takes_the_scales_that_a_picture_has_room_for(side: int) -> None:
    frames = noise(side)
    slightly, more = frames + noise(side, 1) / 50, frames + noise(side, 1) / 5
    assert 1 > ms_ssim(slightly, frames) > ms_ssim(more, frames) > 0


def test_vmaf_falls_with_what_can_be_seen() -> None:
    frames = noise(64)
    equal, less, least = (vmaf(frames + noise(64, 1) * part, frames) for part in (0, 0.1, 0.5))
    assert equal and less and least
    assert 100 >= equal > less > least > 0


def test_pictures_that_are_too_small_have_no_vmaf() -> None:
    assert fidelity(an_outcome(noise(16)), an_outcome(noise(16))).vmaf is None


def test_what_ffmpeg_says_when_it_cannot_measure_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", "false")
    with pytest.raises(Unmeasured, match="ended with 1"):
        vmaf(noise(64), noise(64))
