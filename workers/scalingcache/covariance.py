"""How alike a model's outputs are from step to step: one small matrix, from which all else follows.

With v_i the model's output at step i (guidance applied), G_ij is the mean of v_i · v_j over elements and runs. Whatever
predicts an output as a weighted sum of others has a known expected error under G, before anything is generated.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_NEAREST = 1e-3  # noise levels closer than this to 0 or 1 count as so far away from them
FARTHEST = 2.0
"""In log odds, how far a noise level may be from the nearest that was measured for an observed run to say something of
it: one of 20 steps reaches the levels of 100, and one of a sixth or six times the shift. See docs/scalingcache.md."""


def log_odds(sigmas: Array) -> Array:
    """log(σ / (1 - σ)): the scale on which outputs change about evenly over a run, whatever its schedule."""
    inside = np.clip(sigmas, _NEAREST, 1.0 - _NEAREST)
    return np.log(inside / (1.0 - inside))


@dataclass(frozen=True)
class Covariance:
    """G of a model on the noise levels of one schedule.

    sigmas: `[steps]`, falling.
    matrix: `[steps, steps]`, symmetric; its mean diagonal is 1.
    energy: what the mean diagonal was, the mean square of an output's elements; power: that of the result's.
    runs: from how many generations; 0 for one that was not measured.
    """

    sigmas: Array
    matrix: Array
    energy: float = 1.0
    power: float = 1.0
    runs: int = 0

    def table(self) -> dict[str, Any]:
        """As JSON has it, every digit."""
        return asdict(self) | {"sigmas": self.sigmas.tolist(), "matrix": self.matrix.tolist()}

    @classmethod
    def parsed(cls, table: Mapping[str, Any]) -> "Covariance":
        """What `table` has written."""
        arrays = {name: np.array(table[name], dtype=np.float64) for name in ("sigmas", "matrix")}
        return cls(**{**table, **arrays})

    def covers(self, sigmas: Array) -> bool:
        """Whether it was measured near all of some noise levels, see `FARTHEST`."""
        distance = np.abs(log_odds(sigmas)[:, None] - log_odds(self.sigmas)[None, :])
        return bool(distance.min(axis=1).max() <= FARTHEST)

    def at(self, sigmas: Array) -> "Covariance":
        """On other noise levels: outputs between two measured ones are taken to lie on the straight line between them.

        Beyond the outermost levels the outermost outputs stand.
        """
        if len(sigmas) == len(self.sigmas) and np.allclose(sigmas, self.sigmas, atol=1e-6):
            return self
        known, wanted = -log_odds(self.sigmas), -log_odds(sigmas)  # rising
        if len(known) == 1:
            weights = np.ones((len(wanted), 1))
        else:
            right = np.clip(np.searchsorted(known, wanted), 1, len(known) - 1)
            part = np.clip((wanted - known[right - 1]) / np.maximum(known[right] - known[right - 1], 1e-9), 0.0, 1.0)
            weights = np.zeros((len(wanted), len(known)))
            rows = np.arange(len(wanted))
            weights[rows, right - 1] = 1.0 - part
            weights[rows, right] += part
        moved = normalised(weights @ self.matrix @ weights.T)
        return Covariance(np.asarray(sigmas, dtype=np.float64), moved, self.energy, self.power, self.runs)


def normalised(matrix: Array) -> Array:
    """The matrix over its mean diagonal. Raises `ValueError` where that is not a positive number."""
    size = float(np.diag(matrix).mean())
    if not np.isfinite(size) or size <= 0:
        raise ValueError(f"a covariance's mean diagonal must be a positive number, not {size}")
    scaled: Array = matrix / size
    return scaled


def of_run(sigmas: Array, products: Array, power: float) -> Covariance:
    """What one generation says.

    products: `[steps, steps]`, the mean of v_i · v_j over elements; power: the mean square of the result's elements.
    Raises `ValueError` for what is not finite.
    """
    if not np.isfinite(products).all() or not np.isfinite(power):
        raise ValueError("a run's outputs or its result are not finite")
    return Covariance(sigmas, normalised(products), float(np.diag(products).mean()), power, 1)


def mean(covariances: Sequence[Covariance]) -> Covariance:
    """Of several measurements on the same noise levels, each weighted by its runs."""
    runs = np.array([each.runs for each in covariances], dtype=np.float64)
    matrix = sum(each.matrix * n for each, n in zip(covariances, runs, strict=True)) / runs.sum()
    energy = sum(each.energy * n for each, n in zip(covariances, runs, strict=True)) / runs.sum()
    power = sum(each.power * n for each, n in zip(covariances, runs, strict=True)) / runs.sum()
    return Covariance(covariances[0].sigmas, matrix, float(energy), float(power), int(runs.sum()))


def signal_to_noise(covariance: Covariance, error: float) -> float:
    """An error in units of the outputs' mean square as signal to noise of the result, in dB."""
    return float(10.0 * np.log10(covariance.power / max(error * covariance.energy, np.finfo(np.float64).tiny)))
