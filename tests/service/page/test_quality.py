"""The page's PSNR and SSIM are those of the evaluation."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Page
from skimage.metrics import structural_similarity

from workers.measurement.fidelity import psnr

Picture = NDArray[np.uint8]
MEASURE = """async ({module, one, other, width, height}) => {
  const {psnr, ssim} = await import(module);
  const [a, b] = [one, other].map((bytes) => Uint8ClampedArray.from(bytes));
  return [psnr(a, b), ssim(a, b, width, height)];
}"""


def by_the_page(page: Page, modules: str, one: Picture, other: Picture) -> Any:
    height, width = one.shape[:2]
    opaque = [np.dstack([each, np.full((height, width), 255, np.uint8)]).ravel().tolist() for each in (one, other)]
    asked = {"module": f"{modules}quality.js", "one": opaque[0], "other": opaque[1], "width": width, "height": height}
    return page.evaluate(MEASURE, asked)


def test_they_are_those_of_scikit_image(page: Page, modules: str) -> None:
    dice = np.random.default_rng(1)
    one = dice.integers(0, 256, (19, 31, 3), dtype=np.uint8)
    for noise in (1, 20, 255):
        other = np.clip(one + dice.normal(0, noise, one.shape), 0, 255).astype(np.uint8)
        found = by_the_page(page, modules, one, other)
        expected = structural_similarity(one, other, channel_axis=-1, data_range=255)
        assert found == [pytest.approx(psnr(other[None], one[None])), pytest.approx(expected, abs=1e-9)]


def test_equal_pictures_have_the_most_and_small_ones_no_ssim(page: Page, modules: str) -> None:
    picture = np.full((7, 7, 3), 9, np.uint8)
    assert by_the_page(page, modules, picture, picture) == [100, pytest.approx(1)]
    assert by_the_page(page, modules, picture[:6], picture[:6]) == [100, None]
