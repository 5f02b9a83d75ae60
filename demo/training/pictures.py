"""What flux-tiny learns to draw: emoji, letters, confetti, and single frames of the clips, some of outlines alone.

A picture is a pure function of its seed, which also says of what kind it is.
"""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache

from torch import Tensor

from demo.training import confetti, letters
from demo.training.captions import OUTLINED_WORDS, caption
from demo.training.clips import OUTLINED, ClipSpec, render, training_spec
from demo.training.confetti import ConfettiSpec, confetti_caption, confetti_spec, render_confetti
from demo.training.emoji import EmojiSpec, emoji_caption, emoji_spec, render_emoji
from demo.training.emoji import words as words_of_emoji
from demo.training.letters import LetterSpec, letter_caption, letter_spec, render_letter
from demo.training.tokenizer import vocabulary

_KINDS = (*(emoji_spec,) * 4, letter_spec, confetti_spec)
"""Of six pictures of eight; the other two are of shapes."""
_OUTLINED = 0.4
"""Part of the scenes of shapes whose shapes are outlines."""
_SPOKEN = ("picture", *OUTLINED_WORDS, *letters.WORDS, *confetti.WORDS, *words_of_emoji())
WORDS = tuple(dict.fromkeys(word for word in _SPOKEN if word not in vocabulary()))
"""Of captions, beside those of clips."""


def spec_of(seed: int) -> ClipSpec | ConfettiSpec | EmojiSpec | LetterSpec:
    """The picture of a seed."""
    if seed % 8 < len(_KINDS):
        return _KINDS[seed % 8](seed)
    spec = training_spec(seed)
    if random.Random(f"outline {seed}").random() < _OUTLINED:
        return replace(spec, objects=tuple(replace(thing, texture=OUTLINED) for thing in spec.objects))
    return spec


@cache
def pictures_of_shapes(pictures: int) -> tuple[int, ...]:
    """Seeds of those of so many that show shapes."""
    return tuple(seed for seed in range(pictures) if seed % 8 >= len(_KINDS))


def render_picture(seed: int, frames: Tensor) -> Tensor:
    """Draws it: uint8 [3, 1, height, width]; frames: [1], which one of a clip."""
    match spec_of(seed):
        case EmojiSpec() as spec:
            return render_emoji(spec)
        case LetterSpec() as spec:
            return render_letter(spec)
        case ConfettiSpec() as spec:
            return render_confetti(spec)
        case spec:
            return render(spec, frames)


def picture_caption(seed: int, rng: random.Random) -> str:
    """One of its captions; every second one of shapes says nothing of motion."""
    match spec_of(seed):
        case EmojiSpec() as spec:
            return emoji_caption(spec, rng)
        case LetterSpec() as spec:
            return letter_caption(spec, rng)
        case ConfettiSpec() as spec:
            return confetti_caption(spec, rng)
        case spec:
            return caption(spec, rng, moving=rng.random() < 0.5)
