"""A new entry for a checkpoint: what its configurations say, and where these say nothing what its model card would."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from workers.jobs.errors import InvalidRequest, ModelLoadFailed, plain_reason
from workers.models.entry import ModelEntry
from workers.models.family import Family
from workers.models.identification import check_parts, families_of, found
from workers.models.parts import Checkpoint
from workers.models.weights import read_weights, variants

#: Values of tokenizers that have no limit of their own are far above this.
_NO_LIMIT = 1_000_000
MOST_STEPS = 100


def proposed_name(source: str) -> str:
    """A model's name for a folder or a hub id: `Wan-AI/Wan2.1-T2V-14B-Diffusers` is `wan2.1-t2v-14b`."""
    last = Path(source).name.lower().removesuffix("-diffusers")
    name = re.sub(r"[^a-z0-9.\-]+", "-", last).strip("-.")
    if not name:
        raise InvalidRequest("name", f"no name can be made of {source!r}: give --name")
    return name


def proposed(
    name: str,
    source: str,
    revision: str | None,
    variant: str | None,
    checkpoint: Checkpoint,
    families: Mapping[str, Family],
    cuda: bool,
) -> ModelEntry:
    """The entry. variant: of a hub id; in a folder it is looked for. cuda: whether this machine has a GPU.

    Raises `ModelLoadFailed` where no family runs the checkpoint, `InvalidRequest` for a value that no entry may have.
    """
    fitting = families_of(checkpoint, families)
    if not fitting:
        reasons = "; ".join(f"{family}: {families[family].mismatch(checkpoint)}" for family in sorted(families))
        raise ModelLoadFailed(f"{source}: no family runs it; found: {found(checkpoint)}; {reasons}")
    family = families[fitting[0]]
    check_parts(checkpoint, family)
    usual = family.suggested(checkpoint)
    table: dict[str, Any] = {
        "name": name,
        "family": family.name,
        "source": source,
        "revision": revision,
        "variant": variant if revision is not None else _variant(checkpoint),
        "device": "cuda" if cuda else "cpu",
        "dtype": "bfloat16" if cuda else "float32",
        "coefficients": [f"{name}.json"],
        "evaluation": f"{name}.evaluation.json",
        "limits": _limits(family, checkpoint, usual),
    }
    if cuda:
        table |= {key: usual[key] for key in ("vae_dtype", "vae_tiling") if key in usual}
        table["warmup_steps"] = 2
    table["defaults"] = _defaults(family, checkpoint, usual, table["limits"])
    try:
        return ModelEntry.model_validate({field: value for field, value in table.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise InvalidRequest(field, f"{field} {first['input']!r}: {plain_reason(first['msg'])}") from None


def _limits(family: Family, checkpoint: Checkpoint, usual: Mapping[str, Any]) -> dict[str, int]:
    size, frames = int(usual["largest"]), int(usual["frames"])
    if (positions := family.longest(checkpoint)) is not None:
        size = min(size, positions * family.size_multiple)
        frames = min(frames, (positions - 1) * family.frame_multiple + 1)
    return {"max_width": size, "max_height": size, "max_frames": frames, "max_steps": MOST_STEPS}


def _defaults(
    family: Family, checkpoint: Checkpoint, usual: Mapping[str, Any], limits: Mapping[str, int]
) -> dict[str, Any]:
    steps = int(usual["steps"])
    values = {
        "width": min(usual["width"], limits["max_width"]),
        "height": min(usual["height"], limits["max_height"]),
        "frames": min(usual["frames"], limits["max_frames"]),
        "fps": usual["fps"],
        "steps": steps,
        "sf": max(2, steps // 5),
        "guidance": usual["guidance"],
        "guidance_2": usual.get("guidance_2"),
        "flow_shift": _flow_shift(checkpoint) if family.flow_shift else None,
        "max_sequence_length": min(int(usual["max_sequence_length"]), _tokens(checkpoint, family)),
    }
    return {field: value for field, value in values.items() if value is not None}


def _flow_shift(checkpoint: Checkpoint) -> float | None:
    """The scheduler's own; None where it follows from the size, or is not said."""
    if checkpoint.setting("scheduler", "use_dynamic_shifting"):
        return None
    shift = checkpoint.setting("scheduler", "flow_shift") or checkpoint.setting("scheduler", "shift")
    return None if shift is None else float(shift)


def _tokens(checkpoint: Checkpoint, family: Family) -> int:
    """How many the tokenizer reads."""
    return int(min(checkpoint.setting(family.long_prompt, "model_max_length", _NO_LIMIT), _NO_LIMIT))


def _variant(checkpoint: Checkpoint) -> str | None:
    """The variant of a folder that has its transformer's weights as variants alone."""
    part = checkpoint.parts["transformer"]
    there = variants(part)
    if not there:
        return None
    try:
        read_weights(checkpoint, part, None)
    except ModelLoadFailed:
        return there[0]
    return None
