"""The word-level tokenizers: every word that captions use, lower case, anything else is <unk>."""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from demo.training import captions
from demo.training.clips import COLOURS, MOTIONS

MAX_LENGTH = 64
"""Tokens a prompt is padded or cut to, the closing </s> included."""
SPECIAL = ("<pad>", "</s>", "<unk>")
_JOINING = "a an the and on over in front of video , . is it"


def vocabulary() -> list[str]:
    """Special tokens, then all caption words in alphabetical order."""
    texts = [_JOINING, " ".join(COLOURS), "slowly"]
    tables = (captions.SHAPE_WORDS, captions.BACKGROUND_WORDS, captions.LIGHTING_WORDS, captions.TEXTURE_WORDS)
    for table in tables:
        texts += [phrase for phrases in table.values() for phrase in phrases]
    for motion in MOTIONS:
        texts += captions.motion_phrases(motion)
    return [*SPECIAL, *sorted({word for text in texts for word in text.split()})]


def build_tokenizer(
    more: Sequence[str] = (), max_length: int = MAX_LENGTH, special: Sequence[str] = (), template: str = "$A </s>"
) -> PreTrainedTokenizerFast:
    """A tokenizer that ends each text with </s>, as T5's does.

    more: words after those of all captions; special: tokens that are never split; template: what surrounds each text.
    """
    words = {word: index for index, word in enumerate(dict.fromkeys([*vocabulary(), *more, *special]))}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    around = sorted(set(template.split()) - {"$A"})
    tokenizer.post_processor = processors.TemplateProcessing(
        single=template, special_tokens=[(token, words[token]) for token in around]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        additional_special_tokens=list(special) or None,
        model_max_length=max_length,
        clean_up_tokenization_spaces=False,
    )
