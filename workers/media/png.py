"""Pictures to PNG, the format that loses nothing, and back."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo


def write_png(path: Path, picture: NDArray[np.uint8], comment: str | None = None) -> None:
    """Write `[height, width, 3]` RGB."""
    text = PngInfo()
    if comment is not None:
        text.add_itxt("Comment", comment)
    Image.fromarray(picture).save(path, format="PNG", pnginfo=text)


def read_png(path: Path) -> NDArray[np.uint8]:
    """`[height, width, 3]` RGB."""
    with Image.open(path, formats=["PNG"]) as picture:
        return np.asarray(picture.convert("RGB"))
