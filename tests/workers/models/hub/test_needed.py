"""Which files of a repository are fetched."""

from typing import Any

import pytest

from workers.models.hub.errors import HubError
from workers.models.hub.needed import missing_shards, needed, only_variant

INDEX: dict[str, Any] = {
    "_class_name": "WanPipeline",
    "boundary_ratio": None,
    "transformer_2": [None, None],
    "transformer": ["diffusers", "WanTransformer3DModel"],
    "tokenizer": ["transformers", "T5TokenizerFast"],
}
WORDS = ["tokenizer/tokenizer_config.json", "tokenizer/spiece.model"]
PLAIN = ["transformer/config.json", "transformer/diffusion_pytorch_model.safetensors"]


@pytest.mark.parametrize(
    ("more", "variant", "chosen"),
    [
        ([], None, PLAIN),
        # other forms, a single file for other programs, a picture, an unused expert
        (["transformer/diffusion_pytorch_model.bin", "transformer/model.onnx", "wan.safetensors", "assets/a.png",
          "transformer_2/diffusion_pytorch_model.safetensors", "README.md"], None, PLAIN),
        (["transformer/diffusion_pytorch_model.fp16.safetensors"], None, PLAIN),
        (["transformer/diffusion_pytorch_model.fp16.safetensors"], "fp16",
         ["transformer/config.json", "transformer/diffusion_pytorch_model.fp16.safetensors"]),
        ([f"transformer/diffusion_pytorch_model-0000{n}-of-00002.safetensors" for n in (1, 2)]
         + ["transformer/diffusion_pytorch_model.safetensors.index.json",
            "transformer/diffusion_pytorch_model.bin.index.json"], None,
         ["transformer/config.json", "transformer/diffusion_pytorch_model-00001-of-00002.safetensors",
          "transformer/diffusion_pytorch_model-00002-of-00002.safetensors",
          "transformer/diffusion_pytorch_model.safetensors.index.json"]),
    ],
    ids=["plain", "other forms", "another variant", "the variant", "shards"],
)  # fmt: skip
def test_only_what_is_read_is_needed(more: list[str], variant: str | None, chosen: list[str]) -> None:
    files = ["model_index.json", *WORDS, *PLAIN, *more]
    assert sorted(needed(files, INDEX, variant)) == sorted(["model_index.json", *WORDS, *chosen])


def test_a_part_without_the_variant_is_read_from_its_plain_files() -> None:
    vae = ["vae/config.json", "vae/diffusion_pytorch_model.fp16.safetensors"]
    files = ["model_index.json", *WORDS, *PLAIN, "transformer/other.fp16.safetensors", *vae]
    index = INDEX | {"vae": ["diffusers", "AutoencoderKLWan"]}
    assert sorted(needed(files, index, "fp16")) == sorted(["model_index.json", *WORDS, *PLAIN, *vae])


@pytest.mark.parametrize(
    ("more", "advice"),
    [
        (["transformer/diffusion_pytorch_model.fp16.safetensors"], "variant = 'fp16'"),
        (["transformer/other.fp61.safetensors"], "leave variant out"),
    ],
)
def test_a_variant_that_no_part_has_is_refused_with_those_that_are_there(more: list[str], advice: str) -> None:
    files = ["model_index.json", *WORDS, *PLAIN, *more]
    with pytest.raises(HubError, match=f"variant 'fp61': no part of the repository has such files; {advice}"):
        needed(files, INDEX, "fp61")


def test_a_part_has_a_variant_alone_where_none_of_its_weights_are_plain() -> None:
    shards = [f"transformer/diffusion_pytorch_model.bf16-0000{n}-of-00002.safetensors" for n in (1, 2)]
    assert only_variant("transformer", [*shards, "vae/diffusion_pytorch_model.safetensors"]) == "bf16"
    assert only_variant("transformer", [*shards, *PLAIN]) is None
    assert only_variant("transformer", WORDS) is None


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (PLAIN, "names tokenizer, but the repository has no folder tokenizer"),
        ([*WORDS, "transformer/config.json", "transformer/diffusion_pytorch_model.bin"],
         "transformer has no weights in safetensors, .* it has diffusion_pytorch_model.bin"),
        ([*WORDS, "transformer/config.json", "transformer/diffusion_pytorch_model.fp16.safetensors"],
         "weights of the variants fp16 alone: set variant = 'fp16'"),
    ],
)  # fmt: skip
def test_a_repository_that_lacks_what_is_read_is_refused(files: list[str], message: str) -> None:
    with pytest.raises(HubError, match=message):
        needed(["model_index.json", *files], INDEX, None)


def test_a_shard_that_is_listed_and_not_there_is_found() -> None:
    table = {"weight_map": {"a": "x-1.safetensors", "b": "x-2.safetensors", "c": "x-1.safetensors"}}
    assert missing_shards(table, "transformer", ["transformer/x-1.safetensors"]) == ["transformer/x-2.safetensors"]
