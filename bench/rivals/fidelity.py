"""How near a run came to the uncached one."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.rivals.runs import Frames, Outcome
from bench.rivals.vmaf import vmaf
from workers.jobs.frozen import Frozen
from workers.measurement.fidelity import MOST_DECIBELS, psnr, ssim

_WINDOW = 11
_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the scales, from fine to coarse


class Fidelity(Frozen):
    """psnr: dB of frames that were not rounded, an equal one counting as 100. ssim, ms_ssim: means over frames.

    snr: dB of the final latents, |reference|² over |difference|², at most 100.
    vmaf: see there; None of pictures that are too small for it.

    A run that went so far astray that some of it is no number has 0 of everything.
    """

    psnr: float
    ssim: float
    ms_ssim: float
    snr: float
    vmaf: float | None = None


def fidelity(run: Outcome, reference: Outcome) -> Fidelity:
    """Of a run, against the uncached one of the same request."""
    if not np.isfinite(run.frames).all() or not run.latents.isfinite().all():
        return Fidelity(psnr=0.0, ssim=0.0, ms_ssim=0.0, snr=0.0, vmaf=0.0)
    frames: Any = run.frames  # Both measures are written for 8 bits, and say the same of fractions.
    against: Any = reference.frames
    return Fidelity(
        psnr=psnr(frames, against),
        ssim=ssim(frames, against),
        ms_ssim=ms_ssim(run.frames, reference.frames),
        snr=snr(run.latents, reference.latents),
        vmaf=vmaf(run.frames, reference.frames),
    )


def ms_ssim(video: Frames, reference: Frames) -> float:
    """Multi-scale SSIM with as many of its five scales as the picture has room for, weights in proportion."""
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

    side = min(video.shape[1:3])
    # As that function wants it: each scale halves the picture, and the window must fit well.
    scales = max(n for n in range(1, len(_WEIGHTS) + 1) if side // max(1, n - 1) ** 2 >= _WINDOW)
    weights = [weight / sum(_WEIGHTS[:scales]) for weight in _WEIGHTS[:scales]]
    a, b = (torch.from_numpy(each).permute(0, 3, 1, 2) for each in (video, reference))
    return float(multiscale_structural_similarity_index_measure(a, b, data_range=255.0, betas=tuple(weights)))


def snr(latents: Tensor, reference: Tensor) -> float:
    """Signal-to-noise ratio in dB."""
    signal = float(reference.double().square().sum())
    noise = float((latents.double() - reference.double()).square().sum())
    return MOST_DECIBELS if noise == 0 else min(MOST_DECIBELS, 10 * math.log10(signal / noise))
