"""Videos side by side in one picture: a row a video, a column a moment."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from workers.measurement.fidelity import Video

_MARGIN = 4
_LABEL = 16


def save_contact_sheet(path: Path, videos: Mapping[str, Video], columns: int = 8, height: int = 144) -> None:
    """Write `columns` evenly spread frames of each video, under its label, `height` pixels high."""
    rows = [_row(label, video, columns, height) for label, video in videos.items()]
    sheet = Image.new("RGB", (max(row.width for row in rows), sum(row.height for row in rows)), "white")
    top = 0
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)


def _row(label: str, video: Video, columns: int, height: int) -> Image.Image:
    width = round(video.shape[2] * height / video.shape[1])
    picked = np.linspace(0, len(video) - 1, min(columns, len(video))).round().astype(int)
    row = Image.new("RGB", (len(picked) * (width + _MARGIN) + _MARGIN, height + _LABEL + _MARGIN), "white")
    ImageDraw.Draw(row).text((_MARGIN, 2), label, fill="black")
    for column, frame in enumerate(picked):
        picture = Image.fromarray(video[frame]).resize((width, height), Image.Resampling.NEAREST)
        row.paste(picture, (_MARGIN + column * (width + _MARGIN), _LABEL))
    return row
