"""What a model's weights need, by its switches: sums that can be done by hand."""

from pathlib import Path

import pytest

from tests.catalogues import a_model
from workers.diagnosis.memory import PartSize, decoding_bytes, device_bytes, part_sizes
from workers.diagnosis.models import ModelNeed, judged
from workers.models.parts import Checkpoint

SIZES = {
    "transformer": PartSize(1000, blocks=10),
    "transformer_2": PartSize(1000, blocks=10),
    "text_encoder": PartSize(600, blocks=2),
    "vae": PartSize(100),
    "image_encoder": PartSize(50),
}


@pytest.mark.parametrize(
    ("switches", "size"),
    [
        ({}, 2 * 2600 + 4 * 100 + 4 * 50),
        ({"quantization": "int8_weight_only"}, 2000 + 2 * 600 + 4 * 100 + 4 * 50),
        ({"offload": "model"}, 2 * 1000),
        ({"offload": "model", "quantization": "int8_weight_only"}, 2 * 600),
        ({"offload": "group"}, 4 * 100 + 4 * 50 + 2 * 300),  # a layer of the text encoder is the largest group
        ({"offload": "group", "offload_blocks": 4}, 4 * 100 + 4 * 50 + 2 * 600),
    ],
    ids=str,
)
def test_switches_change_what_is_on_the_device_at_a_time(switches: dict[str, object], size: int) -> None:
    entry = a_model(device="cuda", dtype="bfloat16", vae_dtype="float32", **switches)
    assert device_bytes(entry, SIZES) == size


def test_parts_are_counted_from_their_files(micro_folder: Path) -> None:
    checkpoint = Checkpoint.read(micro_folder)
    sizes = part_sizes(checkpoint, None)
    assert set(sizes) == {"transformer", "text_encoder", "vae"}
    assert sizes["transformer"].blocks == 3
    weights = micro_folder / "transformer/diffusion_pytorch_model.safetensors"
    assert 0.8 * weights.stat().st_size < 4 * sizes["transformer"].parameters < weights.stat().st_size


def test_decoding_in_tiles_takes_less(micro_folder: Path) -> None:
    checkpoint = Checkpoint.read(micro_folder)
    entry = a_model(defaults={"width": 1280, "height": 720}, limits={"max_width": 1280, "max_height": 1280})
    tiled = entry.model_copy(update={"vae_tiling": True})
    assert decoding_bytes(entry, checkpoint) == 3 * 1280 * 720 * 4 * 4 * 4
    assert decoding_bytes(tiled, checkpoint) == 3 * 256 * 256 * 4 * 4 * 4


def need(**changes: object) -> ModelNeed:
    gib = 2**30
    needs = {"as configured": 60, "everything on the device": 60, 'quantization = "int8_weight_only"': 40,
             'offload = "model"': 30, 'offload = "group"': 4}  # fmt: skip
    known = ModelNeed(
        model="big", device="cuda", served=True, here=True, needs={name: size * gib for name, size in needs.items()},
        decoding={"whole": 20 * gib, "tiled": 2 * gib},
    )  # fmt: skip
    return known.model_copy(update=changes)


@pytest.mark.parametrize(
    ("memory", "state", "advice"),
    [
        (96, "ok", None),
        (80, "failed", 'model big: quantization = "int8_weight_only"'),
        (60, "failed", 'model big: offload = "model"'),
        (40, "failed", 'model big: offload = "group"'),
        (24, "failed", 'model big: offload = "group", vae_tiling = true'),
        (6, "failed", "model big: no switch makes it fit: use a device with more memory"),
    ],
)
def test_a_model_that_does_not_fit_is_told_the_fastest_switch_that_makes_it(
    memory: int, state: str, advice: str | None
) -> None:
    found = judged(need(), None, {"0": memory * 2**30}, 0, tiled=False)
    assert (found.state, found.advice) == (state, advice)


@pytest.mark.parametrize(
    ("changes", "problem", "says", "advice"),
    [
        ({"device": "cuda:1"}, None, "needs cuda:1, which this machine does not have", "set device to one"),
        ({"here": False}, None, "is not on this machine", "python -m workers fetch big"),
        ({}, "transformer/model.safetensors is missing", "transformer/model.safetensors is missing", "fetch big"),
    ],
)  # fmt: skip
def test_what_a_model_lacks_fails_where_it_is_served_and_is_only_told_elsewhere(
    changes: dict[str, object], problem: str | None, says: str, advice: str
) -> None:
    for served, state in ((True, "failed"), (False, "warning")):
        found = judged(need(**changes, served=served), problem, {"0": 2**40}, 0, tiled=False)
        assert found.state == state
        assert says in found.says and advice in (found.advice or "")


@pytest.mark.parametrize(
    ("changes", "memory", "state", "says", "advice"),
    [
        ({"ranks": 2}, [96, 96], "ok", "80.0 GiB of 96.0 GiB for each of its 2 processes, from cuda on", None),
        ({"ranks": 4, "device": "cuda:1"}, [1, 96, 96, 96, 96], "ok", "4 processes, from cuda:1 on", None),
        ({"ranks": 2}, [96, 40], "failed", "of 40.0 GiB for each of its 2", 'offload = "group", without parallel'),
        ({"ranks": 4}, [96, 96], "failed", "needs 4 GPUs: cuda:2, cuda:3, which", "lower the degrees of parallel"),
        ({"ranks": 2, "device": "cpu"}, [], "failed", "of 75.0 GiB for each of its 2 processes", "more memory"),
    ],
)  # fmt: skip
def test_each_gpu_of_a_group_needs_the_memory_of_all_weights(
    changes: dict[str, object], memory: list[int], state: str, says: str, advice: str | None
) -> None:
    devices = {str(number): size * 2**30 for number, size in enumerate(memory)}
    found = judged(need(**changes), None, devices, 150 * 2**30, tiled=False)
    assert found.state == state and says in found.says
    assert (advice or "") in (found.advice or "") and bool(advice) == bool(found.advice)
