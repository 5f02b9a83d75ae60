"""Muon for weights of any shape, with equal shapes orthogonalised in one batch.

Momentum whose matrix is replaced by the nearest orthogonal one (Jordan et al., 2024), so
that rare directions, such as colour in mostly gray scenes, learn as fast as common ones.
`torch.optim.Muon` takes 2-D weights only, one at a time, which is slow for many small ones
and leaves out convolutions; here a convolution is a matrix [out, in * kernel].
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor

from demo.training.precision import DTYPE

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ROUNDS = 5


def orthogonalise(matrices: Tensor) -> Tensor:
    """Newton-Schulz iteration: [n, rows, columns] to matrices whose singular values are all near 1."""
    a, b, c = _COEFFICIENTS
    wide = matrices.mT if matrices.shape[1] > matrices.shape[2] else matrices
    x = (wide / (wide.norm(dim=(1, 2), keepdim=True) + 1e-7)).to(DTYPE)
    for _ in range(_ROUNDS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    upright: Tensor = x.mT if matrices.shape[1] > matrices.shape[2] else x
    return upright.to(matrices.dtype)


class Muon(torch.optim.Optimizer):
    """Muon whose updates have the size of AdamW's at the same `lr` (root mean square 0.2 lr)."""

    def __init__(
        self, parameters: Iterable[Tensor], lr: float, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update of every parameter that has a gradient."""
        for group in self.param_groups:
            alike: dict[tuple[int, int], list[Tensor]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    alike[(parameter.shape[0], parameter[0].numel())].append(parameter)
            for shape, parameters in alike.items():
                self._update(group, shape, parameters)

    def _update(self, group: dict[str, float], shape: tuple[int, int], parameters: list[Tensor]) -> None:
        directions = []
        for parameter in parameters:
            state, gradient = self.state[parameter], parameter.grad
            assert gradient is not None
            if not state:
                state["momentum"] = torch.zeros_like(parameter)
            average = state["momentum"].lerp_(gradient, 1.0 - group["momentum"])
            directions.append(gradient.lerp(average, group["momentum"]).reshape(shape))
        size = 0.2 * max(shape) ** 0.5 * group["lr"]
        for parameter, update in zip(parameters, orthogonalise(torch.stack(directions)), strict=True):
            parameter.mul_(1.0 - group["lr"] * group["weight_decay"])
            parameter.add_(update.view_as(parameter), alpha=-size)
