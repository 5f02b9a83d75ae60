"""Captions of clips, from templates with synonyms, so that free wording mostly works."""

from __future__ import annotations

import random

from demo.training.clips import OUTLINED, ClipSpec, ObjectSpec

SHAPE_WORDS: dict[str, tuple[str, ...]] = {
    "square": ("square", "square", "box", "block"),
    "circle": ("circle", "circle", "ball", "disc", "disk"),
    "triangle": ("triangle", "triangle", "pyramid"),
    "cross": ("cross", "cross", "plus", "plus sign"),
}
_VERBS = ("moves", "moves", "moving", "slides", "sliding", "glides", "drifts", "travels", "goes", "floats", "flies")
_STRAIGHT: dict[str, tuple[str, ...]] = {
    "right": ("right", "to the right", "rightwards", "towards the right", "from left to right"),
    "left": ("left", "to the left", "leftwards", "towards the left", "from right to left"),
    "up": ("up", "upwards", "upward", "to the top", "from bottom to top"),
    "down": ("down", "downwards", "downward", "to the bottom", "from top to bottom"),
}
_WHOLE: dict[str, tuple[str, ...]] = {
    "up": ("rises", "climbs"),
    "down": ("falls", "drops", "sinks"),
    "still": ("stays still", "stands still", "is still", "does not move", "is motionless", "rests"),
    "grows": ("grows", "grows bigger", "gets bigger", "gets larger", "expands"),
    "shrinks": ("shrinks", "shrinks smaller", "gets smaller", "becomes smaller"),
}
BACKGROUND_WORDS: dict[str, tuple[str, ...]] = {
    "black": ("a black background", "a dark background"),
    "white": ("a white background", "a white wall"),
    "gray": ("a gray background", "a grey background"),
    "checkered": ("a checkered background", "a chessboard", "a checkerboard"),
    "striped": ("a striped background", "a striped wall"),
    "sandy": ("a sandy background", "sand", "a textured background"),
}
LIGHTING_WORDS: dict[str, tuple[str, ...]] = {
    "normal": ("", "", "in normal light"),
    "bright": ("in bright light", "bright light"),
    "dim": ("in dim light", "dim light"),
    "warm": ("in warm light", "warm light"),
    "cool": ("in cool light", "in cold light", "cool light"),
}
TEXTURE_WORDS: dict[str, tuple[str, ...]] = {
    "plain": ("", "", "", "plain"),
    "striped": ("striped",),
    "dotted": ("dotted", "spotted"),
}
OUTLINED_WORDS = ("outlined", "hollow")
"""Not among those above, which models of videos know."""


def motion_phrases(motion: str) -> list[str]:
    """Every way in which captions say the motion."""
    phrases = list(_WHOLE.get(motion, ()))
    if motion in _STRAIGHT:
        phrases += [f"{verb} {way}" for verb in _VERBS for way in _STRAIGHT[motion]]
    elif "-" in motion:
        vertical, horizontal = motion.split("-")
        corner = {"up": ("upper", "top"), "down": ("lower", "bottom")}[vertical]
        ways = [f"{vertical} and to the {horizontal}", f"diagonally {vertical} and {horizontal}"]
        ways += [f"{vertical} and {horizontal}", f"diagonally to the {corner[0]} {horizontal}"]
        ways += [f"to the {corner[0]} {horizontal}", f"towards the {corner[1]} {horizontal}"]
        phrases += [f"{verb} {way}" for verb in _VERBS for way in ways]
    return phrases


def _describe(thing: ObjectSpec, rng: random.Random, moving: bool) -> str:
    texture = rng.choice(OUTLINED_WORDS if thing.texture == OUTLINED else TEXTURE_WORDS[thing.texture])
    phrase = rng.choice(motion_phrases(thing.motion))
    if rng.random() < 0.15 and " " in phrase:
        phrase = f"slowly {phrase}"
    words = [texture, thing.colour, rng.choice(SHAPE_WORDS[thing.shape]), phrase if moving else ""]
    return f"{'an' if texture in OUTLINED_WORDS[:1] else 'a'} {' '.join(word for word in words if word)}"


def caption(spec: ClipSpec, rng: random.Random, moving: bool = True) -> str:
    """One of the many captions of a clip, as drawn by `rng`; not `moving`: of a picture, without what moves where."""
    things = [_describe(thing, rng, moving) for thing in rng.sample(spec.objects, len(spec.objects))]
    scene = " and ".join(things)
    ground = rng.choice(BACKGROUND_WORDS[spec.background])
    light = rng.choice(LIGHTING_WORDS[spec.lighting])
    roll = rng.random()
    if roll < 0.12:
        text = f"on {ground} {scene}"
    elif roll < 0.2:
        text = f"a {'video' if moving else 'picture'} of {scene} in front of {ground}"
    else:
        text = f"{scene} {rng.choice(('on', 'on', 'over', 'in front of'))} {ground}"
    return f"{text}, {light}" if light else text


def plain_caption(spec: ClipSpec) -> str:
    """The plainest caption of a single-object clip; evaluation prompts are worded so."""
    thing = spec.objects[0]
    ways = {"still": "stays still", "grows": "grows", "shrinks": "shrinks"}
    phrase = ways.get(thing.motion) or f"moves {_plain_way(thing.motion)}"
    light = LIGHTING_WORDS[spec.lighting][0]
    text = f"a {thing.colour} {thing.shape} {phrase} on {BACKGROUND_WORDS[spec.background][0]}"
    return f"{text}, {light}" if light else text


def _plain_way(motion: str) -> str:
    if "-" in motion:
        vertical, horizontal = motion.split("-")
        return f"{vertical} and to the {horizontal}"
    return f"to the {motion}" if motion in ("left", "right") else motion
