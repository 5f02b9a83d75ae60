"""Whose checkpoint is it, and is all of it there: answered from small files, before minutes of loading."""

from collections.abc import Mapping
from dataclasses import dataclass

from workers.jobs.errors import ModelLoadFailed
from workers.models.family import Family
from workers.models.parts import INDEX, Checkpoint
from workers.models.vocabulary import check_vocabulary
from workers.models.weights import Weights, check_variant, read_weights

#: What tells families apart, by part; the empty name is the pipeline.
_TELLING = {
    "": ("boundary_ratio", "expand_timesteps"),
    "transformer": ("in_channels", "image_dim", "guidance_embeds"),
    "vae": ("z_dim", "latent_channels"),
}


@dataclass(frozen=True)
class Contents:
    """What a whole checkpoint has: by part the files of its weights, and of its tokenizers how many tokens."""

    weights: Mapping[str, Weights]
    tokens: Mapping[str, int]


def check_family(checkpoint: Checkpoint, family: Family, families: Mapping[str, Family]) -> None:
    """Raise `ModelLoadFailed` unless the checkpoint is one of the family's, saying what was found and whose it is."""
    if (reason := family.mismatch(checkpoint)) is None:
        return
    fitting = families_of(checkpoint, families)
    advice = (
        f"set family = {' or '.join(map(repr, fitting))}"
        if fitting
        else f"no family runs it; there are {', '.join(sorted(families))}"
    )
    raise ModelLoadFailed(f"{reason}; found: {found(checkpoint)}; {advice}")


def families_of(checkpoint: Checkpoint, families: Mapping[str, Family]) -> list[str]:
    """The names of the families that run such a checkpoint, in their order."""
    return [name for name, family in sorted(families.items()) if family.mismatch(checkpoint) is None]


def found(checkpoint: Checkpoint) -> str:
    """What says whose it is, in a line: `WanPipeline, boundary_ratio 0.875, transformer in_channels 16`."""
    words = [checkpoint.class_name]
    words += [f"{name} {checkpoint.config[name]}" for name in _TELLING[""] if name in checkpoint.config]
    for part in ("transformer", "vae"):
        config = checkpoint.parts[part].config if part in checkpoint.parts else {}
        words += [f"{part} {name} {config[name]}" for name in _TELLING[part] if name in config]
    return ", ".join(words)


def check_parts(checkpoint: Checkpoint, family: Family) -> None:
    """Raise `ModelLoadFailed` for the first part that the family needs and that the index does not name."""
    for name in family.parts:
        if name not in checkpoint.parts:
            raise ModelLoadFailed(f"{INDEX}: {name} is null or missing; family {family.name} needs {name}")


def check_whole(checkpoint: Checkpoint, variant: str | None) -> Contents:
    """What the checkpoint has. Raises `ModelLoadFailed`, which names the first file that is missing, cut or empty."""
    parts = checkpoint.parts.values()
    tokens = {part.name: check_vocabulary(checkpoint, part) for part in parts if part.kind == "tokenizer"}
    check_variant(checkpoint, variant)
    weights = {part.name: read_weights(checkpoint, part, variant) for part in parts if part.kind == "weights"}
    return Contents(weights, tokens)
