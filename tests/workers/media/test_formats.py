"""What a result is written as."""

from pathlib import Path
from typing import get_args

import numpy as np

from workers.jobs.job import Media
from workers.media.formats import FORMATS
from workers.media.mp4 import read_mp4
from workers.media.png import read_png

FRAMES = np.full((1, 32, 48, 3), 128, np.uint8)


def test_every_kind_of_media_has_a_format() -> None:
    assert set(FORMATS) == set(get_args(Media))


def test_a_video_is_an_mp4_and_an_image_a_png_whatever_the_path_ends_in(tmp_path: Path) -> None:
    path = tmp_path / "result.tmp"
    FORMATS["video"].write(path, FRAMES.repeat(5, axis=0), 8, None)
    assert read_mp4(path).shape == (5, 32, 48, 3)
    FORMATS["image"].write(path, FRAMES, 1, None)
    assert np.array_equal(read_png(path), FRAMES[0])
