"""How much memory a model's weights need on its device, by its entry's switches: sums over what its files hold."""

from collections.abc import Mapping
from dataclasses import dataclass

from workers.models.entry import ModelEntry
from workers.models.parts import Checkpoint
from workers.models.precision import bytes_each
from workers.models.weights import read_weights

#: These stay on the device when blocks are offloaded: they are called by other methods than `forward`.
_NOT_IN_GROUPS = ("vae", "image_encoder")
_LAYERS = ("num_layers", "num_single_layers", "num_hidden_layers")


@dataclass(frozen=True)
class PartSize:
    """parameters: how many a part has; blocks: in how many equal blocks they are, as far as its configuration says."""

    parameters: int
    blocks: int = 1


def part_sizes(checkpoint: Checkpoint, variant: str | None) -> dict[str, PartSize]:
    """Of each part with weights. Raises `ModelLoadFailed` for files that are missing or cut."""
    return {
        part.name: PartSize(
            read_weights(checkpoint, part, variant).parameters,
            max(1, sum(int(part.config.get(name) or 0) for name in _LAYERS)),
        )
        for part in checkpoint.parts.values()
        if part.kind == "weights"
    }


def device_bytes(entry: ModelEntry, sizes: Mapping[str, PartSize]) -> int:
    """What the weights take of the device at the same time. Activations come on top."""
    weights = {name: size.parameters * bytes_each(entry, name) for name, size in sizes.items()}
    if entry.offload == "model":
        return max(weights.values())
    if entry.offload == "group":
        resident = sum(size for name, size in weights.items() if name in _NOT_IN_GROUPS)
        groups = [
            size * min(entry.offload_blocks, sizes[name].blocks) // sizes[name].blocks
            for name, size in weights.items()
            if name not in _NOT_IN_GROUPS
        ]
        return resident + max(groups, default=0)
    return sum(weights.values())


def decoding_bytes(entry: ModelEntry, checkpoint: Checkpoint) -> int:
    """About what decoding a default result takes on top of the VAE's weights: three feature maps at full size.

    Tiles are 256 pixels wide. Video VAEs decode four frames at a time, other ones a whole result.
    """
    channels = checkpoint.setting("vae", "base_dim") or (checkpoint.setting("vae", "block_out_channels") or [128])[0]
    side = 256 if entry.vae_tiling else None
    width, height = (min(size, side or size) for size in (entry.defaults.width, entry.defaults.height))
    at_once = 4 if checkpoint.setting("vae", "base_dim") else (16 if entry.vae_tiling else entry.defaults.frames)
    frames = min(entry.defaults.frames, at_once)
    return 3 * width * height * frames * int(channels) * bytes_each(entry, "vae")


def alternatives(entry: ModelEntry) -> dict[str, ModelEntry]:
    """The same model with the switches that save memory, each by what it is called, from the fastest on."""
    plain = entry.model_copy(update={"offload": None, "quantization": None, "device": "cuda"})
    small = plain.model_copy(update={"quantization": "int8_weight_only", "dtype": "bfloat16"})
    return {
        "everything on the device": plain,
        'quantization = "int8_weight_only"': small,
        'offload = "model"': plain.model_copy(update={"offload": "model"}),
        'offload = "group"': plain.model_copy(update={"offload": "group"}),
    }
