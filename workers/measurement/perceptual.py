"""Measures that need trained weights: LPIPS, and the CLIP score. Both are read from folders that a user names."""

import pickle
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from workers.jobs.errors import ModelLoadFailed
from workers.measurement.fidelity import Video

_CLIP_FRAMES = 8
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # LPIPS v0.1 over pictures from -1 to 1


class Lpips:
    """LPIPS v0.1 over AlexNet (https://arxiv.org/abs/1801.03924): 0 for equal pictures, more the less alike they look.

    A few lines rather than the package of that name, which would tie this one to one release of torchvision.
    """

    def __init__(self, features: dict[str, Tensor], weights: list[Tensor]) -> None:
        """features: AlexNet's, as torchvision names them. weights: `[1, channels, 1, 1]` of each layer."""

        def convolution(index: int, stride: int, padding: int) -> nn.Conv2d:
            kernel, bias = features[f"features.{index}.weight"], features[f"features.{index}.bias"]
            layer = nn.Conv2d(kernel.shape[1], kernel.shape[0], kernel.shape[2], stride, padding)
            layer.load_state_dict({"weight": kernel, "bias": bias})
            return layer

        pool = nn.MaxPool2d(3, 2)
        self._slices = (
            nn.Sequential(convolution(0, 4, 2), nn.ReLU()),
            nn.Sequential(pool, convolution(3, 1, 2), nn.ReLU()),
            nn.Sequential(pool, convolution(6, 1, 1), nn.ReLU()),
            nn.Sequential(convolution(8, 1, 1), nn.ReLU()),
            nn.Sequential(convolution(10, 1, 1), nn.ReLU()),
        )
        self._weights = weights

    @classmethod
    def load(cls, folder: Path) -> Self:
        """From `alexnet-owt-7be5be79.pth` (torchvision's) and `alex.pth` (LPIPS v0.1). Raises `ModelLoadFailed`."""
        try:
            features = torch.load(folder / "alexnet-owt-7be5be79.pth", map_location="cpu", weights_only=True)
            linear = torch.load(folder / "alex.pth", map_location="cpu", weights_only=True)
            return cls(features, [linear[f"lin{n}.model.1.weight"] for n in range(5)])
        except (OSError, KeyError, RuntimeError, pickle.UnpicklingError) as error:
            raise ModelLoadFailed(
                f"LPIPS needs torchvision's alexnet-owt-7be5be79.pth and LPIPS's v0.1 alex.pth in {folder}: {error}"
            ) from error

    @torch.no_grad()
    def __call__(self, video: Video, reference: Video) -> float:
        """The mean over frames; both `[frames, height, width, 3]`."""
        pairs = zip(video, reference, strict=True)
        return float(np.mean([self._distance(_picture(a), _picture(b)) for a, b in pairs]))

    def _distance(self, a: Tensor, b: Tensor) -> float:
        total = 0.0
        for layers, weight in zip(self._slices, self._weights, strict=True):
            a, b = layers(a), layers(b)
            total += float(functional.conv2d((_unit(a) - _unit(b)) ** 2, weight).mean())
        return total


def _picture(frame: NDArray[np.uint8]) -> Tensor:
    values = torch.from_numpy(frame).permute(2, 0, 1)[None].float() / 127.5 - 1
    return (values - torch.tensor(_SHIFT).view(1, 3, 1, 1)) / torch.tensor(_SCALE).view(1, 3, 1, 1)


def _unit(features: Tensor) -> Tensor:
    length: Tensor = features.norm(dim=1, keepdim=True)
    return features / (length + 1e-10)


class ClipScore:
    """100 · cosine between a prompt and frames in CLIP's space, at least 0: how well a video shows its prompt."""

    def __init__(self, folder: Path) -> None:
        """folder: a CLIP checkpoint in the format of transformers. Raises `ModelLoadFailed`."""
        from transformers import CLIPImageProcessor, CLIPModel, CLIPTokenizerFast

        try:
            self._model = CLIPModel.from_pretrained(folder, local_files_only=True, use_safetensors=True).eval()
            self._tokenizer = CLIPTokenizerFast.from_pretrained(folder, local_files_only=True)
            self._pictures = CLIPImageProcessor.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, TypeError) as error:
            raise ModelLoadFailed(
                f"the CLIP score needs a CLIP checkpoint with tokenizer and preprocessor in {folder}: {error}"
            ) from error

    @torch.no_grad()
    def __call__(self, video: Video, prompt: str) -> float:
        """The mean over up to eight evenly spread frames of `[frames, height, width, 3]`."""
        shown = video[np.linspace(0, len(video) - 1, min(_CLIP_FRAMES, len(video))).round().astype(int)]
        pixels = self._pictures(list(shown), return_tensors="pt")
        length = self._model.config.text_config.max_position_embeddings
        tokens = self._tokenizer(prompt, truncation=True, max_length=length, return_tensors="pt")
        output = self._model(**tokens, **pixels)
        cosines = functional.cosine_similarity(output.image_embeds, output.text_embeds)
        return 100 * max(0.0, float(cosines.mean()))
