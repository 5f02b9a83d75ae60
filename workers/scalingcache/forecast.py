"""The state of one accelerated generation: what was computed, and what follows from it.

A forecast is made when a generation starts and closed when it ends, however it ends.
It stands in the place of the solver: given the model's output at full steps, it says which sample comes next.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from workers.scalingcache import priors
from workers.scalingcache.covariance import Array, Covariance
from workers.scalingcache.products import Products
from workers.scalingcache.response import Response
from workers.scalingcache.trajectory import Trajectory, expected_error

GUARD = 3.0
"""How many times the expected squared error a prediction may be off before the run computes more than was planned.

By whole runs of the demo checkpoints: with two, chance alone adds steps, and with four the hardest prompts lack some.
"""
_NEGLIGIBLE = 1e-10
"""A squared error relative to the output's own that no picture shows, which no surprise is worth a step."""
_TINY = np.finfo(np.float64).tiny


@dataclass(frozen=True)
class Innovation:
    """How far off a prediction was, known at the full step after it: mean squares relative to the output's own.

    expected: by the covariance in force when it was made.
    """

    step: int
    expected: float
    measured: float


@dataclass
class Forecast:
    """ScalingCache for one generation.

    Ask `full` before each step, and call `step` in place of the solver's.

    covariance: what the run starts with, on its own noise levels, see `priors.combined`.
    response: the solver's.
    schedule: the steps to compute in full, rising, step 0 among them.
    added: the steps that are computed beyond those, since predictions were further off than expected.
    adapted: whether it has gone by another covariance than it started with.
    """

    covariance: Covariance
    response: Response
    schedule: tuple[int, ...]
    innovations: list[Innovation] = field(default_factory=list, init=False)
    added: list[int] = field(default_factory=list, init=False)
    adapted: bool = field(default=False, init=False)
    decisions: str = field(default="", init=False)
    peak_cache_bytes: int = field(default=0, init=False)
    _matrix: Array = field(init=False)
    _products: Products = field(init=False)
    _trajectory: Trajectory = field(init=False)
    _outputs: dict[int, Tensor] = field(default_factory=dict, init=False)
    _first: Tensor | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if len(self.covariance.sigmas) != self.response.steps:
            raise ValueError(f"{len(self.covariance.sigmas)} noise levels do not fit {self.response.steps} steps")
        if not self.schedule or self.schedule[0] != 0:
            raise ValueError(f"a schedule begins with step 0, not {self.schedule[:1]}")
        self._matrix = self.covariance.matrix
        self._products = Products(self.response.steps)
        self._trajectory = Trajectory(self.response, self._matrix)

    @property
    def current(self) -> int:
        """The step that is due, from 0; the number of steps when all are over."""
        return len(self.decisions)

    @property
    def full(self) -> bool:
        """Whether the current step is computed in full."""
        return self.current in self.schedule or self.current in self.added

    def step(self, output: Tensor | None, sample: Tensor) -> Tensor:
        """End the current step; gives the sample that the next one begins with, or the result.

        output: the model's, with guidance, at a full step; None at a predicted one. sample: what the step began with.
        Where the next step is predicted, nothing reads its sample, and the given one is returned.
        Raises `NotFiniteOutput`.
        """
        if self._first is None:
            self._first = sample
        if output is not None:
            self._observe(output)
        self.decisions += "P" if output is None else "F"
        over = self.current == self.response.steps
        if not over and not self.full:
            return sample
        following = self._sample(self.current)
        if over:
            self._products.end(following)
        return following.to(sample.dtype)

    def expected_snr(self) -> float | None:
        """How near the finished result is expected to be to an uncached run's: signal to noise of the latents in dB.

        None before the end, and for a result that is zero or is expected to be exact.
        That later outputs were computed from samples that were slightly off is not in it, so it is on the high side.
        """
        known = [step for step, letter in enumerate(self.decisions) if letter == "F"]
        if not self._products.power > 0:
            return None
        error = expected_error(self.response, self._matrix, known) * self._scale(known)
        return None if error <= 0 else 10.0 * math.log10(self._products.power / error)

    def _observe(self, output: Tensor) -> None:
        step, known = self.current, sorted(self._outputs)
        self._products.add(step, output)
        self._outputs[step] = output
        self._trajectory.compute(step)
        if known and step - known[-1] > 1 and self._products.matrix[step, step] > 0:
            self._guard(self._innovation(step, known))
        matrix = priors.fitting(self.covariance, self._products.matrix, [*known, step])
        if matrix is not self._matrix:
            self._matrix, self.adapted = matrix, True
            self._trajectory.go_by(matrix)
        self.peak_cache_bytes = max(self.peak_cache_bytes, self.cache_bytes())

    def _guard(self, innovation: Innovation) -> None:
        """Halve the gap that follows where a prediction was much further off than expected.

        The output that has just come corrects the gap before it; what went wrong there is likely to go on.
        """
        self.innovations.append(innovation)
        if innovation.measured <= GUARD * max(innovation.expected, _NEGLIGIBLE):
            return
        step = innovation.step
        following = min((each for each in self.schedule if each > step), default=self.response.steps)
        if following - step > 1:
            self.added.append((step + following) // 2)

    def _innovation(self, step: int, known: list[int]) -> Innovation:
        expected, off = self._trajectory.misprediction()
        size = float(self._products.matrix[step, step])
        measured = float(off @ self._products.matrix @ off)
        return Innovation(step, max(expected * self._scale(known), 0.0) / size, max(measured, 0.0) / size)

    def _scale(self, known: list[int]) -> float:
        """How large this run's outputs are beside the covariance's: a loud run is not a less predictable one."""
        there = float(np.trace(self._products.matrix[np.ix_(known, known)]))
        return there / max(float(np.trace(self._matrix[np.ix_(known, known)])), _TINY)

    def _sample(self, index: int) -> Tensor:
        """Sample `index`, float32: one weighted sum of the first sample and all outputs."""
        assert self._first is not None
        first, *counts = self._trajectory.sample(index)
        result = self._first.float() * float(first)
        for step, output in self._outputs.items():
            result.add_(output.float(), alpha=float(counts[step]))
        return result

    def cache_bytes(self) -> int:
        """Bytes of device memory that are held now, each storage counted once."""
        storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in self.tensors()}
        return sum(storages.values())

    def tensors(self) -> list[Tensor]:
        """Every tensor that is held, for measuring."""
        first = [] if self._first is None else [self._first]
        return [*first, *self._outputs.values(), *self._products.tensors()]

    def close(self) -> None:
        """Drop all tensors. Safe to call more than once."""
        self._outputs.clear()
        self._products.clear()
        self._first = None
