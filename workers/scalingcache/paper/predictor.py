"""What a predicted step is made of: Eq. 6 and the closed form of Alg. 1 line 10, as pure functions.

`alpha` is always indexed by denoising step first (0-based, `alpha[i]` belongs to step i) and may carry further axes
(blocks). `tau` is the latest fully computed step, `tau_before` the one before it.
"""

import torch
from torch import Tensor


def difference_ratio(alpha: Tensor, tau_before: int, tau: int) -> Tensor:
    """r of Eq. 6: what fraction of `y_tau - y_tau_before` is the last single step's difference.

    Eq. 6 with the factor alpha[tau_before + 1] cancelled, as it stands in numerator and denominator. Adjacent full
    steps give exactly 1. Shape: that of `alpha[0]`.
    """
    first = torch.ones_like(alpha[:1])
    products = torch.cat([first, alpha[tau_before + 2 : tau + 1]]).cumprod(dim=0)
    return products[-1] / products.sum(dim=0)


def decay(alpha: Tensor, tau: int, step: int) -> Tensor:
    """The product of alpha over steps tau+1 … step: how much of the difference at `tau` is left at `step`."""
    return alpha[tau + 1 : step + 1].prod(dim=0)


def extrapolation(alpha: Tensor, tau: int, step: int) -> Tensor:
    """c_m of the closed form, m = step - tau: how many differences lie between `y_tau` and the prediction."""
    return alpha[tau + 1 : step + 1].cumprod(dim=0).sum(dim=0)


def difference(y: Tensor, y_before: Tensor, ratio: float) -> Tensor:
    """Delta at a full step, taken in float32 and stored in the dtype of `y`: half precision loses small differences."""
    # One float32 copy, where y.float() - y_before.float() makes three: 2.5 GB at HunyuanVideo's size.
    return y.to(torch.float32, copy=True).sub_(y_before).mul_(ratio).to(y.dtype)


def predict(y: Tensor, delta: Tensor, c: float) -> Tensor:
    """The prediction y + c·delta, evaluated in float32 and rounded once to the dtype of `y`."""
    if y.device.type == "cpu" and y.dtype != torch.float32:
        # On the CPU torch rounds `alpha` to half precision as well; devices evaluate the fused form in float32.
        return y.float().add_(delta, alpha=c).to(y.dtype)
    return torch.add(y, delta, alpha=c)
