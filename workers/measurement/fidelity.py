"""How near one video is to another: PSNR and SSIM, averaged over frames."""

from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

Video = NDArray[np.uint8]  # [frames, height, width, 3]

MOST_DECIBELS = 100.0  # of a frame: one that is equal, as a given first frame may be, must not make the mean infinite


def available() -> bool:
    """Whether what `ssim` needs is installed."""
    return find_spec("skimage") is not None


def psnr(video: Video, reference: Video) -> float:
    """Peak signal-to-noise ratio in dB, the mean over frames, of which one that is equal counts as 100."""
    # uint8 differences wrap around: cast before subtracting.
    squared = (video.astype(np.float64) - reference.astype(np.float64)) ** 2
    per_frame = squared.mean(axis=(1, 2, 3))
    with np.errstate(divide="ignore"):
        return float(np.mean(np.minimum(MOST_DECIBELS, 10 * np.log10(255.0**2 / per_frame))))


def ssim(video: Video, reference: Video) -> float:
    """Structural similarity, the mean over frames; 1 when they are equal."""
    # scipy and more come with it, 200 MiB that only who measures needs.
    from skimage.metrics import structural_similarity

    pairs = zip(video, reference, strict=True)
    return float(np.mean([structural_similarity(a, b, channel_axis=-1, data_range=255) for a, b in pairs]))
