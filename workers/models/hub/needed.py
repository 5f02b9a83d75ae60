"""Which files of a repository a model is loaded from: repositories hold the same weights in several forms."""

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from workers.models.hub.errors import HubError

INDEX = "model_index.json"
#: Forms of weights. Of these only safetensors are read.
_WEIGHTS = (
    *(".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".msgpack", ".h5"),
    *(".onnx", ".onnx_data", ".pb", ".xml", ".gguf", ".tflite"),
)
_FORM = re.compile(
    r"(?P<stem>model|diffusion_pytorch_model)(\.(?P<variant>[a-z0-9_]+))?(?P<shard>-\d+-of-\d+)?\.safetensors"
)
_LIST = re.compile(r".+\.(safetensors|bin)\.index(\.(?P<variant>[a-z0-9_]+))?\.json")


def needed(files: Collection[str], index: Mapping[str, Any], variant: str | None) -> list[str]:
    """The paths of a repository in the diffusers format that loading reads, of all that it has.

    index: what its `model_index.json` says. variant: preferred where a part has it. Raises `HubError` where a part has
    no folder, or no weights that are read, and where none has the variant.
    """
    parts = [name for name, value in index.items() if isinstance(value, list) and len(value) == 2 and value[1]]
    chosen = [path for part in parts for path in _of_part(part, files, variant)]
    there = {name for part in parts for name in _variants(part, files) if name is not None}
    if variant is not None and variant not in there:
        allowed = " or ".join(f"variant = {name!r}" for name in sorted(there)) or "leave variant out"
        raise HubError(f"variant {variant!r}: no part of the repository has such files; {allowed}")
    return [INDEX, *chosen]


def only_variant(part: str, files: Collection[str]) -> str | None:
    """The variant of a part that has its weights as variants alone."""
    there = _variants(part, files)
    return None if None in there else min(filter(None, there), default=None)


def missing_shards(table: Mapping[str, Any], folder: str, files: Collection[str]) -> list[str]:
    """Of the files that a list of shards names those that the repository does not have."""
    named = {f"{folder}/{name}" for name in dict(table.get("weight_map", {})).values()}
    return sorted(named - set(files))


def is_list(path: str) -> bool:
    """Whether a file says in which shard each weight is."""
    return path.endswith(".json") and ".safetensors.index" in path


def _variants(part: str, files: Collection[str]) -> set[str | None]:
    """The variants of which a part has files; None for the plain ones."""
    paths = [path for path in map(PurePosixPath, files) if path.parent == PurePosixPath(part)]
    return {form["variant"] for path in paths if (form := _FORM.fullmatch(path.name))}


def _of_part(part: str, files: Collection[str], variant: str | None) -> Sequence[str]:
    names = sorted(PurePosixPath(path).name for path in files if PurePosixPath(path).parent == PurePosixPath(part))
    if not names:
        raise HubError(f"{INDEX} names {part}, but the repository has no folder {part}")
    weights = [name for name in names if name.endswith(_WEIGHTS)]
    forms = {name: form for name in weights if (form := _FORM.fullmatch(name))}
    lists = {name: form for name in names if (form := _LIST.fullmatch(name))}
    if weights and not forms:
        raise HubError(f"{part} has no weights in safetensors, the only form that is read; it has {', '.join(weights)}")
    there = {form["variant"] for form in forms.values()}
    chosen = variant if variant in there else None
    if forms and chosen not in there:
        ways = " or ".join(f"variant = {name!r}" for name in sorted(filter(None, there)))
        raise HubError(f"{part} has weights of the variants {', '.join(sorted(filter(None, there)))} alone: set {ways}")
    taken = {name for name, form in forms.items() if form["variant"] == chosen}
    taken_lists = {name for name, form in lists.items() if ".safetensors." in name and form["variant"] == chosen}
    if taken_lists:
        taken = {name for name in taken if forms[name]["shard"]} or taken
    rest = [name for name in names if name not in weights and name not in lists]
    return [f"{part}/{name}" for name in sorted({*rest, *taken, *taken_lists})]
