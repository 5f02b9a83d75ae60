"""A tokenizer without its vocabulary is built all the same, and takes every prompt for the same one."""

from importlib import import_module
from importlib.util import find_spec
from itertools import islice
from typing import Any

from workers.jobs.errors import ModelLoadFailed
from workers.models.parts import Checkpoint, Part, read_table

#: A tokenizer is read from one of these, the first that is there.
FILES = ("tokenizer.json", "vocab.json", "spiece.model", "tokenizer.model", "sentencepiece.bpe.model")
#: Most checkpoints know these words; those of another language have their own ones tried.
PROBES = ("red", "sky", "circle", "moving", "water")
_OWN_WORDS = 64
#: A vocabulary that is smaller than this part of what the encoder knows is not its own, or was cut.
_LEAST = 0.5


def check_vocabulary(checkpoint: Checkpoint, part: Part) -> int:
    """Read a tokenizer and return how many tokens it knows.

    Raises `ModelLoadFailed`, which names the file, unless it has a vocabulary, tells words apart, and fits its encoder.
    """
    name = _file(part)
    if name.endswith(".json"):
        read_table(part.folder / name, checkpoint.folder)
    if name == "vocab.json" and not (part.folder / "merges.txt").is_file():
        raise ModelLoadFailed(f"{part.name}/merges.txt is missing, which {part.name}/vocab.json goes with")
    tokenizer = _built(part, name)
    if not _tells_apart(tokenizer):
        words = " and ".join(map(repr, PROBES[:2]))
        raise ModelLoadFailed(
            f"{part.name}/{name}: the tokenizer takes {words} for the same: its vocabulary of {len(tokenizer)} tokens "
            "is empty or cut off"
        )
    _check_size(checkpoint, part, len(tokenizer))
    return len(tokenizer)


def _file(part: Part) -> str:
    name = next((name for name in FILES if (part.folder / name).is_file()), None)
    if name is None:
        raise ModelLoadFailed(f"{part.name} has no vocabulary: one of {', '.join(FILES)} must be there")
    if name.endswith(".model") and find_spec("sentencepiece") is None:
        raise ModelLoadFailed(
            f"{part.name}/{name} is read by sentencepiece, which is not installed: pip install sentencepiece protobuf"
        )
    return name


def _built(part: Part, name: str) -> Any:
    try:
        return getattr(import_module(part.library), part.class_name).from_pretrained(
            str(part.folder), local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # whatever a reader raises, also in Rust
        raise ModelLoadFailed(f"{part.name}/{name} cannot be read as a {part.class_name}: {error}") from error


def _tells_apart(tokenizer: Any) -> bool:
    """Whether two words differ in which tokens they have: an empty vocabulary may still tell how long they are."""

    def seen(words: list[str]) -> set[frozenset[int]]:
        return {frozenset(tokenizer(word, add_special_tokens=False).input_ids) for word in words} - {frozenset()}

    special = set(tokenizer.all_special_tokens)
    own = (token.strip("▁Ġ").removesuffix("</w>") for token in tokenizer.get_vocab() if token not in special)
    return len(seen(list(PROBES))) > 1 or len(seen(list(islice(filter(str.isalpha, own), _OWN_WORDS)))) > 1


def _check_size(checkpoint: Checkpoint, part: Part, tokens: int) -> None:
    encoder = part.name.replace("tokenizer", "text_encoder")
    settings = checkpoint.setting(encoder, "text_config") or {}
    known = checkpoint.setting(encoder, "vocab_size", settings.get("vocab_size"))
    if known is not None and not _LEAST * known <= tokens <= known:
        raise ModelLoadFailed(
            f"{part.name} has {tokens} tokens and {encoder}/config.json a vocab_size of {known}: they do not match"
        )
