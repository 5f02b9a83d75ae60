"""Videos in one picture: a row a video, a column a moment, all text in full."""

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from workers.measurement.fidelity import Video

#: How many times stronger than it is a difference is shown.
AMPLIFIED = 8

COLUMNS = 6
_SCALE = 2
_MOST_HEIGHT = 288  # Pixels of a row's pictures; larger ones are made smaller.
_LEAST_WIDTH = 640  # Pixels of a sheet: text needs room also above one small picture.
_MARGIN = 8
_FONT_SIZE = 20
_LINE = 26


class Row(NamedTuple):
    """A video [frames, height, width, 3], and what is written above it."""

    title: str
    video: Video


def moments(video: Video, columns: int = COLUMNS) -> Video:
    """So many of its frames, evenly spread, first and last among them: all that a sheet shows of it."""
    shown: Video = video[np.linspace(0, len(video) - 1, min(columns, len(video))).round().astype(int)]
    return shown


def compared(rows: Sequence[Row]) -> list[Row]:
    """The rows, and under each but the first how it differs from the first."""
    first, *others = rows
    return [first, *(each for row in others for each in (row, _difference(row, first)))]


def _difference(row: Row, first: Row) -> Row:
    # uint8 differences wrap around: cast before subtracting.
    apart = np.abs(row.video.astype(np.int16) - first.video.astype(np.int16))
    title = f"difference from the first row, {AMPLIFIED} times as strong"
    return Row(title, np.minimum(AMPLIFIED * apart, 255).astype(np.uint8))


def save_contact_sheet(path: Path, heading: str, rows: Sequence[Row], columns: int = COLUMNS) -> None:
    """Write a heading and, under its title, `columns` evenly spread frames of each video, at twice their size."""
    strips = [_strip(row.video, columns) for row in rows]
    width = max(_LEAST_WIDTH, *(strip.width for strip in strips))
    texts = [text_lines(text, width - 2 * _MARGIN) for text in (heading, *(row.title for row in rows))]
    height = _LINE * sum(map(len, texts)) + sum(strip.height for strip in strips) + _MARGIN * (len(texts) + 1)
    sheet = Image.new("RGB", (width, height), "white")
    top = _write(sheet, texts[0], _MARGIN)
    for lines, strip in zip(texts[1:], strips, strict=True):
        top = _write(sheet, lines, top + _MARGIN)
        sheet.paste(strip, (0, top))
        top += strip.height
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)


def text_lines(text: str, width: float) -> list[str]:
    """A text in lines that are at most so many pixels wide; words that are wider are cut up."""
    lines: list[str] = []
    for part in (part for word in text.split() for part in _parts(word, width)):
        if lines and _font().getlength(f"{lines[-1]} {part}") <= width:
            lines[-1] += f" {part}"
        else:
            lines.append(part)
    return lines


def _parts(word: str, width: float) -> Iterator[str]:
    start = 0
    for end in range(1, len(word) + 1):
        if end - start > 1 and _font().getlength(word[start:end]) > width:
            yield word[start : end - 1]
            start = end - 1
    yield word[start:]


@cache
def _font() -> ImageFont.FreeTypeFont:
    """DejaVu Sans as matplotlib brings it: the machine may have no fonts."""
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), _FONT_SIZE)


def _write(sheet: Image.Image, lines: Sequence[str], top: int) -> int:
    """Writes lines from `top` on; returns where they end."""
    draw = ImageDraw.Draw(sheet)
    for line in lines:
        draw.text((_MARGIN, top), line, fill="black", font=_font())
        top += _LINE
    return top


def _strip(video: Video, columns: int) -> Image.Image:
    height = min(_SCALE * video.shape[1], _MOST_HEIGHT)
    width = round(video.shape[2] * height / video.shape[1])
    larger = height > video.shape[1]
    picked = moments(video, columns)
    strip = Image.new("RGB", (len(picked) * (width + _MARGIN) + _MARGIN, height), "white")
    for column, frame in enumerate(picked):
        resampling = Image.Resampling.NEAREST if larger else Image.Resampling.LANCZOS
        picture = Image.fromarray(frame).resize((width, height), resampling)
        strip.paste(picture, (_MARGIN + column * (width + _MARGIN), 0))
    return strip
