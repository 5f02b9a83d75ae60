"""Pictures to PNG, the format that loses nothing, and back."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def write_png(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write `[height, width, 3]` RGB."""
    Image.fromarray(picture).save(path, format="PNG")


def read_png(path: Path) -> NDArray[np.uint8]:
    """`[height, width, 3]` RGB."""
    with Image.open(path, formats=["PNG"]) as picture:
        return np.asarray(picture.convert("RGB"))
