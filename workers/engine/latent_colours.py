"""From latents to colours without a decoder: one weighted sum of the channels for each of red, green and blue.

A decoder is far from linear, but where a latent's colour is concerned a linear map comes close enough to see what a
picture is of. Its weights are those of least squares over what the model's own runs have decoded.
"""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from workers.engine.host import on_host

Array = NDArray[np.floating[Any]]
Pictures = NDArray[np.uint8]

#: How many frames of a run are learnt from, and after how many runs nothing more is.
LEARNT_FRAMES, LEARNT_RUNS = 4, 20
#: What an earlier run counts beside the one after it: a warm-up's two steps give noise.
KEPT = 0.7
_RIDGE = 1e-3


@dataclass(frozen=True)
class ColourFit:
    """The normal equations of least squares over so many runs.

    squares: `[channels + 1, channels + 1]`, of the latents and a one. products: `[channels + 1, 3]`, with the colours.
    """

    runs: int
    squares: Array
    products: Array

    @classmethod
    def of(cls, latents: NDArray[np.float32], frames: Pictures) -> "ColourFit":
        """Of one run. latents: `[channels, frames, height, width]`, finished. frames: what they were decoded to,
        `[frames, height, width, 3]`, RGB."""
        channels, count, height, width = latents.shape
        chosen = np.unique(np.linspace(0, count - 1, LEARNT_FRAMES).round().astype(int))
        shown = (np.arange(count) * (len(frames) - 1) / max(1, count - 1)).round().astype(int)
        small = [
            np.asarray(Image.fromarray(frames[shown[i]]).resize((width, height), Image.Resampling.BOX)) for i in chosen
        ]
        inputs = latents[:, chosen].reshape(channels, -1).T.astype(np.float64)
        inputs = np.hstack([inputs, np.ones((len(inputs), 1))])
        colours = np.stack(small).reshape(-1, 3) / 255.0
        return cls(1, inputs.T @ inputs / len(inputs), inputs.T @ colours / len(inputs))

    def then(self, later: "ColourFit", kept: float = KEPT) -> "ColourFit":
        """Both, of which the later one counts more."""
        return ColourFit(
            self.runs + later.runs, self.squares * kept + later.squares, self.products * kept + later.products
        )

    def weights(self) -> Array:
        """`[channels + 1, 3]`: from latents, and a one, to RGB from 0 to 1."""
        solved: Array = np.linalg.solve(self.squares + _RIDGE * np.eye(len(self.squares)), self.products)
        return solved

    def text(self) -> str:
        """As JSON."""
        squares, products = (np.round(each, 6).tolist() for each in (self.squares, self.products))
        return json.dumps({"runs": self.runs, "squares": squares, "products": products})

    @classmethod
    def parsed(cls, text: str, channels: int) -> "ColourFit":
        """From JSON, for latents of so many channels. Raises `ValueError`, `KeyError`, `TypeError`."""
        table = json.loads(text)
        fit = cls(int(table["runs"]), np.array(table["squares"], float), np.array(table["products"], float))
        if (fit.squares.shape, fit.products.shape) != ((channels + 1, channels + 1), (channels + 1, 3)):
            raise ValueError(f"colours of {len(fit.squares) - 1} latent channels, not of {channels}")
        if not (np.isfinite(fit.squares).all() and np.isfinite(fit.products).all()):
            raise ValueError("colours that are not finite")
        return fit


class LatentColours:
    """Of one model's latents. Without calibrated weights it starts empty, and each run that is learnt from makes it
    better."""

    def __init__(self, channels: int, calibrated: Array | None = None) -> None:
        """calibrated: `[channels + 1, 3]`, as `calibrate` found them; then nothing more is learnt."""
        self._channels, self._calibrated = channels, calibrated is not None
        self._weights = calibrated
        self.fit: ColourFit | None = None

    @property
    def known(self) -> bool:
        """Whether there is a map."""
        return self._weights is not None

    @property
    def learns(self) -> bool:
        """Whether another run would change it."""
        return not self._calibrated and (self.fit is None or self.fit.runs < LEARNT_RUNS)

    def pictures(self, latents: Tensor) -> Pictures:
        """`[channels, frames, height, width]` as `[frames, height, width, 3]`, RGB."""
        assert self._weights is not None
        colours = np.einsum("cfhw,ck->fhwk", on_host(latents), self._weights[:-1]) + self._weights[-1]
        pictures: Pictures = np.nan_to_num(colours * 255.0).clip(0, 255).round().astype(np.uint8)
        return pictures

    def learn(self, latents: Tensor, frames: Pictures) -> None:
        """From a finished run, as `ColourFit.of`."""
        one = ColourFit.of(on_host(latents), frames)
        self._take(one if self.fit is None else self.fit.then(one))

    def adopt(self, text: str) -> None:
        """What workers have learnt before, in the place of less. Raises as `ColourFit.parsed`."""
        fit = ColourFit.parsed(text, self._channels)
        if not self._calibrated and (self.fit is None or fit.runs >= self.fit.runs):
            self._take(fit)

    def _take(self, fit: ColourFit) -> None:
        self.fit, self._weights = fit, fit.weights()
