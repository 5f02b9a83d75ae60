"""Image files to test with."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

from PIL import Image


def a_file(format: str = "PNG", size: tuple[int, int] = (96, 64), color: Any = "red", mode: str = "RGB") -> bytes:
    file = io.BytesIO()
    Image.new(mode, size, color).save(file, format)
    return file.getvalue()


def opened(png: bytes | Path) -> Image.Image:
    with Image.open(io.BytesIO(png) if isinstance(png, bytes) else png) as image:
        return image.convert("RGB")


def chunk(kind: bytes, data: bytes) -> bytes:
    """One piece of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
