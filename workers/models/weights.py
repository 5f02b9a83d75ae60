"""The files that hold a checkpoint's weights: which a part is read from, and whether all are there to their end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

from safetensors import SafetensorError, safe_open

from workers.jobs.errors import ModelLoadFailed
from workers.models.parts import Checkpoint, Part, read_table

SUFFIX = ".safetensors"
_PICKLES = (".bin", ".pt", ".pth", ".ckpt")
#: What a part's files are called by the library that reads them.
_STEMS = {"transformers": "model"}
_DIFFUSERS = "diffusion_pytorch_model"


@dataclass(frozen=True)
class Weights:
    """What a part's files hold.

    dtypes: by safetensors' name of a type, as `F32`, how many parameters are stored in it.
    size_bytes: of the files. variant: that was read, None for the plain files.
    """

    files: tuple[Path, ...]
    variant: str | None
    dtypes: Mapping[str, int]
    size_bytes: int

    @property
    def parameters(self) -> int:
        """How many there are."""
        return sum(self.dtypes.values())


def check_variant(checkpoint: Checkpoint, variant: str | None) -> None:
    """Raise `ModelLoadFailed` when no part has files of the wanted variant."""
    parts = [part for part in checkpoint.parts.values() if part.kind == "weights"]
    there = {name for part in parts for name in variants(part)}
    if variant is not None and variant not in there:
        allowed = " or ".join(f"variant = {name!r}" for name in sorted(there)) or "leave variant out"
        raise ModelLoadFailed(f"variant {variant!r}: no part of the checkpoint has such files; {allowed}")


def read_weights(checkpoint: Checkpoint, part: Part, variant: str | None) -> Weights:
    """What a part's files say of themselves; their values are not read.

    variant: preferred where the part has it, as diffusers does. Raises `ModelLoadFailed`, which names the file.
    """
    chosen = variant if variant in variants(part) else None
    index, single = _names(part, chosen)
    if (part.folder / index).is_file():
        places = read_table(part.folder / index, checkpoint.folder).get("weight_map")
        if not isinstance(places, dict) or not places:
            raise ModelLoadFailed(f"{part.name}/{index} has no weight_map: it is cut off or damaged")
        files = [part.folder / name for name in dict.fromkeys(places.values())]
    elif (part.folder / single).is_file():
        places, files = {}, [part.folder / single]
    else:
        raise ModelLoadFailed(_lacking(part, single))
    held = {file: _tensors(file, checkpoint.folder) for file in files}
    for tensor, name in places.items():
        if tensor not in held[part.folder / name]:
            raise ModelLoadFailed(f"{part.name}/{name} lacks {tensor}, which {index} says is in it")
    dtypes: dict[str, int] = {}
    for tensors in held.values():
        for dtype, count in tensors.values():
            dtypes[dtype] = dtypes.get(dtype, 0) + count
    return Weights(tuple(files), chosen, dtypes, sum(file.stat().st_size for file in files))


def variants(part: Part) -> Sequence[str]:
    """The variants of which a part has files: the word between name and suffix, as in `model.fp16.safetensors`."""
    stem = _STEMS.get(part.library, _DIFFUSERS)
    words = set()
    for path in part.folder.iterdir():
        name = path.name.removeprefix(f"{stem}.")
        if name == path.name:
            continue
        if name.startswith("safetensors.index."):
            words.add(name.removeprefix("safetensors.index.").removesuffix("json").removesuffix("."))
        elif name.endswith(SUFFIX):
            words.add(name.removesuffix(SUFFIX).split("-")[0])
    return sorted(words - {""})


def _names(part: Part, variant: str | None) -> tuple[str, str]:
    """The file that lists a part's shards, and the one that has all."""
    stem = _STEMS.get(part.library, _DIFFUSERS)
    word = f".{variant}" if variant else ""
    return f"{stem}{SUFFIX}.index{word}.json", f"{stem}{word}{SUFFIX}"


def _lacking(part: Part, wanted: str) -> str:
    names = sorted(path.name for path in part.folder.iterdir())
    if there := variants(part):
        ways = " or ".join(f"variant = {name!r}" for name in there)
        return f"{part.name} has no {wanted}, but weights of the variants {', '.join(there)}: set {ways}"
    if pickles := [name for name in names if name.endswith(_PICKLES)]:
        return (
            f"{part.name} has its weights in {pickles[0]} alone, which may run code when it is read: only safetensors "
            f"are; save the pipeline again with safe_serialization=True, or get {part.name}/{wanted}"
        )
    return f"{part.name}/{wanted} is missing; in the folder are: {', '.join(names) or 'no files'}"


def _tensors(file: Path, root: Path) -> Mapping[str, tuple[str, int]]:
    """By name the type and number of values of each tensor. Opening a file compares its header with its size."""
    name = file.relative_to(root)
    try:
        with safe_open(file, framework="np") as opened:
            slices = {key: opened.get_slice(key) for key in opened.keys()}  # noqa: SIM118  # it is no mapping
            return {key: (each.get_dtype(), prod(each.get_shape())) for key, each in slices.items()}
    except FileNotFoundError:
        raise ModelLoadFailed(f"{name} is missing, which the index of {file.parent.name} names") from None
    except SafetensorError as error:
        raise ModelLoadFailed(f"{name} is cut off or damaged: {error}") from error
    except OSError as error:
        raise ModelLoadFailed(f"{name} cannot be read: {error.strerror or error}") from error
