"""A solver as what it is, a weighted sum of what goes in: its first sample and the model's outputs."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from workers.scalingcache.covariance import Array

_LEAST = 1e-3  # noise level below which data are told as at this one: they are divided by it


@dataclass(frozen=True)
class Response:
    """How a solver's samples depend on what goes in, for one schedule: x_n = a_n x_0 + Σ_{i<n} R_ni v_i.

    sigmas: `[steps]`, the noise levels at which the model is called.
    start: `[steps + 1]`, a_n: of the first sample; sample n is the one that step n begins with, the last the result.
    outputs: `[steps + 1, steps]`, R_ni: of the model's outputs; 0 where i >= n.
    """

    sigmas: Array
    start: Array
    outputs: Array

    @property
    def steps(self) -> int:
        return len(self.sigmas)

    @cached_property
    def levels(self) -> Array:
        """`[steps]`, σ_i of a step's data D_i = x_i - σ_i v_i: what its output says the sample is without noise."""
        return np.maximum(self.sigmas, _LEAST)

    @cached_property
    def by_data(self) -> tuple[Array, Array]:
        """`start` and `outputs` where samples are told by data: x_n = a'_n x_0 + Σ_{i<n} R'_ni D_i."""
        weights = self.outputs / self.levels
        # x = a x_0 + R (x - D) / σ, solved for x.
        own = np.eye(self.steps + 1)
        own[:, : self.steps] -= weights
        start = np.asarray(np.linalg.solve(own, self.start), dtype=np.float64)
        by_data = np.asarray(np.linalg.solve(own, -weights), dtype=np.float64)
        return start, by_data

    def data_covariance(self, matrix: Array) -> Array:
        """Of the data, but for the first sample that all of them have in common, from that of the outputs.

        Both are `[steps, steps]`.
        """
        made_of = self.outputs[: self.steps] - np.diag(self.levels)
        covariance: Array = made_of @ matrix @ made_of.T
        return covariance
