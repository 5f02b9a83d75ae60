"""In which type a part's weights are loaded, by its entry, and what one of them takes then."""

from workers.models.entry import ModelEntry

_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
_TRANSFORMERS = ("transformer", "transformer_2")


def dtype_of(entry: ModelEntry, part: str) -> str:
    """By torch's name, before quantization."""
    if part == "vae" and entry.vae_dtype is not None:
        return entry.vae_dtype
    return "float32" if part == "image_encoder" else entry.dtype  # As its families load it.


def bytes_each(entry: ModelEntry, part: str) -> int:
    """Of one parameter on the device."""
    quantized = part in _TRANSFORMERS and entry.quantization is not None
    return 1 if quantized else _BYTES[dtype_of(entry, part)]
