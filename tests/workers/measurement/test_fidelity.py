"""PSNR, where the answer is known."""

import numpy as np
import pytest

from workers.measurement.fidelity import psnr


def test_one_equal_frame_does_not_hide_what_the_others_lost() -> None:
    reference = np.full((2, 16, 16, 3), 100, dtype=np.uint8)
    video = reference.copy()
    video[1] += 51  # a fifth of 255: 13.98 dB
    assert psnr(video, reference) == pytest.approx((100 + 13.9794) / 2, abs=1e-3)
    assert psnr(reference, video) == psnr(video, reference)


def test_equal_videos_have_the_most_decibels() -> None:
    video = np.random.default_rng(0).integers(0, 255, (3, 16, 16, 3), dtype=np.uint8)
    assert psnr(video, video) == 100
