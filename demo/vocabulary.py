"""Which words of a prompt a checkpoint was never taught, as its own tokenizers say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from tokenizers import Tokenizer

SUGGESTIONS = 3
#: Of difflib: with 0.6 the word nearest to "tiny" would be "in".
LEAST_LIKENESS = 0.7


def unknown_words(checkpoint: Path, prompt: str) -> dict[str, list[str]]:
    """Words of a prompt that a checkpoint's tokenizers do not know, each with the nearest that all of them know.

    Nothing for a checkpoint that is no folder here, and for tokenizers that spell out what they do not know.
    """
    tokenizers = [Tokenizer.from_file(str(path)) for path in sorted(checkpoint.glob("tokenizer*/tokenizer.json"))]
    unknown = dict.fromkeys(word for tokenizer in tokenizers for word in _unknown(tokenizer, prompt))
    known = set.intersection(*(set(tokenizer.get_vocab()) for tokenizer in tokenizers)) if unknown else set()
    words = sorted(word for word in known if word.isalpha())
    return {word: get_close_matches(word.lower(), words, SUGGESTIONS, LEAST_LIKENESS) for word in unknown}


def warnings(model: str, checkpoint: Path, prompt: str) -> Iterator[str]:
    """A line for each word of a prompt that a model's checkpoint was never taught."""
    card = checkpoint / "README.md"
    elsewhere = f"{card} says which words it knows" if card.exists() else "nothing it knows is near it"
    for word, near in unknown_words(checkpoint, prompt).items():
        yield f"{model} was never taught the word {word!r}: {'near it are ' + ', '.join(near) if near else elsewhere}"


def _unknown(tokenizer: Tokenizer, prompt: str) -> Iterator[str]:
    """Words that become the token for what is unknown; punctuation that does is no loss."""
    model = json.loads(tokenizer.to_str())["model"]
    token = model.get("unk_token")
    unknown = model.get("unk_id") if token is None else tokenizer.token_to_id(token)
    encoding = tokenizer.encode(prompt, add_special_tokens=False)
    for number, (start, end) in zip(encoding.ids, encoding.offsets, strict=True):
        if number == unknown and any(map(str.isalnum, prompt[start:end])):
            yield prompt[start:end]
