"""A few small frames as one animated WebP."""

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

#: The longer side in pixels.
SIDE = 192
FRAME_MILLISECONDS = 250


def animation(frames: NDArray[np.uint8], width: int, height: int) -> bytes:
    """`[frames, height, width, 3]`, RGB, scaled to the shape of a result of that width and height in pixels."""
    scale = min(SIDE, max(width, height)) / max(width, height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    first, *others = (Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC) for frame in frames)
    file, more = BytesIO(), {"save_all": True, "append_images": others, "duration": FRAME_MILLISECONDS, "loop": 0}
    first.save(file, "WEBP", quality=50, method=0, **(more if others else {}))
    return file.getvalue()
