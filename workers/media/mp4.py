"""Frames to MP4 and back, through PyAV, whose wheels carry the codecs."""

from pathlib import Path

import av
import numpy as np
from av.codec.context import ThreadType
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation
from numpy.typing import NDArray

#: The encoder's bytes depend on their number, so it is fixed, whatever the machine has. Frames are encoded side by
#: side; slices of one frame would make the file larger.
THREADS = 4
_ENCODER = {"crf": "14", "preset": "medium", "x264-params": "cpu-independent=1"}
#: Conversions that round instead of cutting off, and give the same on every processor.
_EXACT = (
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.BITEXACT
    | Interpolation.FULL_CHR_H_INP
    | Interpolation.FULL_CHR_H_INT
)


def write_mp4(path: Path, frames: NDArray[np.uint8], fps: int, comment: str | None = None) -> None:
    """Write `[frames, height, width, 3]` RGB frames as H.264 that browsers play while it still downloads.

    The colours are BT.709 in limited range, and the file says so: players guess where nothing is said. The same frames
    and comment give the same bytes on every machine, however many cores it has. Height and width are even: four pixels
    share a colour.
    """
    with av.open(str(path), mode="w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=fps, options=_ENCODER)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        encoder = stream.codec_context
        encoder.thread_type, encoder.thread_count = ThreadType.FRAME, THREADS
        encoder.colorspace, encoder.color_range = Colorspace.ITU709, ColorRange.MPEG
        encoder.color_primaries, encoder.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
        if comment is not None:
            container.metadata["comment"] = comment
        for frame in frames:
            container.mux(stream.encode(_bt709(frame)))
        container.mux(stream.encode())


def read_mp4(path: Path) -> NDArray[np.uint8]:
    """All frames of a video as `[frames, height, width, 3]` RGB, by the colours that the file says it has."""
    with av.open(str(path)) as container:
        decoded = container.decode(video=0)
        return np.stack([frame.to_ndarray(format="rgb24", interpolation=_EXACT) for frame in decoded])


def _bt709(frame: NDArray[np.uint8]) -> av.VideoFrame:
    """`[height, width, 3]` RGB as 4:2:0."""
    return av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(
        format="yuv420p",
        dst_colorspace=Colorspace.ITU709,
        src_color_range=ColorRange.JPEG,
        dst_color_range=ColorRange.MPEG,
        interpolation=_EXACT,
        threads=1,
    )
