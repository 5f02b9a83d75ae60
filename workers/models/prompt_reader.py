"""How much of a prompt a text encoder reads. What is beyond, its tokenizer cuts off without a word."""

import html
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any


def cleaned(text: str) -> str:
    """What Wan's pipeline makes of a prompt, as `prompt_clean` of diffusers has it, which cannot be had without
    torch."""
    import ftfy

    return re.sub(r"\s+", " ", html.unescape(html.unescape(ftfy.fix_text(text))).strip()).strip()


def _unchanged(prompt: str) -> str:
    return prompt


@dataclass(frozen=True, slots=True)
class PromptReader:
    """One of a pipeline's text encoders.

    tokenizer: the pipeline's, or a `tokenizers.Tokenizer` of nobody else's, see `portable`.
    limit: how many tokens it reads, those of its own template and its end marks among them.
    text: what the pipeline makes of a prompt before it is taken to tokens.
    template_tokens: how many of the tokens in front are the template's; the pipeline drops what they were encoded to.
    """

    encoder: str
    tokenizer: Any
    limit: int
    text: Callable[[str], str] = _unchanged
    template_tokens: int = 0

    @property
    def prompt_limit(self) -> int:
        """How many tokens it reads besides its template."""
        return self.limit - self.template_tokens

    def read_and_total(self, prompt: str) -> tuple[int, int]:
        """How many tokens of a prompt are read, of how many that it has."""
        total = self._tokens(self.text(prompt))
        return max(0, min(total, self.limit) - self.template_tokens), max(0, total - self.template_tokens)

    def portable(self) -> "PromptReader | None":
        """The same for another process, when it is pickled: it counts there without torch and transformers. None of a
        tokenizer that is written in Python."""
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        return None if backend is None else replace(self, tokenizer=backend)

    def _tokens(self, text: str) -> int:
        from tokenizers import Tokenizer

        if isinstance(self.tokenizer, Tokenizer):
            self.tokenizer.no_truncation()
            self.tokenizer.no_padding()
            return len(self.tokenizer.encode(text).ids)
        return len(self.tokenizer(text, verbose=False).input_ids)
