"""How much of a prompt a text encoder reads. What is beyond, its tokenizer cuts off without a word."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


def _unchanged(prompt: str) -> str:
    return prompt


@dataclass(frozen=True, slots=True)
class PromptReader:
    """One of a pipeline's text encoders.

    limit: how many tokens it reads, those of its own template and its end marks among them.
    text: what the pipeline makes of a prompt before it is taken to tokens.
    template_tokens: how many of the tokens in front are the template's; the pipeline drops what they were encoded to.
    """

    encoder: str
    tokenizer: Any
    limit: int
    text: Callable[[str], str] = _unchanged
    template_tokens: int = 0

    def read_and_total(self, prompt: str) -> tuple[int, int]:
        """How many tokens of a prompt are read, of how many that it has."""
        total = len(self.tokenizer(self.text(prompt), verbose=False).input_ids)
        return max(0, min(total, self.limit) - self.template_tokens), max(0, total - self.template_tokens)
