"""The word-level tokenizer: every word that captions use, lower case, anything else is <unk>."""

from __future__ import annotations

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from demo import captions
from demo.clips import COLOURS, MOTIONS

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


def build_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer that ends each text with </s>, as T5's does."""
    words = {word: index for index, word in enumerate(vocabulary())}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", words["</s>"])])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        model_max_length=MAX_LENGTH,
        clean_up_tokenization_spaces=False,
    )
