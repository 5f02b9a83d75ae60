"""What each of Wan's families refuses."""

from pathlib import Path

import pytest
import torch
from diffusers.pipelines.wan.pipeline_wan import prompt_clean

from tests.workers import micro_wan_variants as variants
from tests.workers.micro_wan import micro_entry
from workers.engine.generation import generate
from workers.engine.loaded import load_model
from workers.jobs.errors import InvalidRequest
from workers.models.catalogue import Catalogue, families
from workers.models.family import Family
from workers.models.prompt_reader import cleaned


def test_the_encoder_of_the_image_keeps_its_precision_where_the_rest_is_halved(tmp_path: Path) -> None:
    variants.save_micro_i2v(tmp_path)
    entry = variants.variant_entry(tmp_path, "wan-i2v", dtype="bfloat16")
    model = load_model(entry, families()["wan-i2v"])
    assert (model.pipeline.image_encoder.dtype, model.pipeline.transformer.dtype) == (torch.float32, torch.bfloat16)
    request = Catalogue({entry.name: entry}, families()).request(
        entry.name, "red", input_reference="0" * 64, steps=2, frames=1, seed=1
    )
    assert generate(model, request, image=variants.a_picture()).frames.shape == (1, 64, 64, 3)


@pytest.mark.parametrize(
    ("family", "reference", "allowed"),
    [
        ("wan", None, True), ("wan", "0" * 64, False),
        ("wan-i2v", None, False), ("wan-i2v", "0" * 64, True),
        ("wan-ti2v", None, True), ("wan-ti2v", "0" * 64, True),
    ],
)  # fmt: skip
def test_each_family_says_whether_it_takes_an_image(
    tmp_path: Path, family: str, reference: str | None, allowed: bool
) -> None:
    catalogue = catalogue_of(families()[family], tmp_path)
    if allowed:
        assert catalogue.request("micro-wan", "red", input_reference=reference).input_reference == reference
        return
    with pytest.raises(InvalidRequest, match="input_reference") as refused:
        catalogue.request("micro-wan", "red", input_reference=reference)
    assert refused.value.param == "input_reference" and "micro-wan" in str(refused.value)


def test_a_second_guidance_is_refused_where_there_is_no_second_expert(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="micro-wan has no second expert"):
        catalogue_of(families()["wan"], tmp_path).request("micro-wan", "red", guidance_2=2.0)


def catalogue_of(family: Family, folder: Path) -> Catalogue:
    entry = micro_entry(folder, family=family.name)
    return Catalogue({"micro-wan": entry}, {family.name: family})


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        " a  red\n\tball ",
        "a &amp;lt;b&amp;gt; c",
        "l\u00e2\u20ac\u2122été \u201cici\u201d",
        "\u00a0x\u3000",
        "\ufb01re \x1b[31m",
    ],
)
def test_a_prompt_is_cleaned_as_the_pipeline_does_it(prompt: str) -> None:
    assert cleaned(prompt) == prompt_clean(prompt)
