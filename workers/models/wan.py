"""Wan: text to video, two transformer calls a step (with and without the prompt)."""

from typing import TYPE_CHECKING

from workers.models.base import Family, ModelEntry

if TYPE_CHECKING:
    from workers.models.loaded import LoadedModel


class Wan(Family):
    name = "wan"
    media = "video"
    size_multiple = 16  # 8 from the VAE, 2 from the transformer's patches
    frame_multiple = 4

    def load(self, entry: ModelEntry) -> "LoadedModel":
        raise NotImplementedError
