"""Pictures of emoji, which npm brings where a checkpoint is trained."""

import random
from collections.abc import Iterator

import pytest
from PIL import Image, ImageDraw

from demo.training import emoji
from demo.training.emoji import taught


def drawn(number: int) -> Image.Image:
    """A picture that no other number has, as those of emoji are: RGBA on nothing."""
    rng = random.Random(number)
    picture = Image.new("RGBA", (64, 64))
    pen = ImageDraw.Draw(picture)
    for _ in range(4):
        left, top = rng.randrange(36), rng.randrange(36)
        box = (left, top, left + rng.randrange(12, 28), top + rng.randrange(12, 28))
        pen.ellipse(box, fill=(rng.randrange(256), rng.randrange(256), rng.randrange(256), 255))
    return picture


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Pictures of the same kind in place of those that npm brings."""
    pictures = {each: drawn(number) for number, each in enumerate(taught())}
    monkeypatch.setattr(emoji, "picture", pictures.__getitem__)
    monkeypatch.setattr("bench.retrieval.picture", pictures.__getitem__)
    yield
