"""What a result is written as: for each kind of media the file's suffix, its content type and its writer."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workers.jobs.job import Media
from workers.media.mp4 import read_mp4, write_mp4
from workers.media.png import read_png, write_png


@dataclass(frozen=True, slots=True)
class Format:
    """write: takes the path, `[frames, height, width, 3]` RGB frames, frames a second, of no meaning for images, and
    the comment that the file is to have.

    read: gives such frames of a file.
    """

    suffix: str
    media_type: str
    write: Callable[[Path, NDArray[np.uint8], int, str | None], None]
    read: Callable[[Path], NDArray[np.uint8]]


def _write_image(path: Path, frames: NDArray[np.uint8], _fps: int, comment: str | None) -> None:
    [picture] = frames
    write_png(path, picture, comment)


def _read_image(path: Path) -> NDArray[np.uint8]:
    return read_png(path)[None]


FORMATS: dict[Media, Format] = {
    "video": Format(".mp4", "video/mp4", write_mp4, read_mp4),
    "image": Format(".png", "image/png", _write_image, _read_image),
}
