"""Pictures that flux-tiny learns from: of which kind, what they show, and what their captions say."""

import random

import numpy as np
import pytest
import torch

from demo.training.captions import OUTLINED_WORDS, caption
from demo.training.clips import COLOURS, OUTLINED, SIZE, ClipSpec, ObjectSpec, empty_scene, render
from demo.training.confetti import ConfettiSpec, confetti_caption, confetti_spec, render_confetti
from demo.training.emoji import EmojiSpec
from demo.training.letters import LETTERS, LetterSpec, letter_caption, letter_spec, render_letter, strokes
from demo.training.pictures import picture_caption, render_picture, spec_of
from demo.training.recipes import recipe

FRAME = torch.tensor([16])


def outlined(shape: str) -> ClipSpec:
    """One outline in the middle of a black picture."""
    middle = (SIZE / 2, SIZE / 2)
    thing = ObjectSpec("red", shape, "still", OUTLINED, middle, middle, (16.0, 16.0))
    return ClipSpec((thing,), "black", "normal", 0.0, 1)


def test_pictures_are_of_every_kind_and_the_same_each_time() -> None:
    specs = [spec_of(seed) for seed in range(400)]
    assert specs == [spec_of(seed) for seed in range(400)]
    shapes = [spec for spec in specs if isinstance(spec, ClipSpec)]
    outlines = [spec for spec in shapes if spec.objects[0].texture == OUTLINED]
    kinds = (EmojiSpec, LetterSpec, ConfettiSpec)
    assert [sum(isinstance(spec, kind) for spec in specs) for kind in kinds] == [200, 50, 50]
    assert len(shapes) == 100 and 20 < len(outlines) < 60


def test_pictures_of_shapes_are_all_of_them_and_no_others() -> None:
    shapes = recipe("flux-tiny").showing("any")
    assert [seed for seed in range(200) if isinstance(spec_of(seed), ClipSpec)] == [s for s in shapes if s < 200]
    with pytest.raises(ValueError, match="not of 'cross' alone"):
        recipe("flux-tiny").showing("cross")


def test_every_picture_has_one_size_and_a_caption_of_known_words() -> None:
    made = recipe("flux-tiny")
    seeds = range(64)
    assert {render_picture(seed, made.frames(seed)).shape for seed in seeds} == {(3, 1, SIZE, SIZE)}
    tokens, _ = made.tokenize([picture_caption(seed, random.Random(seed)) for seed in seeds])
    assert 2 not in tokens  # <unk>


@pytest.mark.parametrize("shape", ["square", "circle", "triangle"])
def test_an_outline_has_nothing_in_it(shape: str) -> None:
    spec = outlined(shape)
    drawn = render(spec, FRAME)[:, 0].float()
    behind = (255.0 * empty_scene("black", 0.0, 1)).round()
    apart = (drawn - behind).abs().amax(0)
    middle = SIZE // 2
    assert apart[middle + 4 : middle + 10, middle - 2 : middle + 2].max() == 0.0
    assert apart[middle + 14 : middle + 16, middle].max() > 150  # its lower edge
    assert apart[middle + 17 :].max() == 0.0


def test_captions_say_what_is_an_outline() -> None:
    said = {caption(outlined("square"), random.Random(seed), moving=False).split()[1] for seed in range(40)}
    assert set(OUTLINED_WORDS) <= said
    first = [caption(outlined("square"), random.Random(seed), moving=False) for seed in range(40)]
    assert any("an outlined" in text for text in first) and not any("a outlined" in text for text in first)


def test_a_letter_is_drawn_in_its_colour_before_its_background() -> None:
    spec = letter_spec(3)
    assert letter_spec(3) == spec
    drawn = render_letter(spec)[:, 0].float()
    cover = strokes(spec.letter)
    behind = (255.0 * empty_scene(spec.background, spec.tone, spec.pattern_seed)).round()
    colour = torch.tensor(COLOURS[spec.colour]).mul(255.0).round().view(3, 1)
    assert (drawn[:, cover == 1] == colour).all() and (drawn[:, cover == 0] == behind[:, cover == 0]).all()
    assert 0.03 < cover.mean() < 0.3


def test_no_two_letters_look_alike_and_captions_name_theirs() -> None:
    drawn = np.stack([strokes(letter).numpy().ravel() for letter in LETTERS])
    apart = [np.abs(one - other).mean() for index, one in enumerate(drawn) for other in drawn[:index]]
    assert min(apart) > 0.01
    spec = letter_spec(5)
    for seed in range(30):
        words = letter_caption(spec, random.Random(seed)).split()
        assert words[words.index("letter") + 1] == spec.letter and spec.colour in words


def test_confetti_is_of_the_colours_that_its_caption_names_and_lies_on_its_background() -> None:
    for seed in range(12):
        spec = confetti_spec(seed)
        assert confetti_spec(seed) == spec and 20 <= len(spec.discs) <= 36
        drawn = render_confetti(spec)[:, 0].float().view(3, -1)
        shown = {
            name: (drawn == torch.tensor(colour).mul(255.0).round().view(3, 1)).all(0).float().mean().item()
            for name, colour in COLOURS.items()
        }
        assert {name for name, part in shown.items() if part > 0} == set(spec.colours)
        behind = (255.0 * empty_scene(spec.background, spec.tone, spec.pattern_seed)).round().view(3, -1)
        assert sum(shown.values()) > 0.05 and (drawn == behind).all(0).float().mean() > 0.3
        words = set(confetti_caption(spec, random.Random(seed)).split())
        assert words & set(COLOURS) == set(spec.colours) and "confetti" in words


def test_confetti_lies_elsewhere_in_every_scene() -> None:
    places = [disc[:2] for seed in range(20) for disc in confetti_spec(seed).discs]
    assert len(set(places)) == len(places)
    assert all(0 <= value <= SIZE for place in places for value in place)
