"""Solvers whose weights are known."""

import numpy as np

from workers.scalingcache.response import Response


def levels(steps: int) -> np.ndarray:
    """Noise levels at equal distances, the last of them one above 0."""
    return np.linspace(1.0, 1.0 / steps, steps)


def euler(steps: int) -> Response:
    """Of x_{n+1} = x_n - v_n / steps."""
    return Response(levels(steps), np.ones(steps + 1), np.tril(np.ones((steps + 1, steps)), -1) / -steps)
