"""Coefficients for another number of steps than they were measured with.

alpha is the ratio of the differences of successive steps. With g(σ), the size of a difference per unit of noise level,
and w_i the width of step i in σ: alpha_i = g_i · w_i / (g_{i-1} · w_{i-1}). So the measured coefficients give log g at
the middle of every step, up to a constant; between those it is interpolated over σ, and the new steps' middles and
widths give their coefficients. A step of twice the width decays by the square.
"""

import torch
from torch import Tensor

from workers.scalingcache.paper.estimation import HIGHEST, LOWEST


def resample(alpha: Tensor, sigmas: Tensor, wanted: Tensor) -> Tensor:
    """Coefficients `[wanted steps, blocks]`, float64, from those of another schedule.

    alpha: `[steps, blocks]`; rows 0 and 1 are not used.
    sigmas, wanted: `[steps]`, the falling noise levels of the measured and of the wanted steps, without the last zero.

    Of fewer than three steps no coefficient is measured, or used: all are 1 then.
    """
    if min(len(sigmas), len(wanted)) < 3:
        return torch.ones(len(wanted), alpha.shape[1], dtype=torch.float64)
    middles, widths = _steps(sigmas)
    growth = alpha[2:].double().log() - (widths[1:] / widths[:-1]).log().unsqueeze(1)
    log_g = torch.cat([torch.zeros_like(growth[:1]), growth.cumsum(dim=0)])
    new_middles, new_widths = _steps(wanted)
    ratios = _interpolate(-new_middles, -middles, log_g).diff(dim=0).exp() * (
        new_widths[1:] / new_widths[:-1]
    ).unsqueeze(1)
    return torch.cat([torch.ones_like(ratios[:1]).expand(2, -1), ratios.clamp(LOWEST, HIGHEST)])


def _steps(sigmas: Tensor) -> tuple[Tensor, Tensor]:
    """Middle and width in σ of the way to every step but the first."""
    sigmas = sigmas.double()
    return (sigmas[1:] + sigmas[:-1]) / 2, sigmas[:-1] - sigmas[1:]


def _interpolate(at: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """y `[x, blocks]` at other places, along straight lines; the outermost lines go on. x rises."""
    right = torch.searchsorted(x, at).clamp(1, len(x) - 1)
    left = right - 1
    part = ((at - x[left]) / (x[right] - x[left])).unsqueeze(1)
    return torch.lerp(y[left], y[right], part)
