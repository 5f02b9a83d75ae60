"""VMAF, a measure that was fitted to what viewers said of compressed video; of Netflix, through ffmpeg."""

import json
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

SMALLEST = 32
"""Pixels of a side below which its filters find no room."""
_LONGEST = 600
"""Seconds."""


class Unmeasured(RuntimeError):
    """ffmpeg did not give a value; says what it said."""


def vmaf(video: NDArray[np.float32], reference: NDArray[np.float32]) -> float | None:
    """The mean over frames, from 0 to 100, of `[frames, height, width, 3]` from 0 to 255, rounded to 8 bits.

    An equal video has nearly 100, an equal picture 97.4: of the first frame it holds against it that nothing moved.
    None for pictures that are too small. Raises `Unmeasured`.
    """
    if min(video.shape[1:3]) < SMALLEST:
        return None
    import imageio_ffmpeg

    with TemporaryDirectory() as folder:
        inputs = [part for name, frames in (("a", video), ("b", reference)) for part in _input(folder, name, frames)]
        run = subprocess.run(
            [
                imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-loglevel", "error", *inputs,
                "-lavfi", "libvmaf=log_fmt=json:log_path=log.json", "-f", "null", "-",
            ],
            cwd=folder, capture_output=True, text=True, timeout=_LONGEST,
        )  # fmt: skip
        log = Path(folder, "log.json")
        if run.returncode or not log.exists():
            raise Unmeasured(f"ffmpeg ended with {run.returncode}: {run.stderr.strip()[-500:]}")
        return float(json.loads(log.read_text())["pooled_metrics"]["vmaf"]["mean"])


def _input(folder: str, name: str, frames: NDArray[np.float32]) -> list[str]:
    """Write the frames as they are; the options that say what they are."""
    Path(folder, name).write_bytes(np.clip(np.rint(frames), 0, 255).astype(np.uint8).tobytes())
    _, height, width, _ = frames.shape
    return ["-f", "rawvideo", "-pixel_format", "rgb24", "-video_size", f"{width}x{height}", "-i", name]
