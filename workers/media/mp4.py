"""Frames to MP4 and back, through PyAV, whose wheels carry the codecs."""

from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray


def write_mp4(path: Path, frames: NDArray[np.uint8], fps: int) -> None:
    """Write `[frames, height, width, 3]` RGB frames as H.264 that browsers play while it still downloads."""
    with av.open(str(path), mode="w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": "14", "preset": "medium"})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def read_mp4(path: Path) -> NDArray[np.uint8]:
    """All frames of a video as `[frames, height, width, 3]` RGB."""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
