"""From latents to colours without a decoder: one weighted sum of the channels for each of red, green and blue.

A decoder is far from linear, but where a latent's colour is concerned a linear map comes close enough to see what a
picture is of. Its weights are those of least squares over what the model's own runs have decoded.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[np.floating[Any]]

#: How many frames of a run are learnt from, and after how many runs nothing more is.
LEARNT_FRAMES, LEARNT_RUNS = 4, 20
#: What an earlier run counts beside the one after it: a warm-up's two steps give noise.
KEPT = 0.7
_RIDGE = 1e-3


class LatentColours:
    """Of one model's latents. Starts empty; each run that is learnt from makes it better.

    cost_seconds: how long the last preview took.
    """

    def __init__(self) -> None:
        self.cost_seconds = 0.005
        self._runs = 0
        self._squares: Array | None = None
        self._products: Array | None = None
        self._weights: Array | None = None

    @property
    def known(self) -> bool:
        """Whether there is a map."""
        return self._weights is not None

    @property
    def learns(self) -> bool:
        """Whether another run would change it."""
        return self._runs < LEARNT_RUNS

    def pictures(self, latents: NDArray[np.float32]) -> NDArray[np.uint8]:
        """`[channels, frames, height, width]` as `[frames, height, width, 3]`, RGB."""
        assert self._weights is not None
        colours = np.einsum("cfhw,ck->fhwk", latents, self._weights[:-1]) + self._weights[-1]
        pictures: NDArray[np.uint8] = np.nan_to_num(colours * 255.0).clip(0, 255).round().astype(np.uint8)
        return pictures

    def learn(self, latents: NDArray[np.float32], frames: NDArray[np.uint8]) -> None:
        """latents: of a finished run, `[channels, frames, height, width]`.
        frames: what they were decoded to, `[frames, height, width, 3]`, RGB."""
        channels, count, height, width = latents.shape
        chosen = np.unique(np.linspace(0, count - 1, LEARNT_FRAMES).round().astype(int))
        shown = (np.arange(count) * (len(frames) - 1) / max(1, count - 1)).round().astype(int)
        small = [
            np.asarray(Image.fromarray(frames[shown[i]]).resize((width, height), Image.Resampling.BOX)) for i in chosen
        ]
        inputs = latents[:, chosen].reshape(channels, -1).T.astype(np.float64)
        inputs = np.hstack([inputs, np.ones((len(inputs), 1))])
        colours = np.stack(small).reshape(-1, 3) / 255.0
        squares, products = inputs.T @ inputs / len(inputs), inputs.T @ colours / len(inputs)
        if self._squares is not None and self._products is not None:
            squares, products = self._squares * KEPT + squares, self._products * KEPT + products
        self._squares, self._products = squares, products
        self._weights = np.linalg.solve(squares + _RIDGE * np.eye(len(squares)), products)
        self._runs += 1
