"""A result without what tells how it was made: its name, its hash, and what is written into its file."""

import os
from collections.abc import Iterator
from typing import BinaryIO

from starlette.responses import StreamingResponse

from service.errors import ArtifactGone
from workers.jobs.job import Job

#: What can be stripped of its metadata.
MEDIA_TYPES = {"video/mp4": ".mp4", "image/png": ".png"}
#: A part of a file: bytes that stand for themselves, or offset and length of what is sent as it is.
Part = bytes | tuple[int, int]

_CHUNK_BYTES = 1 << 18
_SIGNATURE_BYTES = 8
#: What an MP4 keeps descriptions in, and what these can lie in.
_DESCRIPTIONS, _CONTAINERS = frozenset({b"udta", b"meta", b"uuid"}), frozenset({b"moov", b"trak", b"mdia", b"minf"})
#: Chunks of a PNG that shape the picture; all others are left out.
_SHAPING = frozenset(
    {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"cHRM", b"gAMA", b"sRGB", b"iCCP", b"cICP", b"sBIT"}
)


def anonymous_response(job: Job, file: BinaryIO, name: str) -> StreamingResponse:
    """The file of a result under another name. Raises `ArtifactGone` for one that cannot be read."""
    assert job.artifact is not None
    try:
        parts = list(stripped(file, job.artifact.media_type))
    except (ValueError, OSError):
        file.close()
        raise ArtifactGone("this result can no longer be read") from None
    length = sum(len(part) if isinstance(part, bytes) else part[1] for part in parts)
    filename = f"{name}{MEDIA_TYPES[job.artifact.media_type]}"
    return StreamingResponse(
        _read(file, parts),
        media_type=job.artifact.media_type,
        headers={
            "content-length": str(length),
            "content-disposition": f'inline; filename="{filename}"',
            "cache-control": "no-store",
        },
    )


def stripped(file: BinaryIO, media_type: str) -> Iterator[Part]:
    """The file in parts, without descriptions. Raises `ValueError` for what is not of this type."""
    size = os.fstat(file.fileno()).st_size
    yield from _mp4(file, 0, size) if media_type == "video/mp4" else _png(file, size)


def _mp4(file: BinaryIO, start: int, end: int) -> Iterator[Part]:
    """Descriptions become boxes `free` of the same length: the places of the frames are told by their offsets."""
    while start < end:
        file.seek(start)
        header = file.read(16)
        length, kind, head = int.from_bytes(header[:4]), header[4:8], 8
        if length == 1:
            length, head = int.from_bytes(header[8:]), 16
        length = length or end - start
        if not head <= length <= end - start:
            raise ValueError(f"a box of {length} bytes does not fit at {start}")
        if kind in _DESCRIPTIONS:
            yield header[:4] + b"free" + header[8:head] + bytes(length - head)
        elif kind in _CONTAINERS:
            yield start, head
            yield from _mp4(file, start + head, start + length)
        else:
            yield start, length
        start += length


def _png(file: BinaryIO, size: int) -> Iterator[Part]:
    yield 0, _SIGNATURE_BYTES
    start = _SIGNATURE_BYTES
    while start < size:
        file.seek(start)
        header = file.read(8)
        length = int.from_bytes(header[:4]) + 12
        if length > size - start:
            raise ValueError(f"a chunk of {length} bytes does not fit at {start}")
        if header[4:8] in _SHAPING:
            yield start, length
        start += length


def _read(file: BinaryIO, parts: list[Part]) -> Iterator[bytes]:
    with file:
        for part in parts:
            if isinstance(part, bytes):
                yield part
                continue
            offset, left = part
            while left:
                file.seek(offset)
                chunk = file.read(min(left, _CHUNK_BYTES))
                if not chunk:
                    raise OSError("the file became shorter while it was read")
                offset, left = offset + len(chunk), left - len(chunk)
                yield chunk
