"""Inner products of a run's outputs, from a sample of their elements: all that a covariance needs to be measured."""

import numpy as np
import torch
from torch import Tensor

from workers.scalingcache.covariance import Array
from workers.scalingcache.sampling import sample_indices

ELEMENTS = 1 << 16
"""How many elements of an output are looked at: 50 outputs take 12.5 MiB in float32, at any size of picture."""


class NotFiniteOutput(ValueError):
    """An output, or a run's result, holds values that are not finite."""


class Products:
    """The mean of v_i · v_j over the sampled elements, for every pair of outputs that were added."""

    def __init__(self, steps: int) -> None:
        self.matrix: Array = np.zeros((steps, steps))
        self.power = float("nan")
        """The mean square of the result's elements, once there is one."""
        self._seen: dict[int, Tensor] = {}
        self._indices: Tensor | None = None

    def add(self, step: int, output: Tensor) -> None:
        """Take in an output of any shape; one read from the device. Raises `NotFiniteOutput`."""
        flat = output.detach().flatten()
        if self._indices is None:
            self._indices = sample_indices(flat.numel(), ELEMENTS, 0).to(flat.device)
        self._seen[step] = flat[self._indices].float()
        known = list(self._seen)
        rows = torch.stack([self._seen[each] for each in known])
        # In float64: what matters are small differences between these products.
        products = (rows.double() @ self._seen[step].double()).cpu().numpy() / rows.shape[1]
        if not np.isfinite(products).all():
            raise NotFiniteOutput(f"the model's output at step {step} is not finite")
        self.matrix[step, known] = self.matrix[known, step] = products

    def end(self, result: Tensor) -> None:
        """Take in the run's last sample. Raises `NotFiniteOutput`."""
        self.power = float(result.detach().float().square().mean())
        if not np.isfinite(self.power):
            raise NotFiniteOutput("the run's result is not finite")

    def tensors(self) -> list[Tensor]:
        """Every tensor that is held, for measuring."""
        return [*self._seen.values(), *([] if self._indices is None else [self._indices])]

    def clear(self) -> None:
        """Drop all tensors; the products stay."""
        self._seen.clear()
        self._indices = None
