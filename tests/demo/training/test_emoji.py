"""Scenes of emoji: their names, captions and pictures; and which emoji a picture shows."""

import json
import random

import numpy as np
import pytest

from bench.retrieval import nearest
from demo.prompt_files import EMOJI
from demo.training import emoji
from demo.training.clips import SIZE, empty_scene
from demo.training.emoji import (
    PLAIN,
    Emoji,
    emoji_caption,
    emoji_spec,
    is_held_out,
    phrase,
    render_emoji,
    taught,
    words,
)
from demo.training.recipes import recipe


def test_no_two_emoji_share_a_name_and_all_words_are_known() -> None:
    names = [name for each in taught() for name in each.names]
    assert len(set(names)) == len(names) and len(taught()) >= 300
    tokenizer = recipe("flux-tiny").tokenize([f"a picture of {phrase(name)} in front of sand" for name in names])[0]
    assert 2 not in tokenizer  # <unk>
    assert {"tears", "joy", "apple"} <= set(words())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("red apple", "a red apple"),
        ("octopus", "an octopus"),
        ("grapes", "grapes"),
        ("cactus", "a cactus"),
        ("black sun with rays", "a black sun with rays"),
        ("sunset over buildings", "a sunset over buildings"),
        ("hourglass", "an hourglass"),
        ("european castle", "a european castle"),
    ],
)
def test_a_name_has_its_article(name: str, said: str) -> None:
    assert phrase(name) == said


def test_a_scene_shows_its_emoji_in_the_middle_of_what_it_says() -> None:
    spec = emoji_spec(3)
    assert emoji_spec(3) == spec and emoji_spec(5) != spec
    frame = render_emoji(spec)[:, 0].permute(1, 2, 0).numpy()
    empty = empty_scene(spec.background, spec.tone, spec.pattern_seed)
    behind = (empty.clamp(0.0, 1.0) * 255.0).round().permute(1, 2, 0).numpy()
    rows, columns = np.nonzero((frame != behind).any(-1))
    for drawn in (rows, columns):
        assert len(drawn) and drawn.min() >= (SIZE - emoji.SIDE) // 2 and drawn.max() < (SIZE + emoji.SIDE) // 2


def test_captions_name_the_emoji_and_mostly_what_is_behind_it() -> None:
    spec = emoji_spec(3)
    captions = {emoji_caption(spec, random.Random(seed)) for seed in range(60)}
    assert all(any(name in caption for name in spec.emoji.names) for caption in captions)
    assert any(caption in {phrase(name) for name in spec.emoji.names} for caption in captions)


def test_prompts_of_the_check_are_not_trained() -> None:
    asked = [json.loads(line) for line in EMOJI.read_text().splitlines()]
    by_name = {each.name: each for each in taught()}
    assert all(is_held_out(by_name[row["emoji"]], row["prompt"].split()[-2]) for row in asked)
    trained = [emoji_spec(seed) for seed in range(2000)]
    assert not any(is_held_out(spec.emoji, spec.background) for spec in trained)


def test_a_picture_is_told_from_all_others() -> None:
    plain = (spec for seed in range(400) if (spec := emoji_spec(seed)).background in PLAIN)
    seen = [(spec.emoji.name, nearest(render_emoji(spec)[:, 0].permute(1, 2, 0).numpy())) for spec in plain]
    assert len(seen) > 100 and np.mean([name == told for name, told in seen]) > 0.97


def test_nothing_is_in_an_empty_picture() -> None:
    assert nearest(np.full((96, 96, 3), 128, np.uint8)) == "none"


def test_pictures_that_are_there_are_not_fetched_again(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setattr(emoji, "FOLDER", tmp_path)
    monkeypatch.setattr(emoji, "taught", lambda: (Emoji("a.png", "a", ""),))
    (emoji.FOLDER / "a.png").touch()
    monkeypatch.setenv("PATH", "")
    emoji.install()
