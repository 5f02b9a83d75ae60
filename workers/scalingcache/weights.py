"""The best weights: outputs as sums of others, with the least expected error that a covariance allows.

Everything is told for many sets of known steps at once, `[sets, known]`: a search asks for thousands.
"""

import numpy as np
from numpy.typing import NDArray

from workers.scalingcache.covariance import Array

Steps = NDArray[np.intp]

_RIDGE = 1e-6  # of the mean square of the differences: keeps near-copies from getting huge opposite weights


def best_weights(matrix: Array, known: Steps) -> Array:
    """What each step's output, or data, are best made of: `[sets, steps, known]`, each row adding up to 1.

    matrix: a covariance `[steps, steps]`; known: `[sets, known]`, at least one step a set. The sum of 1 makes a row
    independent of what all outputs have in common: it stands for v_t + Σ w_k (v_k - v_t), with t the last of the known.
    """
    base, others = known[:, -1], known[:, :-1]
    if not others.shape[1]:
        return np.ones((len(known), len(matrix), 1))
    from_base = matrix[others, base[:, None]]
    to_others = matrix[others[:, :, None], others[:, None, :]]
    between = to_others - from_base[:, :, None] - from_base[:, None, :] + matrix[base, base][:, None, None]
    towards = matrix[others] - matrix[base][:, None, :] - from_base[:, :, None] + matrix[base, base][:, None, None]
    sizes = np.einsum("skk->s", between) / others.shape[1]
    ridge = _RIDGE * np.maximum(sizes, np.finfo(np.float64).tiny)
    weights = np.linalg.solve(between + ridge[:, None, None] * np.eye(others.shape[1]), towards).transpose(0, 2, 1)
    return np.concatenate([weights, 1.0 - weights.sum(axis=2, keepdims=True)], axis=2)


def expected_errors(matrix: Array, known: Steps, truth: Array | None = None) -> Array:
    """The mean square `[sets, steps]` that each output is expected to be off by, made of the known ones.

    truth: the covariance that the outputs have, where it is not the one that the weights are from.
    """
    weights = best_weights(matrix, known)
    real = matrix if truth is None else truth
    own = np.einsum("swk,skl,swl->sw", weights, real[known[:, :, None], known[:, None, :]], weights)
    shared = np.einsum("swk,skw->sw", weights, real[known])
    errors: Array = np.maximum(own - 2.0 * shared + np.diag(real), 0.0)
    return errors
