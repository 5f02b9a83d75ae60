"""The measures of `workers/fidelity.py`, where the benchmarks look for them."""

from workers.fidelity import Video, psnr, ssim

__all__ = ["Video", "psnr", "ssim"]
