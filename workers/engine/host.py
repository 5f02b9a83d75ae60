"""Small tensors brought to the host."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def on_host(tensor: Tensor) -> NDArray[np.float32]:
    """In single precision."""
    array: NDArray[np.float32] = tensor.to("cpu", torch.float32).numpy()
    return array
