"""Small pictures of a result, in WebP: one frame of it, and a sheet of many.

However large a result is, no more frames are looked at and no more pixels written than the figures here say.
"""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from workers.jobs.artifact import Preview

#: The longer side in pixels; nothing is enlarged.
THUMBNAIL_SIDE, TILE_SIDE = 320, 160
#: Tiles of a sheet, and of one row of it.
MOST_TILES, COLUMNS = 25, 5
MEDIA_TYPE, SUFFIX = "image/webp", ".webp"


def previews_of(frames: NDArray[np.uint8]) -> dict[Preview, bytes]:
    """Of `[frames, height, width, 3]` RGB: the middle frame, and where there are several the sheet.

    The sheet has up to 25 frames evenly spread from the first to the last, in rows of 5; the last row may be shorter.
    """
    thumbnail = _webp(_small(frames[len(frames) // 2], THUMBNAIL_SIDE))
    if len(frames) == 1:
        return {"thumbnail": thumbnail}
    spread = np.linspace(0, len(frames) - 1, min(len(frames), MOST_TILES)).round().astype(int)
    return {"thumbnail": thumbnail, "spritesheet": _webp(_sheet([_small(frames[i], TILE_SIDE) for i in spread]))}


def _small(frame: NDArray[np.uint8], side: int) -> Image.Image:
    picture = Image.fromarray(frame)
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return picture


def _sheet(tiles: Sequence[Image.Image]) -> Image.Image:
    width, height = tiles[0].size
    columns, rows = min(COLUMNS, len(tiles)), -(-len(tiles) // COLUMNS)
    sheet = Image.new("RGB", (columns * width, rows * height))
    for number, tile in enumerate(tiles):
        sheet.paste(tile, (number % COLUMNS * width, number // COLUMNS * height))
    return sheet


def _webp(picture: Image.Image) -> bytes:
    file = BytesIO()
    picture.save(file, "WEBP", quality=80, method=4)
    return file.getvalue()
