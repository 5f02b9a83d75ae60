"""Which words of a prompt a checkpoint was never taught, as its own tokenizers say."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from PIL.ImageColor import colormap, getrgb
from tokenizers import Tokenizer

SUGGESTIONS = 3
#: Of difflib: with 0.6 the word nearest to "tiny" would be "in".
LEAST_LIKENESS = 0.7


def unknown_words(checkpoint: Path, prompt: str) -> dict[str, list[str]]:
    """Words of a prompt that a checkpoint's tokenizers do not know, each with the nearest that all of them know.

    Nothing for a checkpoint that is no folder here, and for tokenizers that spell out what they do not know.
    """
    tokenizers = _tokenizers(checkpoint)
    unknown = dict.fromkeys(word for tokenizer in tokenizers for word in _unknown(tokenizer, prompt))
    known = set.intersection(*(set(tokenizer.get_vocab()) for tokenizer in tokenizers)) if unknown else set()
    words = sorted(word for word in known if word.isalpha())
    return {word: _nearest(word.lower(), words) for word in unknown}


def warnings(model: str, checkpoint: Path, prompt: str, most: int) -> Iterator[str]:
    """A line for each word of a prompt that a model's checkpoint was never taught, and one for what it does not read.

    most: tokens of a prompt that it reads.
    """
    card = checkpoint / "README.md"
    elsewhere = f"{card} says which words it knows" if card.exists() else "nothing it knows is near it"
    for word, near in unknown_words(checkpoint, prompt).items():
        yield f"{model} was never taught the word {word!r}: {'near it are ' + ', '.join(near) if near else elsewhere}"
    tokens = max((len(tokenizer.encode(prompt).ids) for tokenizer in _tokenizers(checkpoint)), default=0)
    if tokens > most:
        yield f"{model} reads {most} tokens of a prompt, and this one has {tokens}: the last ones are not read"


def _tokenizers(checkpoint: Path) -> list[Tokenizer]:
    return [Tokenizer.from_file(str(path)) for path in sorted(checkpoint.glob("tokenizer*/tokenizer.json"))]


def _nearest(word: str, words: list[str]) -> list[str]:
    """To a colour other colours, to a symbol the words of its name, to anything else what is spelt alike."""
    if word in colormap:
        colours = [each for each in words if each in colormap]
        return sorted(colours, key=lambda each: _apart(word, each))[:SUGGESTIONS]
    if _is_symbol(word):
        name = unicodedata.name(word, "").lower()
        return [name] if name and set(name.split()) <= set(words) else []
    return get_close_matches(word, words, SUGGESTIONS, LEAST_LIKENESS)


def _apart(one: str, other: str) -> int:
    return sum((a - b) ** 2 for a, b in zip(getrgb(one), getrgb(other), strict=True))


def _is_symbol(text: str) -> bool:
    return len(text) == 1 and unicodedata.category(text) == "So"


def _unknown(tokenizer: Tokenizer, prompt: str) -> Iterator[str]:
    """Words and symbols that become the token for what is unknown; punctuation that does is no loss."""
    model = json.loads(tokenizer.to_str())["model"]
    token = model.get("unk_token")
    unknown = model.get("unk_id") if token is None else tokenizer.token_to_id(token)
    encoding = tokenizer.encode(prompt, add_special_tokens=False)
    for number, (start, end) in zip(encoding.ids, encoding.offsets, strict=True):
        text = prompt[start:end]
        if number == unknown and any(map(str.isalnum, text)):
            yield text
        elif number == unknown:
            yield from filter(_is_symbol, text)
